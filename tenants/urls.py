"""The whole surface of this app."""

from django.urls import path

from tenants import views
from tenants.api import operators, panel, signing_in, v1
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
    path("auth/trial/request-otp", signing_in.RequestCodeView.as_view()),
    path("auth/trial/verify-otp", signing_in.VerifyCodeView.as_view()),
    path("auth/me", v1.MeView.as_view()),
    path("auth/register", signing_in.RegisterView.as_view()),
    path("auth/login", signing_in.LogInView.as_view()),
    path("auth/refresh", signing_in.RefreshView.as_view()),
    path("auth/logout", signing_in.LogOutView.as_view()),
    path("auth/password/forgot", signing_in.ForgotPasswordView.as_view()),
    path("auth/password/reset", signing_in.ResetPasswordView.as_view()),
    path("auth/sessions", v1.SessionsView.as_view()),
    path("auth/sessions/end-others", v1.OtherSessionsView.as_view()),
    path("auth/sessions/<uuid:session_id>", v1.OneSessionView.as_view()),
    path("auth/session-token", v1.SessionTokenView.as_view()),
    path("auth/session-exchange", signing_in.SessionExchangeView.as_view()),
    path("profile", v1.ProfileView.as_view()),
    path("api-keys", v1.ApiKeysView.as_view()),
    path("api-keys/<uuid:api_key_id>", v1.OneApiKeyView.as_view()),
    path("auth/organisations", team_json.OrganisationsView.as_view()),
    path("auth/organisations/<uuid:tenant_id>/switch", team_json.SwitchOrganisationView.as_view()),
    path("team", team_json.TeamView.as_view()),
    path("team/invite", team_json.InviteView.as_view()),
    path("team/invitations", team_json.InvitationsView.as_view()),
    path("team/invitations/accept", team_json.AcceptInvitationView.as_view()),
    path("team/invitations/<uuid:invitation_id>", team_json.OneInvitationView.as_view()),
    path("team/invitations/<uuid:invitation_id>/resend", team_json.ResendInvitationView.as_view()),
    path("team/<uuid:user_id>", team_json.MemberView.as_view()),
]

api = [
    path("auth/login", panel.PanelLogInView.as_view()),
    path("auth/refresh", panel.PanelRefreshView.as_view()),
    path("auth/me", panel.PanelMeView.as_view()),
    path("tenants", operators.TenantsView.as_view()),
    path("tenants/<uuid:tenant_id>", operators.OneTenantView.as_view()),
    path("users", operators.UsersView.as_view()),
    path("users/<uuid:user_id>", operators.OneUserView.as_view()),
    path("customers", operators.CustomersView.as_view()),
    path("customers/<uuid:customer_id>", operators.OneCustomerView.as_view()),
]
