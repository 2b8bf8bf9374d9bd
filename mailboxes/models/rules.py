"""What happens to mail as it arrives in a mailbox of ours."""

from typing import ClassVar

from django.db import models

from mpanel.core.models import Row


class DeliveryRules(Row):
    """Forwarding and the vacation note of a mailbox; the mail server holds them as a Sieve script.

    Days are UTC. A note without days holds until it is switched off.
    """

    # What the mail server makes of them: a code where it is not what is wanted.
    OTHER_SCRIPT, EDITED_SCRIPT = "OTHER_SCRIPT_ACTIVE", "SCRIPT_WAS_EDITED"
    NEEDS_CONSENT: ClassVar[frozenset[str]] = frozenset({OTHER_SCRIPT, EDITED_SCRIPT})

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    mailbox = models.OneToOneField("mailboxes.Mailbox", models.CASCADE, related_name="rules")
    forward_to = models.JSONField(default=list)  # addresses
    keeps_copy = models.BooleanField(default=True)
    vacation_is_on = models.BooleanField(default=False)
    vacation_subject = models.CharField(max_length=200, blank=True)
    vacation_text = models.TextField(blank=True)
    vacation_starts_on = models.DateField(null=True)
    vacation_ends_on = models.DateField(null=True)  # the last day
    # Outside addresses to which a script of a mail program was seen to send mail on.
    seen_forwards = models.JSONField(default=list)
    # The mail server was not told yet.
    is_pending = models.BooleanField(default=False)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "delivery rules"

    def __str__(self) -> str:
        return f"rules of {self.mailbox}"

    @property
    def needs_consent(self) -> bool:
        """Whether a script of somebody else's stands in the way."""
        return self.error_code in self.NEEDS_CONSENT
