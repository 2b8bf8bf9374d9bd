"""Operators' view of what happened, and who was told."""

from django.contrib import admin

from events import services
from events.chain import verify
from events.models import (
    Chain,
    Event,
    Notification,
    Preference,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, acts, set_or_not
from mpanel.core.errors import Conflict


@acts("Verify")
def verify_chain(actor: Actor, chain: Chain) -> str:
    verdict = verify(chain.tenant_id)
    if verdict.broken_at is not None:
        raise Conflict(f"Broken at event {verdict.broken_at}: {verdict.why}.")
    return f"{chain.tenant}: {verdict.events} events, whole. Head {verdict.head or 'none'}."


@acts("Send once more")
def redeliver(actor: Actor, delivery: WebhookDelivery) -> None:
    services.redeliver(actor, delivery.endpoint_id, delivery.pk)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "tenant", "actor_name", "via", "action", "sentence")
    list_display_links = ("created_at", "sentence")
    list_select_related = ("tenant",)
    search_fields = (
        "sentence",
        "action",
        "actor_name",
        "address",
        "request_id",
        "tenant__name",
        "subject_id__exact",
        "id__exact",
    )
    list_filter = (set_or_not("seq", "sealed"),)
    date_hierarchy = "created_at"
    ordering = ("-id",)
    hidden = ("user",)  # who acted may be deleted by now; the name stays


@admin.register(Chain)
class ChainAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "seq")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name", "tenant__id__exact")
    ordering = ("-tenant",)
    actions = (verify_chain,)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("title", "user", "tenant", "kind", "created_at", "read_at", "mailed_at")
    list_select_related = ("user", "tenant")
    list_filter = (
        set_or_not("read_at", "read"),
        "by_mail",
        set_or_not("mailed_at", "sent by mail"),
    )
    search_fields = ("title", "user__email", "tenant__name", "kind")
    date_hierarchy = "created_at"
    ordering = ("-id",)


@admin.register(Preference)
class PreferenceAdmin(ReadOnlyAdmin):
    list_display = ("user", "tenant", "kind", "in_app", "email")
    list_select_related = ("user", "tenant")
    list_filter = ("in_app", "email")
    search_fields = ("user__email", "tenant__name", "kind")
    ordering = ("-id",)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    list_display = ("url", "description", "tenant", "enabled", "failures", "failing_since")
    list_select_related = ("tenant",)
    list_filter = ("enabled", set_or_not("failing_since", "failing"))
    search_fields = ("url", "description", "tenant__name", "id__exact")
    ordering = ("-id",)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("event", "endpoint", "status_badge", "attempts", "last_status", "created_at")
    list_select_related = ("event", "endpoint")
    list_filter = (StatusFilter,)
    search_fields = ("endpoint__url", "event__action", "last_error", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    tenant_path = "endpoint.tenant_id"
    actions = (redeliver,)


@admin.register(WebhookAttempt)
class WebhookAttemptAdmin(ReadOnlyAdmin):
    list_display = ("at", "delivery", "status", "error", "duration_ms")
    list_select_related = ("delivery__event", "delivery__endpoint")
    search_fields = ("error", "delivery__endpoint__url", "delivery__id__exact")
    date_hierarchy = "at"
    ordering = ("-id",)
