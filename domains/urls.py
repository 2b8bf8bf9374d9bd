"""The whole surface of this app. A domain's own page is in `dnszones`, which knows its records."""

from django.urls import path

from domains import api as json
from domains import views

pages = [
    path("", views.domain_list, name="domain-list"),
    path("<uuid:domain_id>/edit/", views.domain_edit, name="domain-edit"),
    path("<uuid:domain_id>/check/", views.domain_check, name="domain-check"),
    path("<uuid:domain_id>/disconnect/", views.domain_disconnect, name="domain-disconnect"),
]

api_v1 = [
    path("domains", json.DomainsView.as_view()),
    path("domains/register", json.RegisterDomainView.as_view()),
    path("domains/connect", json.ConnectDomainView.as_view()),
    path("domains/verify-nameservers", json.VerifyManyNameserversView.as_view()),
    path("domains/<uuid:domain_id>", json.OneDomainView.as_view()),
    path(
        "domains/<uuid:domain_id>/nameserver-instructions",
        json.NameserverInstructionsView.as_view(),
    ),
    path("domains/<uuid:domain_id>/verify-nameservers", json.VerifyNameserversView.as_view()),
]
