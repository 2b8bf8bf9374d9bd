"""Writing down what happened, and who is told of it."""

from events.services.notifications import (
    change_preferences,
    mark_all_read,
    mark_read,
    send_mails,
)
from events.services.records import prepare_each, record, record_each
from events.services.tidying import forget_old
from events.services.webhooks import (
    change_webhook,
    create_webhook,
    delete_webhook,
    redeliver,
    rotate_secret,
    send_test,
)

__all__ = [
    "change_preferences",
    "change_webhook",
    "create_webhook",
    "delete_webhook",
    "forget_old",
    "mark_all_read",
    "mark_read",
    "prepare_each",
    "record",
    "record_each",
    "redeliver",
    "rotate_secret",
    "send_mails",
    "send_test",
]
