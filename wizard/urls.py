"""The whole surface of this app."""

from django.urls import path

from wizard import views

pages = [
    path("", views.home, name="home"),
    path("overview/", views.overview, name="overview"),
    path("settings/plan/", views.plan, name="settings-plan"),
    path("setup/", views.start, name="setup"),
    path("setup/register/", views.register, name="setup-register"),
    path("setup/<uuid:domain_id>/", views.resume, name="setup-resume"),
    path("setup/<uuid:domain_id>/domain/", views.domain, name="setup-domain"),
    path("setup/<uuid:domain_id>/nameservers/", views.nameservers, name="setup-nameservers"),
    path("setup/<uuid:domain_id>/existing/take/", views.existing_take, name="existing-take"),
    path("setup/<uuid:domain_id>/existing/look/", views.existing_look, name="existing-look"),
    path(
        "setup/<uuid:domain_id>/existing/compare/", views.existing_compare, name="existing-compare"
    ),
    path("setup/<uuid:domain_id>/existing/skip/", views.existing_skip, name="existing-skip"),
    path("setup/<uuid:domain_id>/dns/", views.dns, name="setup-dns"),
    path("setup/<uuid:domain_id>/dns/<uuid:plan_id>/apply/", views.dns_apply, name="setup-apply"),
    path(
        "setup/<uuid:domain_id>/dns/<uuid:plan_id>/replace/",
        views.dns_replace,
        name="setup-replace",
    ),
    path("setup/<uuid:domain_id>/propagation/", views.propagation, name="setup-propagation"),
    path("setup/<uuid:domain_id>/go-on/", views.go_on, name="setup-go-on"),
    path("setup/<uuid:domain_id>/inboxes/", views.inboxes, name="setup-inboxes"),
    path("setup/<uuid:domain_id>/inboxes/preview/", views.preview, name="setup-preview"),
    path("setup/<uuid:domain_id>/outreach/", views.outreach, name="setup-outreach"),
    path(
        "setup/<uuid:domain_id>/outreach/<slug:provider>/campaigns/",
        views.campaigns,
        name="setup-campaigns",
    ),
]
