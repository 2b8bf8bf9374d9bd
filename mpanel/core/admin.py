"""Operators see how much was asked for, not what was answered."""

from django.contrib import admin

from mpanel.core.adminpages import ReadOnlyAdmin
from mpanel.core.models import IdempotentAnswer, RateWindow


@admin.register(RateWindow)
class RateWindowAdmin(ReadOnlyAdmin):
    list_display = ("bucket", "used", "updated_at")
    search_fields = ("bucket",)
    ordering = ("-updated_at",)


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(ReadOnlyAdmin):
    list_display = ("id", "status", "created_at")
    search_fields = ("id__exact",)
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
