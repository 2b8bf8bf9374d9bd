"""Places in the panel: its parts, which paths can be opened, and where a form was sent from."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.http import HttpRequest, HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST as only_post

VISITORS = ("/sign-in/", "/sign-out/", "/login/", "/confirm/")

# Where each part of the panel begins: its path, its name in the sidebar, and as people read it.
SECTIONS = (
    ("/domains/", "domains", "Domains"),
    ("/setup/", "domains", "Domains"),
    ("/dns/", "dns", "DNS"),
    ("/mailboxes/", "mailboxes", "Mailboxes"),
    ("/jobs/", "jobs", "Jobs"),
    ("/credentials/", "credentials", "Credentials"),
    ("/settings/", "settings", "Settings"),
)
STARTS = {"domains": "/domains/", "settings": "/settings/profile/"}
OVERVIEW = ("overview", "Overview", "/overview/")


def require_POST(  # noqa: N802  # as Django calls it
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Django's `require_POST`, which also says so of the view: nobody is led there by a link."""
    guarded = only_post(view)
    guarded.posts_only = True  # type: ignore[attr-defined]
    return guarded


def section_of(path: str) -> tuple[str, str, str]:
    """The part of the panel to which a path belongs: key, name, and where it begins."""
    for start, key, label in SECTIONS:
        if path.startswith(start):
            return key, label, STARTS.get(key, start)
    return OVERVIEW


def can_be_opened(target: str) -> bool:
    """Whether a path is a page of ours to look at: it exists, and takes more than forms.

    `//elsewhere.test/x` is no path: a browser goes to another site for it.
    """
    if not (target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)):
        return False
    path = urlsplit(target).path
    if path.startswith(VISITORS):
        return False
    try:
        return not getattr(resolve(path).func, "posts_only", False)
    except Resolver404:
        return False


def came_from(request: HttpRequest) -> str:
    """The page of ours from which a form was sent, "" where the browser does not say.

    The form itself may name it (`next`); else it is the referrer (the policy is same-origin).
    """
    referrer = urlsplit(request.headers.get("Referer", ""))
    before = referrer.path + (f"?{referrer.query}" if referrer.query else "")
    try:
        here = {request.get_host()}
    except DisallowedHost:
        here = set[str]()  # the error page of such a request is made here, too
    is_ours = url_has_allowed_host_and_scheme(referrer.geturl(), allowed_hosts=here)
    try:
        named = request.POST.get("next", "")
    except (SuspiciousOperation, MultiPartParserError, OSError):
        named = ""  # what was sent cannot be read
    for target in (before if is_ours else "", named):
        if target and can_be_opened(target):
            return target
    return ""
