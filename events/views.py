"""Settings pages about what happened: notifications, webhooks, the audit log."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from events import selectors, services
from events.csvfiles import audit_lines, in_pages
from events.forms import AuditForm, PreferencesForm, WebhookEditForm, WebhookForm
from events.models import WebhookDelivery
from events.services.notifications import PreferenceChange
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.pages import (
    PageRequest,
    add_errors,
    chosen_ids,
    confirmed,
    paginate,
    safe_next,
    signed_in,
)
from mpanel.core.places import require_POST

SETTINGS = {"section": "settings"}
WEBHOOKS = ("Webhooks", "/settings/webhooks/")


# --- Notifications ---------------------------------------------------------------------------


@signed_in
@require_GET
def notification_list(request: PageRequest) -> HttpResponseBase:
    """What the person was told, newest first."""
    unread = request.GET.get("show") == "unread"
    page = paginate(request, selectors.notifications(request.actor, unread=unread))
    context = {
        **SETTINGS,
        "tab": "notifications",
        "page": page,
        "unread_only": unread,
        "page_title": "Notifications",
        "page_subtitle": "Activity in your account.",
    }
    return render(request, "events/notification_list.html", context)


@signed_in
@require_POST
def notification_read(request: PageRequest) -> HttpResponseBase:
    """Mark some as read, or all."""
    if request.POST.get("all"):
        services.mark_all_read(request.actor)
    else:
        services.mark_read(request.actor, chosen_ids(request, "notification"))
    return redirect(safe_next(request, "/settings/notifications/"))


@signed_in
@require_http_methods(["GET", "POST"])
def notification_preferences(request: PageRequest) -> HttpResponseBase:
    """How the person is told of each kind."""
    form = PreferencesForm(
        request.POST if request.method == "POST" else None,
        settings=selectors.preferences(request.actor),
    )
    if request.method == "POST" and form.is_valid():
        changes = {kind: PreferenceChange(**change) for kind, change in form.changes().items()}
        services.change_preferences(request.actor, changes)
        messages.success(request, "Saved.")
        return redirect("settings-notification-preferences")
    context = {
        **SETTINGS,
        "tab": "notifications",
        "form": form,
        "page_title": "Notification preferences",
        "page_subtitle": "For each kind of notification: in the panel, by e-mail, or not at all.",
        "crumbs": [("Notifications", "/settings/notifications/")],
    }
    return render(request, "events/notification_preferences.html", context)


# --- Webhooks --------------------------------------------------------------------------------


@signed_in
@require_GET
def webhook_list(request: PageRequest) -> HttpResponseBase:
    """The tenant's webhooks."""
    context = {
        **SETTINGS,
        "tab": "webhooks",
        "webhooks": selectors.webhooks(request.actor),
        "page_title": "Webhooks",
        "page_subtitle": "We tell your own systems what happens here, as it happens.",
    }
    return render(request, "events/webhook_list.html", context)


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def webhook_add(request: PageRequest) -> HttpResponseBase:
    """Add a webhook, and show its secret once."""
    selectors.webhooks(request.actor)  # for admins
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint, secret = services.create_webhook(request.actor, **form.cleaned_data)
        except Invalid as error:
            add_errors(form, error)
        except Conflict as error:
            form.add_error(None, error.message)
        else:
            return _secret_page(request, endpoint, secret)
    context = {
        **SETTINGS,
        "form": form,
        "cancel_url": "/settings/webhooks/",
        "submit_label": "Add the webhook",
        "page_title": "Add a webhook",
        "crumbs": [WEBHOOKS],
    }
    return _form_page(request, context)


@signed_in
@require_GET
def webhook_detail(request: PageRequest, webhook_id: UUID) -> HttpResponseBase:
    """One webhook and what was sent to it."""
    endpoint = selectors.get_webhook(request.actor, webhook_id)
    status = request.GET.get("status", "")
    status = status if status in WebhookDelivery.STATUSES else ""
    page = paginate(request, selectors.deliveries(request.actor, webhook_id, status=status))
    context = {
        **SETTINGS,
        "webhook": endpoint,
        "two_secrets_until": endpoint.previous_until
        if endpoint.previous_until and endpoint.previous_until > timezone.now()
        else None,
        "page": page,
        "status": status,
        "statuses": WebhookDelivery.STATUSES,
        "any_pending": any(row.status == WebhookDelivery.PENDING for row in page),
        "page_title": str(endpoint),
        "crumbs": [WEBHOOKS],
    }
    template = "events/webhook_detail.html"
    return render(request, f"{template}#deliveries" if request.htmx else template, context)


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def webhook_edit(request: PageRequest, webhook_id: UUID) -> HttpResponseBase:
    """Change where and of what it is told, and switch it on or off."""
    endpoint = selectors.get_webhook(request.actor, webhook_id)
    form = WebhookEditForm(
        request.POST if request.method == "POST" else None,
        initial={
            "url": endpoint.url,
            "actions": endpoint.actions,
            "description": endpoint.description,
            "enabled": endpoint.enabled,
        },
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.change_webhook(request.actor, webhook_id, **form.cleaned_data)
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("settings-webhook", webhook_id)
    context = {
        **SETTINGS,
        "form": form,
        "cancel_url": f"/settings/webhooks/{webhook_id}/",
        "submit_label": "Save",
        "page_title": "Change the webhook",
        "page_subtitle": str(endpoint),
        "crumbs": [WEBHOOKS, (str(endpoint), f"/settings/webhooks/{webhook_id}/")],
    }
    return _form_page(request, context)


@signed_in
@require_http_methods(["GET", "POST"])
def webhook_rotate(request: PageRequest, webhook_id: UUID) -> HttpResponseBase:
    """Make a new secret after a second question, and show it once."""
    endpoint = selectors.get_webhook(request.actor, webhook_id)
    if request.method == "POST":
        return _secret_page(request, endpoint, services.rotate_secret(request.actor, webhook_id))
    context = {
        **SETTINGS,
        "title": f"Make a new secret for “{endpoint}”?",
        "text": "For 24 hours every delivery is signed with both secrets, so that you can change "
        "it without a break. A secret that was replaced before ends now.",
        "confirm_label": "Make a new secret",
        "cancel_url": f"/settings/webhooks/{webhook_id}/",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_POST
def webhook_test(request: PageRequest, webhook_id: UUID) -> HttpResponseBase:
    """Send a test to this webhook."""
    services.send_test(request.actor, webhook_id)
    messages.success(request, "The test was sent. It appears below in a moment.")
    return redirect("settings-webhook", webhook_id)


@signed_in
@require_http_methods(["GET", "POST"])
def webhook_delete(request: PageRequest, webhook_id: UUID) -> HttpResponseBase:
    """Forget a webhook, after a second question."""
    endpoint = selectors.get_webhook(request.actor, webhook_id)
    if request.method == "POST":
        services.delete_webhook(request.actor, webhook_id)
        messages.success(request, f"Deleted “{endpoint}”.")
        return redirect("settings-webhooks")
    context = {
        **SETTINGS,
        "title": f"Delete “{endpoint}”?",
        "text": "Nothing is sent there any more, and its log of deliveries goes.",
        "confirm_label": "Delete",
        "cancel_url": f"/settings/webhooks/{webhook_id}/",
        "tone": "danger",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_GET
def delivery_detail(request: PageRequest, webhook_id: UUID, delivery_id: UUID) -> HttpResponseBase:
    """One delivery: what was sent, and every try."""
    delivery = selectors.get_delivery(request.actor, delivery_id, webhook_id=webhook_id)
    context = {
        **SETTINGS,
        "delivery": delivery,
        "webhook": delivery.endpoint,
        "body": delivery.body().decode(),
        "attempts": selectors.attempts(delivery),
        "page_title": delivery.event.action,
        "page_subtitle": delivery.event.sentence,
        "crumbs": [WEBHOOKS, (str(delivery.endpoint), f"/settings/webhooks/{webhook_id}/")],
    }
    return render(request, "events/delivery_detail.html", context)


@signed_in
@require_POST
def delivery_redeliver(
    request: PageRequest, webhook_id: UUID, delivery_id: UUID
) -> HttpResponseBase:
    """Send a delivery once more."""
    services.redeliver(request.actor, webhook_id, delivery_id)
    messages.success(request, "Sending it again.")
    return redirect("settings-webhook", webhook_id)


def _secret_page(request: PageRequest, endpoint: Any, secret: str) -> HttpResponseBase:
    context = {
        **SETTINGS,
        "webhook": endpoint,
        "secret": secret,
        "page_title": "The webhook’s secret",
        "page_subtitle": str(endpoint),
        "crumbs": [WEBHOOKS, (str(endpoint), f"/settings/webhooks/{endpoint.pk}/")],
    }
    return render(request, "events/webhook_secret.html", context)


def _form_page(request: PageRequest, context: dict[str, Any]) -> HttpResponseBase:
    status = 422 if context["form"].errors else 200
    return render(request, "events/webhook_form.html", context, status=status)


# --- Audit log -------------------------------------------------------------------------------


@signed_in
@require_GET
def audit_log(request: PageRequest) -> HttpResponseBase:
    """Everything that happened, filtered."""
    form = AuditForm(request.GET)
    wanted = form.wanted()
    actions, subjects = selectors.audit_words(request.actor)
    context = {
        **SETTINGS,
        "tab": "audit",
        "form": form,
        "actions": actions,
        "subjects": subjects,
        "page": paginate(request, selectors.audit(request.actor, wanted)),
        "filtered": any(request.GET.get(name) for name in form.fields),
        "page_title": "Audit log",
        "page_subtitle": "Who did what, when and from where. Nobody can change it.",
    }
    return render(request, "events/audit_log.html", context)


@signed_in
@require_GET
def audit_csv(request: PageRequest) -> HttpResponseBase:
    """What the filter shows, as a file."""
    found = selectors.audit(request.actor, AuditForm(request.GET).wanted())
    lines = audit_lines(in_pages(found))
    name = f"audit-{timezone.now():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
