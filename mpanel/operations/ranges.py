"""Boot checks of single settings: numbers within their bounds, and addresses that are ones."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from email.utils import parseaddr
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

YEAR = 31_536_000  # seconds
PORT = (1, 65_535)

# What a number may be, both ends included. A value of no sense is refused; one that is merely odd
# is the operator's.
RANGES: dict[str, tuple[float, float]] = {
    "TRUSTED_PROXIES": (0, 20),
    "SANDBOX_PORT": (1, 65_500),
    "DATABASE_CONNECT_TIMEOUT": (2, 60),  # libpq makes 2 of 1
    "WARMUP_INTERVAL": (1, YEAR),
    "VENDOR_TIMEOUT": (0.1, 300),
    "LOOKUP_TIMEOUT": (0.1, 300),
    "DNS_PORT": PORT,
    "DNS_TIMEOUT": (0.05, 60),
    "CONTROL_GONE_LOOKS": (1, 1_000),
    "CONTROL_GONE_HOURS": (0, 8_760),
    "MAILSERVER_SUBMISSION_PORT": PORT,
    "MAILSERVER_IMAPS_PORT": PORT,
    "MAILSERVER_SIEVE_PORT": (0, 65_535),
    "MAIL_SIZE_LIMIT": (10_000, 2**31 - 1),
    "MAILBOX_DAILY_LIMIT": (0, 2**31 - 1),
    "MAILBOX_SCRIPTS_LIMIT": (0, 2**31 - 1),
    "DELETED_MAIL_KEPT": (0, 36_500),
    "JOBS_KEPT": (1, 36_500),
    "PLANS_KEPT": (1, 36_500),
    "DKIM_RETIRE_AFTER": (0, 3_650),
    "DKIM_ROTATE_EVERY": (0, 3_650),
    "BOUNCE_THRESHOLD": (0.0001, 1),
    "BOUNCE_SAMPLE": (1, 2**31 - 1),
    "HEALTH_INTERVAL": (1, YEAR),
    "STORAGE_INTERVAL": (1, YEAR),
    "PROPAGATION_INTERVAL": (1, YEAR),
    "DNS_WATCH_INTERVAL": (1, YEAR),
    "NAMESERVER_INTERVAL": (1, YEAR),
    "SPF_REFRESH_INTERVAL": (1, YEAR),
    "TICK_INTERVAL": (0.05, 60),
    "JOB_LEASE": (1, 3_600),
    "WORKERS": (1, 256),
    "URGENT_WORKERS": (1, 256),
    "SWEEP_WORKERS": (1, 256),
    "WORKER_STALE_AFTER": (3, 86_400),
    "SECURE_HSTS_SECONDS": (0, 10 * YEAR),
    "CONFIRMATION_LASTS": (60, 86_400),
    "CODES_PER_NETWORK": (1, 1_000_000),
    "API_PUBLIC_RATE": (1, 10**9),
    "API_ADDRESS_RATE": (1, 10**9),
    "API_PLAN_RATE_FACTOR": (1, 10**6),
}
URLS = (
    "SITE_URL",
    "CLOUDFLARE_BASE_URL",
    "NAMECHEAP_BASE_URL",
    "GOOGLE_DIRECTORY_BASE_URL",
    "GOOGLE_VERIFICATION_BASE_URL",
    "GOOGLE_TOKEN_URL",
    "SMARTLEAD_BASE_URL",
    "INSTANTLY_BASE_URL",
)
URLS_OR_NONE = ("POWERDNS_BASE_URL", "MAILSERVER_ADMIN_URL")
ENDPOINTS = (
    "MAILPOLICY_ADDRESS",
    "LOGINPOLICY_ADDRESS",
    "MAILSIGNER_ADDRESS",
    "MAILSIGNER_AUTHORS",
    "MAILSIGNER_NEXT_HOP",
    "MAILSIEVE_NEXT_HOP",
)
ADDRESSES = ("DNS_ROOT_SERVERS", "MAILSERVER_ADDRESSES")
HOSTS = ("MAILSERVER_HOST", "MAILSERVER_MX", "MAILSERVER_SPF")

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@register()
def single_settings_make_sense(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Every setting whose bad value would only show later, or never."""
    sentences = [*_numbers(), *_urls(), *_addresses(), *_words()]
    return [Error(sentence, id="mpanel.E030") for sentence in sentences]


def _numbers() -> Iterator[str]:
    for name, (least, most) in RANGES.items():
        value = getattr(settings, name)
        if not least <= value <= most:  # also so for "not a number"
            yield f"{name} must lie between {least} and {most}, and is {value}."


def _urls() -> Iterator[str]:
    given = [name for name in URLS_OR_NONE if getattr(settings, name)]
    for name in (*URLS, *given):
        if not is_url(getattr(settings, name)):
            yield f"{name} must be a full address such as https://host.example.com."
    site = settings.SITE_URL
    if is_url(site) and (urlsplit(site).path or urlsplit(site).query):
        yield "SITE_URL must end after the host and port: pages stand at its root."


def _addresses() -> Iterator[str]:
    for name in ENDPOINTS:
        host, _, port = getattr(settings, name).rpartition(":")
        if not host or not _is_port(port):
            yield f"{name} must be an address and a port, such as 127.0.0.1:10031."
    listeners = sorted((getattr(settings, name), name) for name in ENDPOINTS)
    for (address, name), (same, other) in pairwise(listeners):
        if address == same:
            yield f"{name} and {other} must differ: both are {address}."
    for name in ADDRESSES:
        for one in getattr(settings, name):
            if not _is_address(one):
                yield f"{name}: {one!r} is not an IP address."
    if not settings.DNS_ROOT_SERVERS:
        yield "DNS_ROOT_SERVERS: name at least one."
    if (resolver := settings.BLOCKLIST_RESOLVER) and not _is_address(_without_port(resolver)):
        yield f"BLOCKLIST_RESOLVER: {resolver!r} is not an address or address:port."
    for name in HOSTS:
        if not _HOST.fullmatch(getattr(settings, name)):
            yield f"{name} must be the name of a host."


def _words() -> Iterator[str]:
    if not settings.DEBUG and not settings.ALLOWED_HOSTS:
        yield "ALLOWED_HOSTS is empty, so every request would be refused. Name the panel's hosts."
    if not _ROLE.fullmatch(settings.MAILSERVER_ROLE):
        yield "MAILSERVER_ROLE must be a plain name of a role: a to z, digits and _."
    if settings.MAIL_OUTSIDE_FROM not in {"chosen", "none", "all"}:
        yield "MAIL_OUTSIDE_FROM must be chosen, none or all."
    if "@" not in parseaddr(settings.DEFAULT_FROM_EMAIL)[1]:
        yield "DEFAULT_FROM_EMAIL must be an address such as mPanel <noreply@example.com>."


def is_url(text: str) -> bool:
    """Whether this is http or https with a host, and a port that is one."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) < 6 and PORT[0] <= int(text) <= PORT[1]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _without_port(text: str) -> str:
    host, _, port = text.rpartition(":")
    return host if text.count(":") == 1 and _is_port(port) else text
