"""Outbound webhooks: added, changed, tested, and their deliveries sent again."""

import re
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from events import selectors
from events.addresses import complaint_about
from events.delivery import give_up_pending
from events.models import Event, WebhookDelivery, WebhookEndpoint, new_secret, tenant_model
from events.services.records import record
from mpanel.core import periodic
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict, Invalid

PATTERN = re.compile(r"\*|[a-z][a-z_]*\.(\*|[a-z][a-z_]*)")
MOST_PATTERNS = 50


class TooManyWebhooks(Conflict):
    """You have ten webhooks already, which is the limit. Delete one first."""

    code = "WEBHOOK_LIMIT"


class WebhookIsOff(Conflict):
    """This webhook is switched off. Switch it on first."""

    code = "WEBHOOK_DISABLED"


@transaction.atomic
def create_webhook(
    actor: Actor, *, url: str, actions: Sequence[str], description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """Tell this address of these events from now on. The webhook, and its secret this one time."""
    actor.require(ADMIN, "webhooks:write")
    actor.require_fresh_code()
    url, actions = _cleaned_url(url), _cleaned_actions(actions)
    # Of several who add the last one at once, one wins.
    tenant_model().objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
    if selectors.webhooks(actor).count() >= WebhookEndpoint.MOST:
        raise TooManyWebhooks
    endpoint = WebhookEndpoint(
        tenant_id=actor.tenant_id,
        url=url,
        description=_line(description),
        actions=actions,
    )
    secret = new_secret()
    endpoint.set_secret(secret)
    endpoint.save()
    record(
        actor,
        "webhook.created",
        endpoint,
        f"Added the webhook “{endpoint.name}”.",
        changes={"host": endpoint.host, "actions": actions},
    )
    return endpoint, secret


@transaction.atomic
def change_webhook(
    actor: Actor,
    webhook_id: UUID,
    *,
    url: str | None = None,
    actions: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> WebhookEndpoint:
    """Change what is given. What is on its way to a webhook that is switched off is given up."""
    actor.require(ADMIN, "webhooks:write")
    endpoint = _locked(actor, webhook_id)
    actor.require_fresh_code()
    was = endpoint.enabled
    endpoint.url = endpoint.url if url is None else _cleaned_url(url)
    endpoint.actions = endpoint.actions if actions is None else _cleaned_actions(actions)
    endpoint.description = endpoint.description if description is None else _line(description)
    endpoint.enabled = was if enabled is None else enabled
    if endpoint.enabled and not was:
        endpoint.disabled_reason, endpoint.failures, endpoint.failing_since = "", 0, None
    if was and not endpoint.enabled:
        endpoint.disabled_reason = f"Switched off by {actor.email}."
        give_up_pending(endpoint)
    endpoint.save()
    record(
        actor,
        "webhook.updated",
        endpoint,
        f"Changed the webhook “{endpoint.name}”.",
        changes={
            "host": endpoint.host,
            "actions": endpoint.actions,
            "enabled": endpoint.enabled,
        },
    )
    return endpoint


@transaction.atomic
def rotate_secret(actor: Actor, webhook_id: UUID) -> str:
    """A new signing secret, shown only once. The old one signs as well for a day."""
    actor.require(ADMIN, "webhooks:write")
    actor.require_fresh_code()
    endpoint = _locked(actor, webhook_id)
    secret = new_secret()
    endpoint.set_secret(secret)
    endpoint.save()
    record(
        actor,
        "webhook.secret_rotated",
        endpoint,
        f"Made a new secret for the webhook “{endpoint.name}”.",
    )
    return secret


@transaction.atomic
def delete_webhook(actor: Actor, webhook_id: UUID) -> None:
    """Forget a webhook and its deliveries."""
    actor.require(ADMIN, "webhooks:write")
    endpoint = _locked(actor, webhook_id)
    # A try that ends just now is waited for.
    list(endpoint.deliveries.select_for_update().order_by("pk").values_list("pk"))
    record(actor, "webhook.deleted", endpoint, f"Deleted the webhook “{endpoint.name}”.")
    endpoint.delete()


@transaction.atomic
def send_test(actor: Actor, webhook_id: UUID) -> Event:
    """Tell this webhook, and no other, of a test. Raises `WebhookIsOff`."""
    actor.require(ADMIN, "webhooks:write")
    endpoint = _locked(actor, webhook_id)
    if not endpoint.enabled:
        raise WebhookIsOff
    event = record(actor, "webhook.tested", endpoint, f"Tested the webhook “{endpoint.name}”.")
    periodic.start("events.relay")
    return event


@transaction.atomic
def redeliver(actor: Actor, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """Send a delivery once more, under the same id. Raises `WebhookIsOff`."""
    actor.require(ADMIN, "webhooks:write")
    delivery = selectors.get_delivery(actor, delivery_id, webhook_id=webhook_id)
    if not delivery.endpoint.enabled:
        raise WebhookIsOff
    delivery.move(WebhookDelivery.PENDING, tries=0, next_at=timezone.now())
    record(
        actor,
        "webhook.redelivered",
        delivery.endpoint,
        f"Sent “{delivery.event.action}” to the webhook “{delivery.endpoint.name}” once more.",
    )
    periodic.start("events.deliveries")
    return delivery


def _locked(actor: Actor, webhook_id: UUID) -> WebhookEndpoint:
    endpoint = selectors.get_webhook(actor, webhook_id)
    return WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)


def _cleaned_url(url: str) -> str:
    url = url.strip()
    if complaint := complaint_about(url):
        raise Invalid.field("url", complaint)
    return url


def _cleaned_actions(actions: Sequence[str]) -> list[str]:
    cleaned = list(dict.fromkeys(action.strip() for action in actions if action.strip()))
    if not cleaned:
        raise Invalid.field("actions", "Choose at least one event, or * for all.")
    if len(cleaned) > MOST_PATTERNS:
        raise Invalid.field("actions", f"Name at most {MOST_PATTERNS}.")
    if wrong := [one for one in cleaned if len(one) > 64 or not PATTERN.fullmatch(one)]:
        raise Invalid.field(
            "actions",
            f"“{wrong[0][:64]}” is no event. Write them like domain.ready, mailbox.* or *.",
        )
    return cleaned


def _line(text: str) -> str:
    """One line of text, cut to what the column takes."""
    return " ".join(text.replace("\0", "").split())[:200]
