"""The whole surface of this app: a domain's page, its zone's records, plans and propagation."""

from django.urls import path

from dnszones import views
from dnszones.api import panel as zones
from dnszones.api import v1 as json
from dnszones.discovery import api as existing
from dnszones.dkim.api import DkimView, RotateDkimView
from dnszones.dkim.views import dkim_rotate
from dnszones.dnssec import views as dnssec_views
from dnszones.dnssec.api import OneZonesDnssecView
from dnszones.spf.flattened.api import CheckSpfView, SpfRecordView, StopSpfView
from dnszones.spf.flattened.views import domain_spf, spf_check, spf_stop
from dnszones.zones import views as zone_views

pages = [
    path("<uuid:domain_id>/", views.domain_detail, name="domain-detail"),
    path("<uuid:domain_id>/records/", views.zone_records, name="zone-records"),
    path("<uuid:domain_id>/records/check/", views.records_check, name="records-check"),
    path("<uuid:domain_id>/dnssec/", dnssec_views.domain_dnssec, name="domain-dnssec"),
    path("<uuid:domain_id>/dnssec/check/", dnssec_views.dnssec_check, name="dnssec-check"),
    path("<uuid:domain_id>/dnssec/off/", dnssec_views.dnssec_off, name="dnssec-off"),
    path("<uuid:domain_id>/dkim/rotate/", dkim_rotate, name="dkim-rotate"),
    path("<uuid:domain_id>/spf/", domain_spf, name="domain-spf"),
    path("<uuid:domain_id>/spf/check/", spf_check, name="spf-check"),
    path("<uuid:domain_id>/spf/stop/", spf_stop, name="spf-stop"),
    path("<uuid:domain_id>/plans/", views.plan_list, name="plan-list"),
    path("plans/<uuid:plan_id>/", views.plan_detail, name="plan-detail"),
    path("plans/<uuid:plan_id>/apply/", zone_views.plan_apply, name="plan-apply"),
    path("plans/<uuid:plan_id>/revert/", views.plan_revert, name="plan-revert"),
    path("propagation/<uuid:session_id>/cancel/", views.session_cancel, name="session-cancel"),
    path("<uuid:domain_id>/propagation/", views.session_start, name="session-start"),
]

dns_pages = [
    path("", zone_views.zone_list, name="zone-list"),
    path("<uuid:zone_id>/", zone_views.zone_detail, name="zone-detail"),
    path("<uuid:zone_id>/add/", zone_views.record_add, name="record-add"),
    path("<uuid:zone_id>/export/", zone_views.zone_export, name="zone-export"),
    path("<uuid:zone_id>/import/", zone_views.zone_import, name="zone-import"),
    path("<uuid:zone_id>/records/<str:record_id>/", zone_views.record_edit, name="record-edit"),
    path(
        "<uuid:zone_id>/records/<str:record_id>/delete/",
        zone_views.record_delete,
        name="record-delete",
    ),
]

api = [
    path("dns/zones", zones.ZonesView.as_view()),
    path("dns/zones/<uuid:zone_id>", zones.OneZoneView.as_view()),
    path("dns/zones/<uuid:zone_id>/records", zones.ZoneRecordsView.as_view()),
    path("dns/zones/<uuid:zone_id>/records/<str:record_id>", zones.OneZoneRecordView.as_view()),
    path("dns/zones/<uuid:zone_id>/export", zones.ExportZoneView.as_view()),
    path("dns/zones/<uuid:zone_id>/import", zones.ImportZoneView.as_view()),
    path("dns/zones/<uuid:zone_id>/changes", zones.ZoneChangesView.as_view()),
    path("dns/changes/<uuid:change_id>", zones.OneChangeView.as_view()),
    path("dns/changes/<uuid:change_id>/apply", zones.ApplyChangeView.as_view()),
    path("dns/changes/<uuid:change_id>/revert", zones.RevertChangeView.as_view()),
    path("dns/zones/<uuid:zone_id>/dnssec", OneZonesDnssecView.as_view()),
]

api_v1 = [
    path("domains/<uuid:domain_id>/existing-records", existing.GetExistingRecordsView.as_view()),
    path(
        "domains/<uuid:domain_id>/existing-records/look",
        existing.LookForExistingRecordsView.as_view(),
    ),
    path(
        "domains/<uuid:domain_id>/existing-records/take-over",
        existing.TakeOverRecordsView.as_view(),
    ),
    path(
        "domains/<uuid:domain_id>/existing-records/compare",
        existing.CompareNameserversView.as_view(),
    ),
    path(
        "domains/<uuid:domain_id>/existing-records/skip", existing.GoOnWithoutRecordsView.as_view()
    ),
    path("domains/<uuid:domain_id>/dns/preview", json.PreviewSetupView.as_view()),
    path("domains/<uuid:domain_id>/dns/setup", json.SetUpView.as_view()),
    path("domains/<uuid:domain_id>/dns/verify", json.VerifySetupView.as_view()),
    path("domains/<uuid:domain_id>/dns/status", json.PropagationStatusView.as_view()),
    path("domains/<uuid:domain_id>/dkim", DkimView.as_view()),
    path("domains/<uuid:domain_id>/dkim/rotate", RotateDkimView.as_view()),
    path("domains/<uuid:domain_id>/spf", SpfRecordView.as_view()),
    path("domains/<uuid:domain_id>/spf/check", CheckSpfView.as_view()),
    path("domains/<uuid:domain_id>/spf/stop", StopSpfView.as_view()),
    path("domains/<uuid:domain_id>/dns/polling", json.StartPollingView.as_view()),
    path("dns/polling/<uuid:session_id>", json.OnePollingView.as_view()),
    path("dns/polling/<uuid:session_id>/check", json.CheckPollingView.as_view()),
    path("dns/polling/<uuid:session_id>/cancel", json.CancelPollingView.as_view()),
    path("dns/spf/flatten", json.FlattenSPFView.as_view()),
]
