"""Operators' view of who: tenants, users, customers, and how people and programs get in."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, acts, one_of, set_or_not
from tenants import services
from tenants.models import (
    ApiKey,
    Customer,
    Guess,
    LoginLink,
    Membership,
    OneTimeCode,
    ProviderCredential,
    SecondFactor,
    Session,
    Tenant,
    User,
)
from tenants.services import operators
from tenants.team.models import Invitation


@acts(
    "Suspend",
    ask="Its people are refused at once, in the browser and by token and key. Mail goes on.",
    in_tenant=False,
)
def suspend_tenant(operator: Actor, tenant: Tenant) -> None:
    operators.suspend_tenant(operator, tenant.pk)


@acts("Activate", in_tenant=False)
def activate_tenant(operator: Actor, tenant: Tenant) -> None:
    operators.activate_tenant(operator, tenant.pk)


@acts(
    "Suspend",
    ask="They are refused at once: sessions end, and API keys are revoked for good.",
    in_tenant=False,
)
def suspend_user(operator: Actor, user: User) -> None:
    operators.suspend_user(operator, user.pk)


@acts("Activate", in_tenant=False)
def activate_user(operator: Actor, user: User) -> None:
    operators.activate_user(operator, user.pk)


@acts("End all sessions", ask="They are signed out everywhere.", in_tenant=False)
def end_sessions_of_user(operator: Actor, user: User) -> None:
    operators.end_sessions_of_user(operator, user.pk)


@acts("End session", in_tenant=False)
def end_session(operator: Actor, session: Session) -> None:
    operators.end_any_session(operator, session)


@acts("Revoke", ask="Programs that use the key are refused at once, and for good.")
def revoke_key(actor: Actor, key: ApiKey) -> None:
    if key.revoked_at is None:
        services.revoke_api_key(actor, key.pk)


class GaveUpAddress(admin.SimpleListFilter):
    """Users whose mailbox is another user's: give them an address of their own."""

    title = "address"
    parameter_name = "address"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("given-up", "given up to another user")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        return queryset.exclude(former_email="") if self.value() else queryset


@admin.register(Tenant)
class TenantAdmin(ReadOnlyAdmin):
    list_display = ("name", "status_badge", "created_at")
    list_filter = (StatusFilter,)
    search_fields = ("name", "id__exact", "customer__email")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = (suspend_tenant, activate_tenant)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    list_display = ("email", "name", "is_active", "is_operator", "last_login", "created_at")
    list_filter = ("is_active", "is_operator", GaveUpAddress)
    search_fields = ("email", "former_email", "name", "id__exact", "memberships__tenant__name")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = (suspend_user, activate_user, end_sessions_of_user)


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ("name", "email", "phone", "tenant", "created_at")
    list_select_related = ("tenant",)
    search_fields = ("name", "email", "phone", "id__exact", "tenant__name")
    date_hierarchy = "created_at"
    ordering = ("-id",)


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("user", "tenant", "role", "created_at")
    list_select_related = ("user", "tenant")
    list_filter = ("role",)
    search_fields = ("user__email", "tenant__name", "id__exact")
    ordering = ("-id",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("email", "tenant", "role", "invited_by", "sent_at", "expires_at", "accepted_at")
    list_select_related = ("tenant", "invited_by")
    list_filter = (set_or_not("accepted_at", "accepted"), set_or_not("revoked_at", "revoked"))
    search_fields = ("email", "tenant__name", "id__exact")
    ordering = ("-id",)
    hidden = ("token_hash",)


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("membership", "kind", "device", "address", "last_used_at", "ended_at")
    list_select_related = ("membership__user", "membership__tenant")
    list_filter = (one_of("kind", Session.BROWSER, Session.API), set_or_not("ended_at", "ended"))
    search_fields = ("membership__user__email", "address", "id__exact")
    date_hierarchy = "last_used_at"
    ordering = ("-id",)
    actions = (end_session,)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("name", "prefix", "membership", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("membership__user", "membership__tenant")
    list_filter = (set_or_not("revoked_at", "revoked"),)
    search_fields = ("name", "prefix", "membership__user__email", "id__exact")
    ordering = ("-id",)
    tenant_path = "membership.tenant_id"
    actions = (revoke_key,)


@admin.register(SecondFactor)
class SecondFactorAdmin(ReadOnlyAdmin):
    list_display = ("user", "confirmed_at", "created_at")
    list_select_related = ("user",)
    list_filter = (set_or_not("confirmed_at", "confirmed"),)
    search_fields = ("user__email",)
    ordering = ("-id",)


@admin.register(LoginLink)
class LoginLinkAdmin(ReadOnlyAdmin):
    list_display = ("membership", "created_at", "expires_at", "used_at")
    list_select_related = ("membership__user", "membership__tenant")
    list_filter = (set_or_not("used_at", "used"),)
    search_fields = ("membership__user__email",)
    ordering = ("-id",)


@admin.register(Guess)
class GuessAdmin(ReadOnlyAdmin):
    list_display = ("kind", "asker", "known", "created_at")
    list_filter = ("known",)
    search_fields = ("asker",)
    ordering = ("-id",)


@admin.register(OneTimeCode)
class OneTimeCodeAdmin(ReadOnlyAdmin):
    list_display = ("email", "purpose", "address", "created_at", "sent_at", "used_at", "tries")
    list_filter = (
        one_of(
            "purpose",
            OneTimeCode.SIGN_IN,
            OneTimeCode.REVEAL,
            OneTimeCode.CONFIRM,
            OneTimeCode.REGISTER,
            OneTimeCode.RESET,
        ),
        set_or_not("sent_at", "sent"),
        set_or_not("used_at", "used"),
    )
    search_fields = ("email", "address")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    hidden = ("params",)  # a password's hash is among them while somebody registers


@admin.register(ProviderCredential)
class ProviderCredentialAdmin(ReadOnlyAdmin):
    list_display = ("label", "tenant", "port", "provider", "result", "tested_at")
    list_select_related = ("tenant",)
    list_filter = (
        one_of(
            "result",
            ProviderCredential.UNTESTED,
            ProviderCredential.WORKS,
            ProviderCredential.REFUSED,
            ProviderCredential.UNREACHABLE,
        ),
    )
    search_fields = ("label", "provider", "tenant__name", "id__exact")
    ordering = ("-id",)
