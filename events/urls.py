"""The whole surface of this app."""

from django.urls import path

from events import api as json
from events import views

pages = [
    path("notifications/", views.notification_list, name="settings-notifications"),
    path("notifications/read/", views.notification_read, name="settings-notifications-read"),
    path(
        "notifications/preferences/",
        views.notification_preferences,
        name="settings-notification-preferences",
    ),
    path("webhooks/", views.webhook_list, name="settings-webhooks"),
    path("webhooks/add/", views.webhook_add, name="settings-webhook-add"),
    path("webhooks/<uuid:webhook_id>/", views.webhook_detail, name="settings-webhook"),
    path("webhooks/<uuid:webhook_id>/edit/", views.webhook_edit, name="settings-webhook-edit"),
    path(
        "webhooks/<uuid:webhook_id>/secret/", views.webhook_rotate, name="settings-webhook-rotate"
    ),
    path("webhooks/<uuid:webhook_id>/test/", views.webhook_test, name="settings-webhook-test"),
    path(
        "webhooks/<uuid:webhook_id>/delete/", views.webhook_delete, name="settings-webhook-delete"
    ),
    path(
        "webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/",
        views.delivery_detail,
        name="settings-delivery",
    ),
    path(
        "webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver/",
        views.delivery_redeliver,
        name="settings-delivery-redeliver",
    ),
    path("audit/", views.audit_log, name="settings-audit"),
    path("audit/csv/", views.audit_csv, name="settings-audit-csv"),
]

api_v1 = [
    path("notifications", json.NotificationsView.as_view()),
    path("notifications/mark-read", json.MarkReadView.as_view()),
    path("notifications/mark-all-read", json.MarkAllReadView.as_view()),
    path("notifications/settings", json.NotificationSettingsView.as_view()),
    path("webhooks", json.WebhooksView.as_view()),
    path("webhooks/<uuid:webhook_id>", json.OneWebhookView.as_view()),
    path("webhooks/<uuid:webhook_id>/rotate-secret", json.RotateSecretView.as_view()),
    path("webhooks/<uuid:webhook_id>/test", json.TestWebhookView.as_view()),
    path("webhooks/<uuid:webhook_id>/deliveries", json.DeliveriesView.as_view()),
    path(
        "webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver",
        json.RedeliverView.as_view(),
    ),
]

api = [
    path("audit", json.AuditView.as_view()),
]
