"""Reading what happened, and who was told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from events.kinds import Kind, all_kinds
from events.models import (
    Event,
    Notification,
    NotificationQuerySet,
    Preference,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import NotFound

WORDS_FROM = 1_000  # events


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    code = "WEBHOOK_NOT_FOUND"


class DeliveryNotFound(NotFound):
    """There is no such delivery."""

    code = "DELIVERY_NOT_FOUND"


def trail(
    actor: Actor, *, subject_ids: Sequence[UUID] = (), but: Sequence[str] = ()
) -> QuerySet[Event]:
    """The tenant's events, newest first; of these subjects only, where some are named.

    `but`: actions to leave out.
    """
    found = Event.objects.filter(tenant_id=actor.tenant_id).exclude(action__in=but)
    return found.filter(subject_id__in=subject_ids) if subject_ids else found


# --- Audit log -------------------------------------------------------------------------------


@dataclass(frozen=True)
class AuditFilter:
    """Which events of the audit log; what is empty does not narrow it.

    `who`: part of the actor's name; `action`: an action, or all about a noun, as `mailbox.*`;
    `since` and `until`: from and before these times.
    """

    who: str = ""
    user_id: UUID | None = None
    action: str = ""
    subject_type: str = ""
    subject_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str = ""


def audit(actor: Actor, wanted: AuditFilter | None = None) -> QuerySet[Event]:
    """The tenant's audit log, newest first: for admins."""
    actor.require(ADMIN, "audit:read")
    wanted = wanted or AuditFilter()
    about = wanted.action.endswith(".*")
    exact = {
        "user_id": wanted.user_id,
        "subject_type": wanted.subject_type,
        "subject_id": wanted.subject_id,
        "actor_name__icontains": wanted.who,
        "sentence__icontains": wanted.search,
        "created_at__gte": wanted.since,
        "created_at__lt": wanted.until,
        "action__startswith" if about else "action": wanted.action.removesuffix("*")
        if about
        else wanted.action,
    }
    return trail(actor).filter(**{name: value for name, value in exact.items() if value})


def audit_words(actor: Actor) -> tuple[list[str], list[str]]:
    """Actions and types of subject among the newest events, to choose from."""
    newest = audit(actor).values_list("action", "subject_type")[:WORDS_FROM]
    pairs = list(newest)
    return sorted({action for action, _ in pairs}), sorted({subject for _, subject in pairs})


# --- Notifications ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """How a person is told of a kind."""

    kind: Kind
    in_app: bool
    email: bool


def own_notifications(actor: Actor) -> NotificationQuerySet:
    """What the person was told in here, newest first."""
    if actor.user_id is None:
        return Notification.objects.none()
    return Notification.objects.filter(
        tenant_id=actor.tenant_id, user_id=actor.user_id, in_app=True
    )


def notifications(actor: Actor, *, unread: bool = False, kind: str = "") -> QuerySet[Notification]:
    """What the person was told, newest first; the unread ones or one kind only, if asked."""
    actor.need("account:read")
    found = own_notifications(actor)
    if unread:
        found = found.unread()
    return found.filter(kind=kind) if kind else found


def unread_count(actor: Actor) -> int:
    """How many notifications the person has not read."""
    return own_notifications(actor).unread().count()


def preferences(actor: Actor) -> dict[str, Setting]:
    """How the person is told of every kind, by the kind's key."""
    actor.need("account:read")
    assert actor.user_id is not None
    rows = Preference.objects.filter(user_id=actor.user_id, tenant_id=actor.tenant_id)
    preferences = {row.kind: row for row in rows}
    return {
        key: Setting(kind, preferences[key].in_app, preferences[key].email)
        if key in preferences
        else Setting(kind, in_app=True, email=kind.default_email)
        for key, kind in all_kinds().items()
        if kind.may_reach(actor.role)
    }


# --- Webhooks --------------------------------------------------------------------------------


def webhooks(actor: Actor, *, search: str = "") -> QuerySet[WebhookEndpoint]:
    """The tenant's webhooks; those only whose address or name holds a text, if one is given."""
    actor.require(ADMIN, "webhooks:read")
    found = WebhookEndpoint.objects.filter(tenant_id=actor.tenant_id)
    if search:
        found = found.filter(Q(url__icontains=search) | Q(description__icontains=search))
    return found


def get_webhook(actor: Actor, webhook_id: UUID) -> WebhookEndpoint:
    """One webhook of the tenant. Raises `WebhookNotFound`."""
    actor.require(ADMIN, "webhooks:read")
    try:
        return WebhookEndpoint.objects.get(tenant_id=actor.tenant_id, pk=webhook_id)
    except WebhookEndpoint.DoesNotExist:
        raise WebhookNotFound from None


def deliveries(actor: Actor, webhook_id: UUID, *, status: str = "") -> QuerySet[WebhookDelivery]:
    """What was sent to one webhook, newest first. Raises `WebhookNotFound`."""
    endpoint = get_webhook(actor, webhook_id)
    found = endpoint.deliveries.select_related("event")
    return found.filter(status=status) if status else found


def get_delivery(actor: Actor, delivery_id: UUID, *, webhook_id: UUID) -> WebhookDelivery:
    """One delivery of one of the tenant's webhooks. Raises `DeliveryNotFound`."""
    try:
        return deliveries(actor, webhook_id).select_related("endpoint").get(pk=delivery_id)
    except WebhookDelivery.DoesNotExist:
        raise DeliveryNotFound from None


def attempts(delivery: WebhookDelivery) -> QuerySet[WebhookAttempt]:
    """Every try of a delivery, newest first."""
    return delivery.log.all()
