"""Names that no customer can connect: those of others, whose mail we must never take as local.

Public mail providers (mail_providers.txt), the host's own names out of the settings, what apps
above add, and what the host lists (`REFUSED_DOMAINS`).
"""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from mpanel.core.errors import Invalid
from mpanel.core.extensions import Extensions
from mpanel.dns.messages import canonical_name, is_within

_LIST = Path(__file__).with_name("mail_providers.txt")


class NameReserved(Invalid):
    """This name belongs to somebody else. Enter a domain of your own."""

    code = "NAME_RESERVED"


# Names of the host's own, such as its mail servers.
_sources: Extensions[Callable[[], Iterable[str]]] = Extensions("names of the host's own")
register_host_names = _sources.register


def check_not_reserved(name: str) -> None:
    """Raise `NameReserved` for a name of somebody else's, in canonical form."""
    why = ""
    if _is_below_one_of(name, mail_providers()):
        why = f"{name} belongs to a public mail provider. Enter a domain of your own."
    elif any(is_within(host, name) or is_within(name, host) for host in host_names()):
        why = f"{name} is used by this service itself. Enter a domain of your own."
    elif _is_below_one_of(name, _canonical(settings.REFUSED_DOMAINS)):
        why = f"{name} cannot be connected here. If it is yours, ask us."
    if why:
        raise NameReserved(why, details={"domain": [why]})


@cache
def mail_providers() -> frozenset[str]:
    """The names of the shipped list: one a line, comments after "#"."""
    lines = _LIST.read_text().splitlines()
    return frozenset(filter(None, (line.partition("#")[0].strip() for line in lines)))


def host_names() -> frozenset[str]:
    """Names that this service runs under: panel, mail servers, nameservers, its own address."""
    named = [
        urlsplit(settings.SITE_URL).hostname or "",
        settings.MAILSERVER_HOST,
        settings.MAILSERVER_MX,
        settings.MAILSERVER_SPF,
        settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> "),
        *settings.HOUSE_POWERDNS_NAMESERVERS.replace(",", " ").split(),
        *(name for source in _sources for name in source()),
    ]
    return _canonical(named)


def _is_below_one_of(name: str, names: frozenset[str]) -> bool:
    labels = name.split(".")
    return any(".".join(labels[start:]) in names for start in range(len(labels)))


def _canonical(names: Iterable[str]) -> frozenset[str]:
    """Without what is no domain name: one label, an address, an empty setting."""
    found = set()
    for name in names:
        try:
            canonical = canonical_name(name.strip())
        except ValueError:
            continue
        if "." in canonical and not canonical.replace(".", "").isdigit():
            found.add(canonical)
    return frozenset(found)
