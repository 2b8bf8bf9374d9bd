"""Operators' view of zones, records, plans and how they spread."""

from django.contrib import admin

from dnszones.models import (
    ChangePlan,
    DkimKey,
    PropagationSession,
    Record,
    SpfFlattening,
    SpfFlatteningChange,
    Zone,
    ZoneDiscovery,
)
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, one_of


@admin.register(Zone)
class ZoneAdmin(ReadOnlyAdmin):
    list_display = ("domain", "provider", "remote_id", "created_at")
    list_select_related = ("domain",)
    search_fields = ("domain__name", "remote_id", "id__exact")
    ordering = ("-id",)


@admin.register(ZoneDiscovery)
class ZoneDiscoveryAdmin(ReadOnlyAdmin):
    list_display = ("zone", "status_badge", "looked_at", "comparisons", "compared_at")
    list_select_related = ("zone__domain",)
    list_filter = (StatusFilter,)
    search_fields = ("zone__domain__name", "id__exact")
    ordering = ("-id",)


@admin.register(Record)
class RecordAdmin(ReadOnlyAdmin):
    list_display = ("name", "type", "purpose", "ours", "status_badge", "percent", "checked_at")
    list_filter = (
        one_of("status", Record.PENDING, Record.PROPAGATING, Record.PROPAGATED, Record.FAILED),
        one_of("type", "TXT", "MX", "CNAME", "A", "AAAA"),
        "ours",
    )
    search_fields = ("name", "content", "zone__domain__name", "zone__id__exact")
    ordering = ("-id",)


@admin.register(ChangePlan)
class ChangePlanAdmin(ReadOnlyAdmin):
    list_display = ("zone", "status_badge", "created_by", "computed_at", "applied_at")
    list_select_related = ("zone__domain", "created_by")
    list_filter = (StatusFilter,)
    search_fields = ("zone__domain__name", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-id",)


@admin.register(PropagationSession)
class PropagationSessionAdmin(ReadOnlyAdmin):
    list_display = ("zone", "status_badge", "progress", "check_count", "last_checked_at")
    list_select_related = ("zone__domain",)
    list_filter = (StatusFilter,)
    search_fields = ("zone__domain__name", "id__exact")
    ordering = ("-id",)


@admin.register(DkimKey)
class DkimKeyAdmin(ReadOnlyAdmin):
    list_display = ("selector", "zone", "created_at")
    list_select_related = ("zone__domain",)
    search_fields = ("selector", "zone__domain__name")
    ordering = ("-id",)


@admin.register(SpfFlattening)
class SpfFlatteningAdmin(ReadOnlyAdmin):
    list_display = ("zone", "status_badge", "lookups", "checked_at", "failing_since")
    list_select_related = ("zone__domain",)
    list_filter = (StatusFilter,)
    search_fields = ("zone__domain__name", "id__exact")
    ordering = ("-id",)


@admin.register(SpfFlatteningChange)
class SpfFlatteningChangeAdmin(ReadOnlyAdmin):
    list_display = ("flattening", "what", "created_at")
    list_select_related = ("flattening__zone__domain",)
    search_fields = ("flattening__zone__domain__name", "id__exact")
    ordering = ("-id",)
