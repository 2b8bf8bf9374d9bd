"""The whole surface of this app."""

from django.urls import path

from mailboxes import api as json
from mailboxes import email_api as email
from mailboxes import panel_api as panel
from mailboxes import rules_api as rules
from mailboxes import views

pages = [
    path("", views.mailbox_list, name="mailbox-list"),
    path("csv/", views.mailbox_csv, name="mailbox-csv"),
    path("new/", views.mailbox_new, name="mailbox-new"),
    path("import/", views.mailbox_import, name="mailbox-import"),
    path("bulk/", views.mailbox_bulk, name="mailbox-bulk"),
    path("delete/", views.mailbox_delete_many, name="mailbox-delete-many"),
    path("<uuid:mailbox_id>/", views.mailbox_detail, name="mailbox-detail"),
    path("<uuid:mailbox_id>/suspend/", views.mailbox_suspend, name="mailbox-suspend"),
    path("<uuid:mailbox_id>/activate/", views.mailbox_activate, name="mailbox-activate"),
    path("<uuid:mailbox_id>/retry/", views.mailbox_retry, name="mailbox-retry"),
    path("<uuid:mailbox_id>/delete/", views.mailbox_delete, name="mailbox-delete"),
    path("<uuid:mailbox_id>/password/", views.mailbox_password, name="mailbox-password"),
    path("<uuid:mailbox_id>/quota/", views.mailbox_quota, name="mailbox-quota"),
    path("<uuid:mailbox_id>/rules/", views.mailbox_rules, name="mailbox-rules"),
    path("<uuid:mailbox_id>/aliases/", views.alias_add, name="alias-add"),
    path("aliases/<uuid:alias_id>/delete/", views.alias_delete, name="alias-delete"),
    path("domains/<uuid:domain_id>/", views.domain_mail, name="domain-mail"),
    path("domains/<uuid:domain_id>/attach/", views.domain_attach, name="domain-attach"),
    path("domains/<uuid:domain_id>/region/", views.domain_region, name="domain-region"),
    path("domains/<uuid:domain_id>/aliases/", views.domain_alias_add, name="domain-alias-add"),
    path("<uuid:mailbox_id>/reveal/", views.mailbox_reveal, name="mailbox-reveal"),
    path("batches/<uuid:batch_id>/reveal/", views.batch_reveal, name="batch-reveal"),
    path("batches/<uuid:batch_id>/csv/", views.batch_csv, name="batch-csv"),
]

api = [
    path("mailboxes", panel.MailboxesView.as_view()),
    path("mailboxes/bulk", panel.MailboxBulkView.as_view()),
    path("mailboxes/import", panel.MailboxImportView.as_view()),
    path("mailboxes/<uuid:mailbox_id>", panel.OneMailboxView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/password", panel.MailboxPasswordView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/quota", panel.MailboxQuotaView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/suspend", panel.SuspendMailboxView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/activate", panel.ActivateMailboxView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/rules", rules.MailboxRulesView.as_view()),
    path("email/domains", email.EmailDomainsView.as_view()),
    path("email/regions", email.EmailRegionsView.as_view()),
    path("email/mailboxes", email.DomainMailboxesView.as_view()),
    path("email/mailboxes/<uuid:mailbox_id>", email.DomainMailboxView.as_view()),
    path("email/aliases", email.AliasesView.as_view()),
    path("email/aliases/<uuid:alias_id>", email.OneAliasView.as_view()),
]

api_v1 = [
    path("infrastructure/provision", json.ProvisionView.as_view()),
    path("infrastructure/provision/csv", json.InboxFileView.as_view()),
    path("infrastructure/inboxes", json.InboxesView.as_view()),
    path("email-accounts", json.EmailAccountsView.as_view()),
    path("email-accounts/batch", json.EmailAccountBatchView.as_view()),
    path("email-accounts/<uuid:account_id>", json.OneEmailAccountView.as_view()),
    path(
        "email-accounts/<uuid:account_id>/credentials",
        json.EmailAccountCredentialsView.as_view(),
    ),
]
