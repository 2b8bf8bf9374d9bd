"""The whole surface of this app."""

from django.urls import path

from mailboxes import api as json
from mailboxes import views

pages = [
    path("", views.mailbox_list, name="mailbox-list"),
    path("csv/", views.mailbox_csv, name="mailbox-csv"),
    path("delete/", views.mailbox_delete_many, name="mailbox-delete-many"),
    path("<uuid:mailbox_id>/", views.mailbox_detail, name="mailbox-detail"),
    path("<uuid:mailbox_id>/suspend/", views.mailbox_suspend, name="mailbox-suspend"),
    path("<uuid:mailbox_id>/activate/", views.mailbox_activate, name="mailbox-activate"),
    path("<uuid:mailbox_id>/retry/", views.mailbox_retry, name="mailbox-retry"),
    path("<uuid:mailbox_id>/delete/", views.mailbox_delete, name="mailbox-delete"),
    path("<uuid:mailbox_id>/reveal/", views.mailbox_reveal, name="mailbox-reveal"),
    path("batches/<uuid:batch_id>/reveal/", views.batch_reveal, name="batch-reveal"),
    path("batches/<uuid:batch_id>/csv/", views.batch_csv, name="batch-csv"),
]

api_v1 = [
    path("infrastructure/provision", json.Provision.as_view()),
    path("infrastructure/provision/csv", json.InboxFile.as_view()),
    path("infrastructure/inboxes", json.Inboxes.as_view()),
    path("email-accounts", json.EmailAccounts.as_view()),
    path("email-accounts/batch", json.EmailAccountBatch.as_view()),
    path("email-accounts/<uuid:account_id>", json.OneEmailAccount.as_view()),
    path(
        "email-accounts/<uuid:account_id>/credentials",
        json.EmailAccountCredentials.as_view(),
    ),
]
