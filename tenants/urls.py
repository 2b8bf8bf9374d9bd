"""The whole surface of this app."""

from django.urls import path

from tenants import api as json
from tenants import panel_api as panel
from tenants import views
from tenants.team import api as team_json
from tenants.team import views as team

pages = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/code/", views.enter_code, name="sign-in-code"),
    path("sign-in/password/", views.sign_in_by_password, name="sign-in-password"),
    path("sign-in/second-factor/", views.give_second_factor, name="sign-in-second-factor"),
    path("sign-in/forgot/", views.forgot_password, name="sign-in-forgot"),
    path("sign-in/reset/", views.reset_password, name="sign-in-reset"),
    path("login/session/<str:token>", views.sign_in_by_link, name="sign-in-link"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("confirm/", views.confirm, name="confirm"),
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
    path("settings/security/", views.security, name="settings-security"),
    path("settings/security/password/", views.change_password, name="settings-password"),
    path("settings/security/second-factor/", views.second_factor_on, name="settings-second-factor"),
    path(
        "settings/security/second-factor/off/",
        views.second_factor_off,
        name="settings-second-factor-off",
    ),
    path("settings/security/recovery-codes/", views.recovery_codes, name="settings-recovery-codes"),
    path(
        "settings/security/sessions/end-others/",
        views.other_sessions_end,
        name="settings-sessions-end-others",
    ),
    path(
        "settings/security/sessions/<uuid:sign_in_id>/end/",
        views.session_end,
        name="settings-session-end",
    ),
    path("settings/security/login-link/", views.login_link, name="settings-login-link"),
    path("settings/keys/", views.key_list, name="settings-keys"),
    path("settings/keys/new/", views.key_new, name="settings-key-new"),
    path("settings/keys/<uuid:key_id>/revoke/", views.key_revoke, name="settings-key-revoke"),
    path("settings/team/", team.team, name="settings-team"),
    path("settings/team/invite/", team.invite, name="settings-invite"),
    path(
        "settings/team/invitations/<uuid:invitation_id>/resend/",
        team.invitation_resend,
        name="settings-invitation-resend",
    ),
    path(
        "settings/team/invitations/<uuid:invitation_id>/revoke/",
        team.invitation_revoke,
        name="settings-invitation-revoke",
    ),
    path("settings/team/<uuid:user_id>/", team.member, name="settings-member"),
    path("settings/team/<uuid:user_id>/remove/", team.member_remove, name="settings-member-remove"),
    path(
        "settings/organisations/<uuid:tenant_id>/switch/",
        team.switch,
        name="settings-organisation-switch",
    ),
    path("join/", team.join, name="join"),
    path("join/<str:token>", team.open_link, name="join-link"),
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
    path("auth/organisations", team_json.Organisations.as_view()),
    path("auth/organisations/<uuid:tenant_id>/switch", team_json.SwitchOrganisation.as_view()),
    path("team", team_json.Team.as_view()),
    path("team/invite", team_json.Invite.as_view()),
    path("team/invitations", team_json.Invitations.as_view()),
    path("team/invitations/accept", team_json.AcceptInvitation.as_view()),
    path("team/invitations/<uuid:invitation_id>", team_json.OneInvitation.as_view()),
    path("team/invitations/<uuid:invitation_id>/resend", team_json.ResendInvitation.as_view()),
    path("team/<uuid:user_id>", team_json.Member.as_view()),
]

api = [
    path("auth/login", json.PanelLogIn.as_view()),
    path("auth/refresh", json.PanelRefresh.as_view()),
    path("auth/me", json.PanelMe.as_view()),
    path("tenants", panel.Tenants.as_view()),
    path("tenants/<uuid:tenant_id>", panel.OneTenant.as_view()),
    path("users", panel.Users.as_view()),
    path("users/<uuid:user_id>", panel.OneUser.as_view()),
    path("customers", panel.Customers.as_view()),
    path("customers/<uuid:customer_id>", panel.OneCustomer.as_view()),
]
