"""Who may write as whom."""

from django.db import models
from django.db.models import Q

from mpanel.core.models import Row


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
