"""Where providers and DNS meet settings."""

from typing import Any

from django.conf import settings

from dnszones.blueprint import MailSetup
from dnszones.providers.base import DNSProvider
from mpanel.core import registry
from mpanel.core.checks import parse_resolvers
from mpanel.core.dnsclient import DNSClient, Server
from tenants.models import ProviderCredential
from tenants.services import register_builder


def dns_provider(credential: ProviderCredential) -> DNSProvider:
    """The DNS provider of a credential, ready to act for its tenant."""
    cls: type[DNSProvider] = registry.get("dns", credential.provider)
    return cls(
        credential.values(),
        base_url={"cloudflare": settings.CLOUDFLARE_BASE_URL}[credential.provider],
        timeout=settings.VENDOR_TIMEOUT,
    )


def resolvers() -> list[Server]:
    """The resolvers whose caches propagation watches."""
    return parse_resolvers(settings.DNS_RESOLVERS)


def dns_client() -> DNSClient:
    """A DNS client with our time-out."""
    return DNSClient(timeout=settings.DNS_TIMEOUT)


def chosen_setup(domain: str, choices: dict[str, Any]) -> MailSetup:
    """The setup that a person chose, with our own mail server's names filled in."""
    return MailSetup(
        domain=domain,
        mailserver_mx=settings.MAILSERVER_MX,
        mailserver_spf=settings.MAILSERVER_SPF,
        **choices,
    )


register_builder("dns", dns_provider)
