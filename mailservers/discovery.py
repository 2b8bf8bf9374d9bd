"""What mail programs and mail servers fetch at names of customers' domains.

- `mta-sts.<domain>`: the MTA-STS policy (RFC 8461 §3.3).
- `autoconfig.<domain>`, and the panel's own name: settings as Thunderbird reads them
  (https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format.html).
- `autodiscover.<domain>`, and the panel's own name: settings as Outlook reads them
  ([MS-OXDSCLI], the POX schema 2006a).

Answers follow from the domain alone, so nobody learns whether a mailbox exists.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import split_domain_port, validate_host
from django.template.loader import render_to_string
from django.utils import timezone

from dnszones.mail_records import STARTTLS_PORT, TLS_PORT
from dnszones.mail_tls import sts_policy
from dnszones.records import normal_name
from dnszones.selectors import setup_in_force
from mailservers.models import MailDomain
from mailservers.providers.mailserver import MailServer as MailServerProvider
from mpanel.core.api import ratelimit
from mpanel.core.errors import TooManyRequests

STS: Final = "/.well-known/mta-sts.txt"
CONFIG: Final = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
DISCOVER: Final = "/autodiscover/autodiscover.xml"  # Outlook writes it in any case
LARGEST: Final = 10_000  # bytes of a posted question
FRESH: Final = 300  # seconds that an answer may be kept

_ASKED_FOR = re.compile(rb"<(?:\w{1,20}:)?EMailAddress>\s{0,20}([^<>&\s]{3,254})\s{0,20}</")
_NAME = re.compile(r"[a-z0-9.-]{1,253}")
_ADDRESS = re.compile(r"[^\s@<>&\"']{1,64}@[^\s@<>&\"']{1,253}")


@dataclass(frozen=True)
class MailDomainServer:
    """Where mail programs find the mailboxes of a domain. `tls_port`: 0 for none."""

    domain: str
    host: str
    imaps_port: int
    submission_port: int
    tls_port: int


def server_of_domain(domain: str) -> MailDomainServer | None:
    """The server that a verified domain is placed on, where that is one of ours; one query."""
    found = MailDomain.objects.filter(
        provider=MailServerProvider.key,
        domain__name=domain,
        domain__verified_at__isnull=False,
        server__isnull=False,
    )
    mail = found.select_related("server").first()
    if mail is None or mail.server is None:
        return None
    server = mail.server
    return MailDomainServer(
        domain,
        server.host,
        server.imaps_port,
        server.submission_port,
        TLS_PORT if server.submission_port == STARTTLS_PORT else 0,
    )


class DiscoveryMiddleware:
    """Answers these paths at these names, and passes everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = _ANSWERS.get(request.path.lower())
        if answer is None:
            return self.get_response(request)
        host = split_domain_port(request.META.get("HTTP_HOST", ""))[0]
        label, _, domain = host.partition(".")
        if label == answer.label and (named := _domain(domain)):
            return answer.to(request, named)
        if answer.at_panel and validate_host(host, settings.ALLOWED_HOSTS):
            return answer.to(request, "")
        return self.get_response(request)


@dataclass(frozen=True)
class _Answer:
    """Who answers a path: at `label.<domain>`, and where so at the panel's own name, too."""

    label: str
    at_panel: bool
    methods: tuple[str, ...]
    give: Callable[[HttpRequest, str], HttpResponse]

    def to(self, request: HttpRequest, domain: str) -> HttpResponse:
        """The answer about a domain; "" where only the question names it."""
        if request.method not in self.methods:
            return HttpResponseNotAllowed(self.methods)
        address = getattr(request, "address", "")
        bucket = ratelimit.bucket_of("public", address)
        try:
            ratelimit.spend(ratelimit.Limit("public", bucket, settings.API_PUBLIC_RATE))
        except TooManyRequests as error:
            wait = {"Retry-After": str(error.retry_after)}
            return HttpResponse(error.message, "text/plain", 429, headers=wait)
        answer = self.give(request, domain)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers.setdefault("Cache-Control", f"public, max-age={FRESH}")
        return answer


def _policy(request: HttpRequest, domain: str) -> HttpResponse:
    """The MTA-STS policy of a domain that asks for one."""
    setup = setup_in_force(domain)
    if setup is None or setup.platform != "mailserver" or setup.mta_sts == "none":
        return _nothing()
    policy = sts_policy(setup.mta_sts, setup.mailserver_mx)
    return HttpResponse(policy, "text/plain; charset=utf-8")


def _config(request: HttpRequest, domain: str) -> HttpResponse:
    """Settings for Thunderbird and those that learnt from it."""
    place = server_of_domain(domain or _domain_in(request.GET.get("emailaddress", "")))
    if place is None:
        return _nothing()
    return _xml("mailservers/discovery/config.xml", {"place": place})


def _discover(request: HttpRequest, domain: str) -> HttpResponse:
    """Settings for Outlook. What it cannot be told is an error in its own words, as a 200."""
    if _length(request) > LARGEST:
        return HttpResponse("The question is too large.", "text/plain", 413)
    address = request.GET.get("emailaddress", "")
    if request.method == "POST":
        if b"mobilesync" in request.body:
            return _refusal(601, "The provider is not available")
        # No document type, so no entities; and no parser that would know what to do with one.
        found = None if b"<!" in request.body else _ASKED_FOR.search(request.body)
        address = found[1].decode(errors="replace") if found else ""
    named = _domain_in(address)
    if not named or (domain and named != domain):
        return _refusal(600, "Invalid request")
    place = server_of_domain(named)
    if place is None:
        return _refusal(500, "The e-mail address cannot be found")
    answer = _xml("mailservers/discovery/autodiscover.xml", {"place": place, "address": address})
    answer.headers["Cache-Control"] = "private, no-store"  # it repeats the address
    return answer


def _length(request: HttpRequest) -> int:
    given = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 12 else LARGEST + 1


def _domain_in(address: str) -> str:
    """The domain of an address in normal form; "" for what is no address."""
    if not _ADDRESS.fullmatch(address) or not address.isprintable():
        return ""
    return _domain(address.rpartition("@")[2])


def _domain(name: str) -> str:
    """A name in normal form; "" for what cannot be one."""
    plain = normal_name(name)
    return plain if _NAME.fullmatch(plain) else ""


def _refusal(code: int, message: str) -> HttpResponse:
    context = {"code": code, "message": message, "now": timezone.now()}
    return _xml("mailservers/discovery/refusal.xml", context)


def _xml(template: str, context: dict[str, object]) -> HttpResponse:
    return HttpResponse(render_to_string(template, context), "application/xml; charset=utf-8")


def _nothing() -> HttpResponse:
    return HttpResponse("There is nothing here.\n", "text/plain; charset=utf-8", 404)


_READ = ("GET", "HEAD")
_AUTOCONFIG = _Answer("autoconfig", True, _READ, _config)
_ANSWERS = {
    STS: _Answer("mta-sts", False, _READ, _policy),
    **dict.fromkeys(CONFIG, _AUTOCONFIG),
    DISCOVER: _Answer("autodiscover", True, (*_READ, "POST"), _discover),
}
