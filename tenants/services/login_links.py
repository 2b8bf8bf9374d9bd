"""One-time links that carry a sign-in from one device to a browser (contract, source 4)."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from events.services import record
from mpanel.core.actor import Actor
from mpanel.core.api.ratelimit import spend_try
from mpanel.core.errors import Gone
from mpanel.core.pruning import prune
from tenants import selectors
from tenants.models import LoginLink, User
from tenants.services.still_valid import hold_session

GOOD_FOR = timedelta(seconds=90)


class LinkExpired(Gone):
    """This link was used already, or has expired. Ask for a new one."""

    code = "LINK_EXPIRED"


@transaction.atomic
def make_login_link(actor: Actor) -> str:
    """The address of a page that signs this person in, once, within 90 seconds."""
    actor.require_person()
    actor.require_fresh_code()
    hold_session(actor)
    token = secrets.token_urlsafe(32)
    link = LoginLink.objects.create(
        membership=selectors.own_membership(actor),
        token_hash=_hash(token),
        expires_at=timezone.now() + GOOD_FOR,
    )
    record(actor, "login_link.created", link, "Made a one-time login link.")
    return f"{settings.SITE_URL}/login/session/{token}"


def check_login_link(token: str) -> User:
    """Whom the link would sign in; it stays usable. Raises `LinkExpired`."""
    link = (
        LoginLink.objects.filter(
            token_hash=_hash(token), used_at=None, expires_at__gt=timezone.now()
        )
        .select_related("membership__user")
        .first()
    )
    if link is None:
        raise LinkExpired
    return link.membership.user


def use_login_link(token: str, *, address: str) -> User:
    """The user whom the link signs in; of parallel tries one wins. Raises `LinkExpired`."""
    spend_try("login-link", address, most=30, window=900)
    now = timezone.now()
    found = LoginLink.objects.filter(token_hash=_hash(token), used_at=None, expires_at__gt=now)
    # The user first: a password that is reset from here on is noticed when the session starts.
    link = found.select_related("membership__user").first()
    if link is None or not found.update(used_at=now):
        raise LinkExpired
    return link.membership.user


def forget_old_links() -> bool:
    """Drop links that can no longer be used."""
    return prune(LoginLink.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1)))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
