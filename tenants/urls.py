"""The whole surface of this app."""

from django.urls import path

from tenants import views

pages = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/code/", views.enter_code, name="sign-in-code"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("credentials/", views.credential_list, name="credential-list"),
    path("credentials/add/", views.credential_add, name="credential-add"),
    path(
        "credentials/add/<slug:port>/<slug:provider>/", views.credential_new, name="credential-new"
    ),
    path("credentials/<uuid:credential_id>/", views.credential_edit, name="credential-edit"),
    path("credentials/<uuid:credential_id>/test/", views.credential_test, name="credential-test"),
    path(
        "credentials/<uuid:credential_id>/delete/",
        views.credential_delete,
        name="credential-delete",
    ),
    path("settings/profile/", views.profile, name="settings-profile"),
]
