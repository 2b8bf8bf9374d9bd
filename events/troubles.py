"""What can be wrong with a webhook."""

from django.db.models import Q

from events.models import WebhookEndpoint
from events.selectors import webhooks
from mpanel.core import troubles
from mpanel.core.troubles import Trouble

troubles.watch(
    WebhookEndpoint,
    noun="webhook,webhooks",
    url_name="settings-webhooks",
    rows=webhooks,
    can_filter=False,
)
troubles.register(
    WebhookEndpoint,
    Trouble(
        "failing",
        "Failing",
        "Your address refuses what we send. We try again for a while, then switch it off.",
        lambda: Q(enabled=True, failing_since__isnull=False),
        tone="warning",
        in_status=True,
    ),
    Trouble(
        "disabled",
        "Switched off",
        "Your address failed for too long, so we stopped. Switch it on again when it works.",
        lambda: Q(enabled=False, failing_since__isnull=False),
        in_status=True,
    ),
)
