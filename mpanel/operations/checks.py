"""Boot checks: a bad setting stops the start, with a sentence that says how to mend it."""

import ipaddress
import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from mpanel.core.addresses import address_problem
from mpanel.core.secrets import parse_key_ring
from mpanel.dns.resolvers import parse_resolvers

# Addresses that lead outside, by setting; with the sandbox on, all must be loopback.
OUTSIDE = (
    "CLOUDFLARE_BASE_URL",
    "NAMECHEAP_BASE_URL",
    "GOOGLE_DIRECTORY_BASE_URL",
    "GOOGLE_VERIFICATION_BASE_URL",
    "GOOGLE_TOKEN_URL",
    "SMARTLEAD_BASE_URL",
    "INSTANTLY_BASE_URL",
    "MAILSERVER_HOST",
)
# The Cloudflare library drops our token when it finds these (wire notes, seen 2026-11).
CONFLICTING_ENV = ("CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_API_USER_SERVICE_KEY")
# A milter's address as Postfix writes it.
MILTER = re.compile(
    r"unix:(/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*)+|inet:([A-Za-z0-9.-]+|\[[0-9a-f:.]+\]):\d{1,5}"
)

ADDRESS = r"[^\s@:/]+@[^\s@:/]+"


def is_loopback(address: str) -> bool:
    """Whether a URL, `host[:port]` or host stands for this machine."""
    host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@register()
def settings_make_sense(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Every setting that mPanel cannot start without, or that would surprise later."""
    found: list[CheckMessage] = []

    def refuse(number: int, message: str, hint: str = "") -> None:
        found.append(Error(message, hint=hint or None, id=f"mpanel.E{number:03}"))

    try:
        secret_key = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django refuses to hand out an empty one
        secret_key = ""
    if len(secret_key) < 32:
        refuse(
            1,
            "SECRET_KEY is missing or shorter than 32 characters.",
            "Start with `make run`, which makes one, or set it in the environment.",
        )
    try:
        parse_key_ring(settings.ENCRYPTION_KEYS)
    except ImproperlyConfigured as error:
        refuse(2, str(error))
    try:
        parse_resolvers(settings.DNS_RESOLVERS)
    except ImproperlyConfigured as error:
        refuse(3, str(error))
    if not 4 <= settings.MAILBOX_BCRYPT_COST <= 16:
        refuse(4, "MAILBOX_BCRYPT_COST must lie between 4 and 16.", "10 is the default.")
    if settings.JOB_LEASE < settings.VENDOR_TIMEOUT * 2:
        refuse(
            5,
            "JOB_LEASE must be at least twice VENDOR_TIMEOUT, or a slow vendor looks like a "
            "dead worker.",
        )
    if settings.HOUSE_POWERDNS_KEY and not (
        settings.POWERDNS_BASE_URL and settings.HOUSE_POWERDNS_NAMESERVERS
    ):
        refuse(
            21,
            "HOUSE_POWERDNS_KEY is set, so POWERDNS_BASE_URL and HOUSE_POWERDNS_NAMESERVERS must "
            "be, too.",
        )
    for name in CONFLICTING_ENV:
        if os.environ.get(name):
            refuse(
                7,
                f"{name} is set in the environment; the Cloudflare library would use it in "
                "place of each customer's own token.",
                f"Unset {name}.",
            )
    return found


@register()
def networks_are_networks(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Settings that list networks."""
    found: list[CheckMessage] = []
    for name in ("WEBHOOK_ALLOWED_NETWORKS", "LOGIN_TRUSTED_NETWORKS"):
        for network in getattr(settings, name):
            try:
                ipaddress.ip_network(network.strip())
            except ValueError:
                sentence = f"{name}: {network!r} is not a network."
                hint = "Write networks such as 10.1.0.0/16, separated by commas."
                found.append(Error(sentence, hint=hint, id="mpanel.E020"))
    return found


@register()
def support_can_be_reached(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Whom customers are told to ask."""
    contact = settings.SUPPORT_CONTACT
    if not contact or contact.startswith("https://") or re.fullmatch(ADDRESS, contact):
        return []
    sentence = "SUPPORT_CONTACT must be an e-mail address, or an address with https://."
    return [Error(sentence, id="mpanel.E031")]


@register()
def mail_policy_makes_sense(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Where Postfix asks whether a mailbox may send, and what holds when nobody answers."""
    found: list[CheckMessage] = []
    if settings.MAILPOLICY_FAILS not in {"open", "closed"}:
        found.append(Error("MAILPOLICY_FAILS must be open or closed.", id="mpanel.E021"))
    return found


@register()
def milters_are_addresses(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """What the operator has Postfix show mail from outside to."""
    return [
        Error(f"MAIL_MILTERS: {milter!r} is not unix:/path or inet:host:port.", id="mpanel.E040")
        for milter in settings.MAIL_MILTERS
        if not MILTER.fullmatch(milter)
    ]


@register()
def postmaster_is_an_address(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Who reads what is written to the mail server's postmaster."""
    if not settings.MAILSERVER_POSTMASTER or not address_problem(settings.MAILSERVER_POSTMASTER):
        return []
    sentence = "MAILSERVER_POSTMASTER must be the address of a mailbox on the mail server."
    return [Error(sentence, id="mpanel.E041")]


@register()
def mail_server_has_a_key(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Dovecot's HTTP interface, where there is one, is not open to everybody."""
    if bool(settings.MAILSERVER_ADMIN_URL) == bool(settings.MAILSERVER_ADMIN_KEY):
        return []
    sentence = "MAILSERVER_ADMIN_URL and MAILSERVER_ADMIN_KEY must both be set, or neither."
    return [Error(sentence, hint="The key is 16 to 128 letters and digits.", id="mpanel.E023")]


@register()
def static_files_are_collected(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Where STATIC_ROOT is set, pages name files that `collectstatic` must have put there."""
    if not settings.STATIC_IS_COLLECTED or (settings.STATIC_ROOT / "staticfiles.json").exists():
        return []
    sentence = f"STATIC_ROOT is {settings.STATIC_ROOT}, but no files were collected there."
    hint = "Run `manage.py collectstatic --noinput --skip-checks`, or unset STATIC_ROOT."
    return [Error(sentence, hint=hint, id="mpanel.E042")]


@register()
def sandbox_stays_inside(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """With the sandbox on, no vendor's address may lead off this machine."""
    if not settings.SANDBOX:
        return []
    addresses = {name: getattr(settings, name) for name in OUTSIDE}
    # The host's own servers, where there are any.
    for name in ("POWERDNS_BASE_URL", "MAILSERVER_ADMIN_URL"):
        if address := getattr(settings, name):
            addresses[name] = address
    # A mailer without a host (a file, the console) leads nowhere.
    if mail_host := settings.MAILERS["default"].get("OPTIONS", {}).get("host"):
        addresses["EMAIL_URL"] = mail_host
    addresses |= {f"DNS_ROOT_SERVERS ({one})": one for one in settings.DNS_ROOT_SERVERS}
    try:
        resolvers = parse_resolvers(settings.DNS_RESOLVERS)
    except ImproperlyConfigured:
        resolvers = []  # the check above says so
    addresses |= {f"DNS_RESOLVERS ({server.name})": server.address for server in resolvers}
    return [
        Error(
            f"The sandbox is on, but {name} leads outside: {address}.",
            hint=f"Unset {name.partition(' ')[0]}, or turn SANDBOX off.",
            id="mpanel.E008",
        )
        for name, address in addresses.items()
        if not is_loopback(address)
    ]
