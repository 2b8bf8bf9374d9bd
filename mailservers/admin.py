"""Operators' view of mail servers."""

from django.contrib import admin

from mailservers import services
from mailservers.models import LogPosition, MailDomain, MailServer
from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, acts


@acts("Open to new domains", in_tenant=False)
def open_server(actor: Actor, server: MailServer) -> None:
    services.open_server(actor, server.pk, is_open=True)


@acts(
    "Close to new domains",
    ask="Domains that are there stay; no new one is placed there.",
    in_tenant=False,
)
def close_server(actor: Actor, server: MailServer) -> None:
    services.open_server(actor, server.pk, is_open=False)


@admin.register(MailServer)
class MailServerAdmin(ReadOnlyAdmin):
    list_display = ("slug", "label", "kind", "region_label", "host", "is_open")
    search_fields = ("slug", "label", "host")
    ordering = ("slug",)
    actions = (open_server, close_server)


@admin.register(MailDomain)
class MailDomainAdmin(ReadOnlyAdmin):
    list_display = ("domain", "tenant", "status_badge", "provider", "server", "health_score")
    list_select_related = ("domain", "tenant", "server")
    list_filter = (StatusFilter,)
    search_fields = ("domain__name", "tenant__name", "id__exact")
    ordering = ("-id",)


@admin.register(LogPosition)
class LogPositionAdmin(ReadOnlyAdmin):
    list_display = ("name", "trouble", "lost_at", "updated_at")
    ordering = ("name",)
