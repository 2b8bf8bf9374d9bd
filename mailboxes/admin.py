"""Operators' view of mailboxes."""

from django.contrib import admin

from mailboxes import services
from mailboxes.logins import guesses
from mailboxes.models import (
    Alias,
    Batch,
    DeliveryRules,
    LoginGuesses,
    LoginNetwork,
    Mailbox,
    OutsideSender,
)
from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, acts, set_or_not


@acts("Suspend", ask="Login and sending stop; mail still arrives.")
def suspend(actor: Actor, mailbox: Mailbox) -> None:
    services.suspend_mailbox(actor, mailbox.pk)


@acts("Activate")
def activate(actor: Actor, mailbox: Mailbox) -> None:
    services.activate_mailbox(actor, mailbox.pk)


@acts(
    "Force the deletion",
    ask="For one that its provider does not confirm. An account may be left there.",
)
def force_deletion(actor: Actor, mailbox: Mailbox) -> None:
    services.force_deletion(actor, mailbox.pk)


@acts(
    "Allow other From addresses",
    ask="It may name authors of domains that nobody here has. Their DMARC may refuse such mail.",
)
def allow_outside_from(actor: Actor, mailbox: Mailbox) -> None:
    services.allow_outside_from(actor, mailbox.pk)


@acts(
    "Allow other From addresses to the whole tenant",
    ask="All its mailboxes may name authors of domains that nobody here has.",
)
def allow_outside_from_to_tenant(actor: Actor, mailbox: Mailbox) -> None:
    services.allow_outside_from(actor, mailbox.pk, whole_tenant=True)


@acts("Take back", ask="The next message with a From address of another domain is refused.")
def forbid_outside_from(actor: Actor, permission: OutsideSender) -> None:
    services.forbid_outside_from(actor, permission.pk)


@acts("Allow logins again", in_tenant=False)
def lift(actor: Actor, row: LoginGuesses) -> None:
    guesses.lift(actor, row.pk)


@admin.register(LoginGuesses)
class LoginGuessesAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "wrong", "since", "refused_until", "told_at")
    list_select_related = ("mailbox",)
    list_filter = (set_or_not("refused_until", "refused"),)
    search_fields = ("mailbox__address", "network")
    ordering = ("-updated_at",)
    actions = (lift,)


@admin.register(LoginNetwork)
class LoginNetworkAdmin(ReadOnlyAdmin):
    list_display = ("mailbox", "network", "last_login_at")
    list_select_related = ("mailbox",)
    search_fields = ("mailbox__address", "network")
    ordering = ("-last_login_at",)


@admin.register(Mailbox)
class MailboxAdmin(ReadOnlyAdmin):
    list_display = ("address", "tenant", "status_badge", "provider", "created_at")
    list_select_related = ("tenant",)
    list_filter = (StatusFilter,)
    search_fields = ("address", "tenant__name", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = (
        suspend,
        activate,
        allow_outside_from,
        allow_outside_from_to_tenant,
        force_deletion,
    )


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("domain", "tenant", "count", "convention", "created_at", "revealed_at")
    list_select_related = ("domain", "tenant")
    list_filter = (set_or_not("revealed_at", "revealed"),)
    search_fields = ("domain__name", "tenant__name", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)


@admin.register(Alias)
class AliasAdmin(ReadOnlyAdmin):
    list_display = ("address", "mailbox", "tenant", "created_at")
    list_select_related = ("mailbox", "tenant")
    search_fields = ("address", "mailbox__address", "tenant__name")
    ordering = ("-id",)


@admin.register(DeliveryRules)
class DeliveryRulesAdmin(ReadOnlyAdmin):
    list_display = ("mailbox", "tenant", "vacation_is_on", "is_pending", "error_code")
    list_select_related = ("mailbox", "tenant")
    list_filter = ("vacation_is_on", "is_pending")
    search_fields = ("mailbox__address", "tenant__name", "id__exact")
    ordering = ("-id",)


@admin.register(OutsideSender)
class OutsideSenderAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "mailbox", "created_at")
    list_select_related = ("tenant", "mailbox")
    search_fields = ("mailbox__address", "tenant__name")
    ordering = ("-id",)
    actions = (forbid_outside_from,)
