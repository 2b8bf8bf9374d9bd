"""Mail setups as they are stored with a plan: plain JSON there, `MailSetup` here."""

from dataclasses import asdict
from typing import Any

from django.conf import settings

from dnszones.blueprint import MailSetup


def from_choices(domain: str, choices: dict[str, Any]) -> MailSetup:
    """The setup that a person chose, with our own mail server's names filled in."""
    return MailSetup(
        domain=domain,
        mailserver_mx=settings.MAILSERVER_MX,
        mailserver_spf=settings.MAILSERVER_SPF,
        **choices,
    )


def to_json(setup: MailSetup) -> dict[str, Any]:
    return asdict(setup)


def from_json(stored: dict[str, Any]) -> MailSetup:
    return MailSetup(
        **{
            **stored,
            "custom_mx": tuple((preference, host) for preference, host in stored["custom_mx"]),
            "spf_includes": tuple(stored["spf_includes"]),
            "dkim_targets": tuple(stored["dkim_targets"]),
        }
    )
