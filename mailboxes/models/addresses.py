"""Further addresses of mailboxes."""

from django.db import models

from mpanel.core.models import Row


class Alias(Row):
    """An address whose mail arrives in a mailbox; several rows deliver to several mailboxes.

    A catch-all has no local part: its address is `@example.com`, and it takes what nobody else has.
    A mailbox may send as its aliases, but not as a catch-all.
    """

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    domain = models.ForeignKey("domains.Domain", models.CASCADE, related_name="aliases")
    mailbox = models.ForeignKey("mailboxes.Mailbox", models.CASCADE, related_name="aliases")
    local_part = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=320)
    # Made by us since every mail domain should have it (services/roles.py); else null.
    is_automatic = models.BooleanField(null=True)

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ["address", "mailbox"]
        constraints = [
            models.UniqueConstraint(fields=["address", "mailbox"], name="one_alias_per_mailbox"),
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def is_catch_all(self) -> bool:
        return not self.local_part

    @property
    def wanted_mail(self) -> str:
        """What mail it takes, as sentences name it."""
        return "addresses that nobody else has" if self.is_catch_all else self.address
