"""The sweep of deliveries: claims what is due, sends it, and writes down what came of it.

A delivery is claimed by compare-and-set with a lease, so two runners share the work, and what a
dead one held is sent again. Nothing is sent inside a transaction. A run takes what is due for one
slice, and ends when nothing is under way; an endpoint that is slow holds its own few places and
nobody else's.
"""

import logging
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from events.addresses import CheckedTransport, allowed_networks
from events.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from events.sending import Outcome, Sender, WebhookRequest
from events.services.records import record
from mpanel.core.actor import system
from mpanel.core.periodic import Slice
from mpanel.core.secrets import Unsealable

logger = logging.getLogger(__name__)

AT_ONCE = 50  # in flight
EACH = 4  # of them to one endpoint
LEASE = timedelta(seconds=60)
LOOKS_EVERY = 0.25  # seconds between two looks for more while some are under way

# After each failed try; about a day and four hours in all (Standard Webhooks, "retries").
SCHEDULE = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
LONGEST_ASKED = 12 * 3600.0  # of what Retry-After asks for
FAILS_FOR = timedelta(days=3)


def wait_after(
    tries: int, *, asked: float | None, rng: random.Random | None = None
) -> float | None:
    """Seconds until the next try after so many failed ones; None when that was the last.

    With up to a quarter of jitter, and not before the receiver asked for within half a day.
    """
    if tries > len(SCHEDULE):
        return None
    rng = rng or random.SystemRandom()
    wait = SCHEDULE[tries - 1] * (1 + rng.uniform(0, 0.25))
    return max(wait, min(asked or 0.0, LONGEST_ASKED))


def deliver() -> bool:
    """Send what is due and becomes due meanwhile, for one slice; whether more is due."""
    present = Slice()
    if not WebhookDelivery.objects.due(timezone.now(), each=EACH).exists():
        return False
    networks = allowed_networks()
    with Sender(lambda: CheckedTransport(networks=networks)) as sender:
        takes_more = True
        while True:
            if takes_more:
                for request in claim(AT_ONCE - sender.in_flight):
                    sender.submit(request)
                takes_more = not present.is_over
            if not sender.in_flight:
                break
            keep(sender.wait(LOOKS_EVERY))
    return WebhookDelivery.objects.due(timezone.now(), each=EACH).exists()


def claim(room: int) -> list[WebhookRequest]:
    """Take as many due deliveries as there is room for, those first whose endpoint has least."""
    if room <= 0:
        return []
    now, token = timezone.now(), uuid4()
    due = list(WebhookDelivery.objects.due(now, each=EACH).values_list("pk", "endpoint_id"))
    if not due:
        return []
    held = WebhookDelivery.objects.filter(status=WebhookDelivery.PENDING, claimed_until__gte=now)
    taking = Counter(held.values_list("endpoint_id", flat=True))
    places = {}
    for delivery_id, endpoint_id in due:
        places[delivery_id] = taking[endpoint_id]
        taking[endpoint_id] += 1
    chosen = sorted(places, key=lambda one: places[one])[:room]
    free = WebhookDelivery.objects.free(now).filter(pk__in=chosen)
    free.update(claim=token, claimed_until=now + LEASE)
    taken = WebhookDelivery.objects.filter(claim=token).select_related("event", "endpoint")
    requests, unsigned = [], []
    for delivery in taken.order_by("next_at", "id"):
        try:
            requests.append(_request(delivery))
        except Unsealable as error:
            logger.error("webhook %s: %s", delivery.endpoint_id, error)
            unsigned.append(Outcome(delivery.pk, None, error.message, "", 0, is_final=True))
    keep(unsigned)
    return requests


def _request(delivery: WebhookDelivery) -> WebhookRequest:
    """What is sent, with what signs it. Raises `Unsealable`."""
    return WebhookRequest(
        delivery_id=delivery.pk,
        webhook_id=delivery.webhook_id,
        url=delivery.endpoint.url,
        body=delivery.body(),
        secrets=tuple(delivery.endpoint.secrets()),
    )


@transaction.atomic
def keep(outcomes: Sequence[Outcome]) -> None:
    """Write down how tries ended. What was deleted meanwhile is passed over."""
    if not outcomes:
        return
    by_id = {outcome.delivery_id: outcome for outcome in outcomes}
    sent = WebhookDelivery.objects.filter(pk__in=by_id)
    # Endpoints first, then their deliveries: whoever locks both does so in this order.
    endpoints = WebhookEndpoint.objects.select_for_update(no_key=True).order_by("pk")
    list(endpoints.filter(pk__in=sent.values("endpoint_id")).values_list("pk"))
    rows = list(sent.select_for_update().order_by("pk"))
    now = timezone.now()
    WebhookAttempt.objects.bulk_create(
        WebhookAttempt(
            delivery=row,
            at=now,
            status=by_id[row.pk].status,
            error=by_id[row.pk].error,
            response=by_id[row.pk].response,
            duration_ms=by_id[row.pk].duration_ms,
        )
        for row in rows
    )
    for row in rows:
        _note(row, by_id[row.pk], now)
    WebhookDelivery.objects.bulk_update(
        rows,
        [
            "status", "attempts", "tries", "next_at", "claim", "claimed_until", "last_status",
            "last_error", "response", "duration_ms", "delivered_at", "updated_at",
        ],
    )  # fmt: skip
    for endpoint_id in sorted({row.endpoint_id for row in rows}):
        _judge(
            endpoint_id, [(row, by_id[row.pk]) for row in rows if row.endpoint_id == endpoint_id]
        )


def _note(row: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    """Put a try's end into its row: delivered, to be tried again, or given up."""
    row.attempts += 1
    row.claim = row.claimed_until = None
    row.last_status, row.last_error = outcome.status, outcome.error
    row.response, row.duration_ms, row.updated_at = outcome.response, outcome.duration_ms, now
    if outcome.delivered:
        row.status, row.delivered_at, row.tries = WebhookDelivery.DELIVERED, now, 0
    elif row.status == WebhookDelivery.PENDING:
        row.tries += 1
        wait = wait_after(row.tries, asked=outcome.retry_after)
        if wait is None or outcome.is_final or outcome.status == 410:
            row.status = WebhookDelivery.FAILED
        else:
            row.next_at = now + timedelta(seconds=wait)


def _judge(endpoint_id: UUID, ended: Sequence[tuple[WebhookDelivery, Outcome]]) -> None:
    """What the tries say about the endpoint; switch off one that is gone, or fails for days."""
    mine = WebhookEndpoint.objects.filter(pk=endpoint_id)
    now = timezone.now()
    failed = sum(not outcome.delivered for _, outcome in ended)
    if failed < len(ended):
        mine.filter(failures__gt=0).update(failures=0, failing_since=None)
        return
    mine.update(failures=F("failures") + failed, failing_since=Coalesce(F("failing_since"), now))
    if any(outcome.status == 410 for _, outcome in ended):
        _switch_off(mine.get(), "The server answered 410: it wants no more deliveries.")
    elif any(row.status == WebhookDelivery.FAILED for row, _ in ended):
        endpoint = mine.get()
        if endpoint.failing_since and endpoint.failing_since < now - FAILS_FOR:
            _switch_off(endpoint, "Nothing could be delivered for more than three days.")


def _switch_off(endpoint: WebhookEndpoint, reason: str) -> None:
    on = WebhookEndpoint.objects.filter(pk=endpoint.pk, enabled=True)
    if not on.update(enabled=False, disabled_reason=reason, updated_at=timezone.now()):
        return
    give_up_pending(endpoint)
    record(
        system(endpoint.tenant_id),
        "webhook.disabled",
        endpoint,
        f"Switched off the webhook “{endpoint.name}”. {reason}",
    )


def give_up_pending(endpoint: WebhookEndpoint) -> None:
    """What was on its way to an endpoint that is switched off; each can be sent again by hand."""
    endpoint.deliveries.filter(status=WebhookDelivery.PENDING).update(
        status=WebhookDelivery.FAILED,
        last_error="The webhook was switched off.",
        updated_at=timezone.now(),
    )
