"""Operators' view of what was sent."""

from django.contrib import admin

from deliverability.models import QueuedMessage, SendingDay
from mpanel.core.adminpages import ReadOnlyAdmin


@admin.register(SendingDay)
class SendingDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "kind", "subject_id", "tenant", "sent", "deferred", "bounced")
    list_select_related = ("tenant",)
    search_fields = ("kind__exact", "subject_id__exact", "tenant__name")
    date_hierarchy = "day"
    ordering = ("-id",)


@admin.register(QueuedMessage)
class QueuedMessageAdmin(ReadOnlyAdmin):
    list_display = ("queue_id", "server", "mailbox", "created_at")
    list_select_related = ("server", "mailbox")
    search_fields = ("queue_id", "mailbox__address")
    ordering = ("-id",)
