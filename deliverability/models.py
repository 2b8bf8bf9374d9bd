"""What was sent, day by day, and whose mail is in the queue.

The tables are named after the app in which they began (docs/decisions/0037).
"""

from django.db import models

from mpanel.core.models import Row


class SendingDay(Row):
    """What one mailbox, domain or tenant sent on a day (UTC), counted in recipients.

    `subject_id` is the id of the mailbox, domain or tenant: ids are unique over all tables. What a
    mailbox's filter scripts send is counted apart, by an id made of the mailbox's
    (`deliverability.counting`): whoever writes to the mailbox has it counted.
    """

    MAILBOX, DOMAIN, TENANT, SCRIPTS = "mailbox", "domain", "tenant", "scripts"

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8)
    subject_id = models.UUIDField()
    day = models.DateField()
    sent = models.PositiveIntegerField(default=0)
    delivered = models.PositiveIntegerField(default=0)
    deferred = models.PositiveIntegerField(default=0)
    bounced = models.PositiveIntegerField(default=0)
    complaints = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "mailboxes_sendingday"
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["subject_id", "day"], name="one_count_per_day"),
        ]
        indexes = [models.Index(fields=["day"], name="sending_by_day")]

    def __str__(self) -> str:
        return f"{self.kind} on {self.day}"


class QueuedMessage(Row):
    """Which mailbox a message in the mail server's queue is from, until its fate is known.

    The log tells first that a message of ours is there, and the line after that from whom. In
    `deferred` stand the recipients whose delivery was put off, which counts once.
    """

    server = models.ForeignKey("mailservers.MailServer", models.CASCADE, related_name="+")
    queue_id = models.CharField(max_length=32)
    mailbox = models.ForeignKey("mailboxes.Mailbox", models.CASCADE, null=True, related_name="+")
    deferred = models.JSONField(default=list)

    class Meta:
        db_table = "mailboxes_queuedmessage"
        constraints = [
            models.UniqueConstraint(fields=["server", "queue_id"], name="one_message_per_queue_id"),
        ]

    def __str__(self) -> str:
        return self.queue_id
