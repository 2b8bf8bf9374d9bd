"""The whole surface of this app."""

from django.urls import path

from deliverability import api as sending
from deliverability import health_api as health
from deliverability import views

# Below /mailboxes/.
pages = [
    path("<uuid:mailbox_id>/sending/", views.mailbox_sending, name="mailbox-sending"),
    path("<uuid:mailbox_id>/resume/", views.mailbox_resume, name="mailbox-resume"),
    path("domains/<uuid:domain_id>/sending/", views.domain_sending, name="domain-sending"),
    path("domains/<uuid:domain_id>/ceiling/", views.domain_ceiling, name="domain-ceiling"),
]

api = [
    path("mailboxes/<uuid:mailbox_id>/sending", sending.MailboxSendingView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/limits", sending.MailboxLimitsView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/resume", sending.MailboxResumeView.as_view()),
    path("mailboxes/<uuid:mailbox_id>/health", health.MailboxHealthView.as_view()),
    path("email/domains/<uuid:domain_id>/health", health.MailDomainHealthView.as_view()),
]
