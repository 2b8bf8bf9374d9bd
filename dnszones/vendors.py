"""Where providers and DNS meet settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from dnszones.mail_records import MailSetup
from dnszones.providers.base import DNSProvider
from domains.models import Domain
from mpanel.core import registry
from mpanel.core.errors import ProviderError
from mpanel.core.extensions import Extensions
from mpanel.dns.client import DNSClient, Server
from mpanel.dns.resolvers import parse_resolvers
from tenants.models import ProviderCredential
from tenants.services import register_builder


def dns_provider(credential: ProviderCredential, *, timeout: float | None = None) -> DNSProvider:
    """The DNS provider of a credential, ready to act for its tenant.

    `timeout`: seconds for each call, where it may take less than usual.
    """
    cls: type[DNSProvider] = registry.get("dns", credential.provider)
    values = credential.values()
    if credential.provider == "powerdns" and not credential.is_included:
        # Its one key opens every zone of the host's server, so no customer acts with it there.
        raise ProviderError("NOT_OFFERED", f"{cls.label} is not offered here.", retryable=False)
    base_url = {
        "cloudflare": settings.CLOUDFLARE_BASE_URL,
        "powerdns": settings.POWERDNS_BASE_URL,
    }[credential.provider]
    if not base_url:
        raise ProviderError("NOT_OFFERED", f"{cls.label} is not offered here.", retryable=False)
    return cls(values, base_url=base_url, timeout=timeout or settings.VENDOR_TIMEOUT)


def resolvers() -> list[Server]:
    """The resolvers whose caches propagation watches."""
    return parse_resolvers(settings.DNS_RESOLVERS)


def dns_client() -> DNSClient:
    """A DNS client with our time-out."""
    return DNSClient(timeout=settings.DNS_TIMEOUT)


@dataclass(frozen=True)
class MailHosts:
    """Names of the mail server that a domain is placed on: its MX, its SPF record, and the host and
    ports at which mail programs reach it. `sieve_port` is 0 where it runs no filters."""

    mx: str
    spf: str
    host: str
    submission_port: int
    imaps_port: int
    sieve_port: int


# The names of the mail server on which a domain is placed.
_mail_hosts: Extensions[Callable[[Domain], MailHosts]] = Extensions("a domain's mail server")
register_mail_hosts = _mail_hosts.register

# The MX hosts of all our mail servers.
_own_mail_hosts: Extensions[Callable[[], frozenset[str]]] = Extensions("our own mail servers")
register_own_mail_hosts = _own_mail_hosts.register


def own_mail_hosts() -> frozenset[str]:
    """The MX hosts of our own mail servers."""
    return _own_mail_hosts.only()()


def chosen_setup(domain: Domain, choices: dict[str, Any]) -> MailSetup:
    """The setup that a person chose, with the names of the domain's mail server filled in."""
    hosts = _mail_hosts.only()(domain)
    return MailSetup(
        domain=domain.name,
        mailserver_mx=hosts.mx,
        mailserver_spf=hosts.spf,
        mail_host=hosts.host,
        submission_port=hosts.submission_port,
        imaps_port=hosts.imaps_port,
        sieve_port=hosts.sieve_port,
        panel_host=panel_host(),
        **choices,
    )


def panel_host() -> str:
    """The name at which the panel is reached, for records that lead to it; "" where it has none."""
    host = (urlsplit(settings.SITE_URL).hostname or "").lower()
    is_name = "." in host and not host.replace(".", "").isdigit() and ":" not in host
    return host if is_name else ""


register_builder("dns", dns_provider)
# Customers reach the host's PowerDNS through the included account alone.
registry.offer("dns", "powerdns", when=lambda: False)
