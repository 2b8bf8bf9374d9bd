"""Sending that pauses by itself, because too much of it bounces."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from deliverability.limits import today
from deliverability.models import SendingDay
from events.services import record
from mailboxes.models import Mailbox
from mpanel.core.actor import system

LOOKS_BACK = timedelta(days=7)


def sweep() -> None:
    """Pause every mailbox of whose mail too much bounced, of at least the least sample."""
    since = today() - LOOKS_BACK
    for mailbox_id, tried, bounced in _bouncing(since):
        share = bounced / tried
        pause(
            mailbox_id,
            f"{bounced} of the {tried} recipients of the last 7 days bounced ({share:.0%}). "
            f"Check the list of recipients, then resume.",
        )


@transaction.atomic
def pause(mailbox_id: UUID, reason: str) -> bool:
    """Stop a mailbox's sending and say why; False where it was stopped already."""
    now = timezone.now()
    paused = Mailbox.objects.filter(pk=mailbox_id, paused_at=None).update(
        paused_at=now, paused_reason=reason, updated_at=now
    )
    if paused:
        mailbox = Mailbox.objects.get(pk=mailbox_id)
        record(
            system(mailbox.tenant_id),
            "mailbox.paused",
            mailbox,
            f"Paused the sending of {mailbox}. {reason}",
        )
    return bool(paused)


def _bouncing(since: object) -> list[tuple[UUID, int, int]]:
    """Mailboxes over the threshold: their id, recipients whose fate is known, and bounces.

    Days up to the one on which a person resumed the sending do not count again.
    """
    resumed = Mailbox.objects.filter(pk=OuterRef("subject_id")).values("resumed_on")[:1]
    rows = (
        SendingDay.objects.filter(kind=SendingDay.MAILBOX, day__gt=since)
        .annotate(resumed_on=Subquery(resumed))
        .filter(Q(resumed_on=None) | Q(day__gt=F("resumed_on")))
        .order_by()
        .values("subject_id")
        .annotate(
            lost=Coalesce(Sum("bounced"), 0), tried=Coalesce(Sum("bounced") + Sum("delivered"), 0)
        )
        .filter(
            tried__gte=max(1, settings.BOUNCE_SAMPLE),
            lost__gt=0,
            lost__gte=F("tried") * settings.BOUNCE_THRESHOLD,
            subject_id__in=Mailbox.objects.working().filter(paused_at=None).values("pk"),
        )
    )
    return [(row["subject_id"], row["tried"], row["lost"]) for row in rows]
