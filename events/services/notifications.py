"""Notifications: read, wished for, and sent by mail."""

import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from events import selectors
from events.kinds import all_kinds
from events.models import Notification, Preference
from mpanel.core.actor import Actor
from mpanel.core.errors import Invalid
from mpanel.core.periodic import Slice

HELD_FOR = timedelta(minutes=2)
MOST_AT_ONCE = 500


@dataclass(frozen=True)
class PreferenceChange:
    """How to be told of a kind; None leaves it as it is."""

    in_app: bool | None = None
    email: bool | None = None


@transaction.atomic
def mark_read(actor: Actor, ids: Sequence[UUID]) -> int:
    """The person has read these. How many were unread; others' and unknown ids are passed over."""
    actor.need("account:write")
    now = timezone.now()
    unread = selectors.own_notifications(actor).unread().filter(pk__in=ids)
    return unread.update(read_at=now, updated_at=now)


@transaction.atomic
def mark_all_read(actor: Actor) -> int:
    """The person has read all. How many were unread."""
    actor.need("account:write")
    now = timezone.now()
    return selectors.own_notifications(actor).unread().update(read_at=now, updated_at=now)


@transaction.atomic
def change_preferences(actor: Actor, changes: Mapping[str, PreferenceChange]) -> None:
    """Change how the person is told of these kinds. Raises `Invalid` for a kind that is unknown."""
    actor.need("account:write")
    known = all_kinds()
    if strange := sorted(set(changes) - set(known)):
        raise Invalid("There is no such kind.", details={key: ["Unknown kind."] for key in strange})
    assert actor.user_id is not None
    present = selectors.preferences(actor)
    Preference.objects.bulk_create(
        [
            Preference(
                user_id=actor.user_id,
                tenant_id=actor.tenant_id,
                kind=key,
                in_app=present[key].in_app if change.in_app is None else change.in_app,
                email=present[key].email if change.email is None else change.email,
            )
            for key, change in changes.items()
        ],
        update_conflicts=True,
        unique_fields=["user", "tenant", "kind"],
        update_fields=["in_app", "email", "updated_at"],
    )


# --- Mail ------------------------------------------------------------------------------------


def send_mails() -> bool:
    """Send what is to be sent by mail, for one slice; whether more waits.

    Two who do this at once share the work.
    """
    present = Slice()
    waiting = Notification.objects.to_mail(timezone.now()).order_by("id")
    for notification_id in list(waiting.values_list("pk", flat=True)[:MOST_AT_ONCE]):
        _send_mail(notification_id)
        if present.is_over:
            return Notification.objects.to_mail(timezone.now()).exists()
    return False


def _send_mail(notification_id: UUID) -> None:
    """Claim one, send it, and say so; after a failure it is free again later."""
    now = timezone.now()
    claimed = Notification.objects.to_mail(now).filter(pk=notification_id)
    if not claimed.update(mail_claimed_until=now + HELD_FOR, mail_tries=F("mail_tries") + 1):
        return
    mine = Notification.objects.filter(pk=notification_id)
    notification = mine.select_related("user", "tenant").get()
    try:
        _message(notification).send()
    except (OSError, smtplib.SMTPException):
        wait = timedelta(minutes=min(60, 2**notification.mail_tries))
        mine.update(mail_claimed_until=timezone.now() + wait)
    else:
        mine.update(mailed_at=timezone.now(), mail_claimed_until=None)


def _message(notification: Notification) -> EmailMessage:
    kind = all_kinds().get(notification.kind)
    text = render_to_string(
        "events/notification_email.txt",
        {
            "notification": notification,
            "kind": kind.label if kind else notification.kind,
            "site": settings.SITE_URL.rstrip("/"),
        },
    )
    host = urlsplit(settings.SITE_URL).hostname or "localhost"
    return EmailMessage(
        # One line, whatever a name in it holds.
        " ".join(notification.title.split())[:150],
        text,
        to=[notification.user.email],
        # The same for every try, so that a mail that was sent twice is seen once.
        headers={"Message-ID": f"<{notification.pk}@{host}>"},
    )
