"""Operators' view of mailboxes."""

from django.contrib import admin

from mailboxes import services
from mailboxes.models import Batch, Mailbox
from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, acts, set_or_not


@acts("Suspend", ask="Login and sending stop; mail still arrives.")
def suspend(actor: Actor, mailbox: Mailbox) -> None:
    services.suspend_mailbox(actor, mailbox.pk)


@acts("Activate")
def activate(actor: Actor, mailbox: Mailbox) -> None:
    services.activate_mailbox(actor, mailbox.pk)


@admin.register(Mailbox)
class MailboxAdmin(ReadOnlyAdmin):
    list_display = ("address", "tenant", "status_badge", "provider", "created_at")
    list_select_related = ("tenant",)
    list_filter = (StatusFilter,)
    search_fields = ("address", "tenant__name", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = (suspend, activate)


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("domain", "tenant", "count", "convention", "created_at", "revealed_at")
    list_select_related = ("domain", "tenant")
    list_filter = (set_or_not("revealed_at", "revealed"),)
    search_fields = ("domain__name", "tenant__name", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)
