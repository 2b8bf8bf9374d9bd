"""The whole surface of this app: a domain's page, its zone's records, plans and propagation."""

from django.urls import path

from dnszones import api as json
from dnszones import views

pages = [
    path("<uuid:domain_id>/", views.domain_detail, name="domain-detail"),
    path("<uuid:domain_id>/records/", views.zone_records, name="zone-records"),
    path("<uuid:domain_id>/records/check/", views.records_check, name="records-check"),
    path("<uuid:domain_id>/plans/", views.plan_list, name="plan-list"),
    path("plans/<uuid:plan_id>/", views.plan_detail, name="plan-detail"),
    path("plans/<uuid:plan_id>/revert/", views.plan_revert, name="plan-revert"),
    path("propagation/<uuid:session_id>/cancel/", views.session_cancel, name="session-cancel"),
    path("<uuid:domain_id>/propagation/", views.session_start, name="session-start"),
]

api_v1 = [
    path("domains/<uuid:domain_id>/dns/preview", json.PreviewSetup.as_view()),
    path("domains/<uuid:domain_id>/dns/setup", json.SetUp.as_view()),
    path("domains/<uuid:domain_id>/dns/verify", json.VerifySetup.as_view()),
    path("domains/<uuid:domain_id>/dns/status", json.PropagationStatus.as_view()),
    path("domains/<uuid:domain_id>/dns/polling", json.StartPolling.as_view()),
    path("dns/polling/<uuid:session_id>", json.OnePolling.as_view()),
    path("dns/polling/<uuid:session_id>/check", json.CheckPolling.as_view()),
    path("dns/polling/<uuid:session_id>/cancel", json.CancelPolling.as_view()),
    path("dns/spf/flatten", json.FlattenSPF.as_view()),
]
