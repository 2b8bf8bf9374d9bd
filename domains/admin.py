"""Operators' view of names."""

from django.contrib import admin

from domains.models import Domain, Registration
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, set_or_not


@admin.register(Domain)
class DomainAdmin(ReadOnlyAdmin):
    list_display = ("unicode_name", "tenant", "status_badge", "verified_at", "created_at")
    list_select_related = ("tenant",)
    list_filter = (StatusFilter, set_or_not("verified_at", "verified"))
    search_fields = ("name", "unicode_name", "tenant__name", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)


@admin.register(Registration)
class RegistrationAdmin(ReadOnlyAdmin):
    list_display = ("name", "tenant", "provider", "status_badge", "price", "expires_at")
    list_select_related = ("tenant",)
    list_filter = (StatusFilter,)
    search_fields = ("name", "remote_id", "tenant__name", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)
