"""Operators' view of connections to outreach tools."""

from django.contrib import admin

from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter
from outreach.models import CampaignSeat, OutreachLink, WarmupDay


@admin.register(OutreachLink)
class OutreachLinkAdmin(ReadOnlyAdmin):
    list_display = ("mailbox", "tenant", "provider", "status_badge", "remote_id", "reputation")
    list_select_related = ("mailbox", "tenant")
    list_filter = (StatusFilter,)
    search_fields = ("mailbox__address", "tenant__name", "remote_id")
    ordering = ("-id",)


@admin.register(CampaignSeat)
class CampaignSeatAdmin(ReadOnlyAdmin):
    list_display = ("campaign_name", "link", "joined_at", "left_at")
    list_select_related = ("link__mailbox",)
    search_fields = ("campaign_name", "link__mailbox__address")
    ordering = ("-id",)


@admin.register(WarmupDay)
class WarmupDayAdmin(ReadOnlyAdmin):
    list_display = ("date", "link", "sent", "delivered", "bounced", "replied")
    list_select_related = ("link__mailbox",)
    search_fields = ("link__mailbox__address",)
    date_hierarchy = "date"
    ordering = ("-id",)
