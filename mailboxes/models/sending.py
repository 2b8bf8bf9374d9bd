"""What was sent, day by day, how far the mail log was read, and who may write as whom."""

from django.db import models
from django.db.models import Q

from mpanel.core.models import Row


class SendingDay(Row):
    """What one mailbox, domain or tenant sent on a day (UTC), counted in recipients.

    `subject_id` is the id of the mailbox, domain or tenant: ids are unique over all tables. What a
    mailbox's filter scripts send is counted apart, by an id made of the mailbox's
    (`mailboxes.sending.counting`): whoever writes to the mailbox has it counted.
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
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["subject_id", "day"], name="one_count_per_day"),
        ]
        indexes = [models.Index(fields=["day"], name="sending_by_day")]

    def __str__(self) -> str:
        return f"{self.kind} on {self.day}"


class LogPosition(Row):
    """How far a mail log was read: the file's identity, and bytes from its beginning.

    `head` is the digest of the file's first line. `trouble` says why the log cannot be read now;
    `lost_at` when its place was last lost, so that bounces may be missing.
    """

    name = models.CharField(max_length=200, unique=True)
    inode = models.PositiveBigIntegerField(default=0)
    offset = models.PositiveBigIntegerField(default=0)
    head = models.CharField(max_length=64, default="", blank=True)
    trouble = models.CharField(max_length=300, default="", blank=True)
    lost_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class QueuedMessage(Row):
    """Which mailbox a message in the mail server's queue is from, until its fate is known.

    The log tells first that a message of ours is there, and the line after that from whom. In
    `deferred` stand the recipients whose delivery was put off, which counts once.
    """

    server = models.ForeignKey("mailboxes.MailServer", models.CASCADE, related_name="+")
    queue_id = models.CharField(max_length=32)
    mailbox = models.ForeignKey("mailboxes.Mailbox", models.CASCADE, null=True, related_name="+")
    deferred = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "queue_id"], name="one_message_per_queue_id"),
        ]

    def __str__(self) -> str:
        return self.queue_id


class OutsideSender(Row):
    """Who may write From addresses of domains that nobody here has: one mailbox, or a whole tenant.

    Operators allow it. `mailbox` is null for all mailboxes of the tenant, present and future.
    """

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    mailbox = models.ForeignKey("mailboxes.Mailbox", models.CASCADE, null=True, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["mailbox"], name="one_permission_per_mailbox"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(mailbox=None), name="one_permission_per_tenant"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mailbox or self.tenant} may write as outside senders"
