"""The whole surface of this app. A domain's own page is in `dnszones`, which knows its records."""

from django.urls import path

from domains import views

pages = [
    path("", views.domain_list, name="domain-list"),
    path("<uuid:domain_id>/edit/", views.domain_edit, name="domain-edit"),
    path("<uuid:domain_id>/check/", views.domain_check, name="domain-check"),
    path("<uuid:domain_id>/disconnect/", views.domain_disconnect, name="domain-disconnect"),
]
