"""The whole surface of this app."""

from django.urls import path

from tenants import api as json
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

api_v1 = [
    path("auth/register", json.Register.as_view()),
    path("auth/login", json.LogIn.as_view()),
    path("auth/refresh", json.Refresh.as_view()),
    path("auth/logout", json.LogOut.as_view()),
    path("auth/password/forgot", json.ForgotPassword.as_view()),
    path("auth/password/reset", json.ResetPassword.as_view()),
    path("auth/sessions", json.Sessions.as_view()),
    path("auth/sessions/end-others", json.OtherSessions.as_view()),
    path("auth/sessions/<uuid:session_id>", json.OneSession.as_view()),
    path("auth/session-token", json.SessionToken.as_view()),
    path("auth/session-exchange", json.SessionExchange.as_view()),
    path("profile", json.Profile.as_view()),
    path("api-keys", json.ApiKeys.as_view()),
    path("api-keys/<uuid:api_key_id>", json.OneApiKey.as_view()),
]

api = [
    path("auth/login", json.PanelLogIn.as_view()),
    path("auth/refresh", json.PanelRefresh.as_view()),
    path("auth/me", json.PanelMe.as_view()),
]
