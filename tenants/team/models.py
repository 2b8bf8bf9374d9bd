"""Invitations."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from mpanel.core.models import Row


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Query methods for invitations."""

    def open(self) -> "InvitationQuerySet":
        """Neither accepted nor revoked; expired ones too, which can be sent again."""
        return self.filter(accepted_at=None, revoked_at=None)

    def usable(self) -> "InvitationQuerySet":
        """Those that can be accepted now."""
        return self.open().filter(expires_at__gt=timezone.now())

    def waiting(self) -> "InvitationQuerySet":
        """Those whose message is to be sent yet."""
        return self.usable().filter(sent_at=None, refusal="")


class Invitation(Row):
    """An invitation of an e-mail address to a tenant, with the role that it will have.

    The link's token is made when the message is sent, and only its hash is kept.
    """

    SENDING, SENT, EXPIRED, REFUSED = "sending", "sent", "expired", "refused"
    ACCEPTED, REVOKED = "accepted", "revoked"
    STATUSES: ClassVar[dict[str, str]] = {
        SENDING: "Sending",
        SENT: "Sent",
        EXPIRED: "Expired",
        REFUSED: "Refused by the mail server",
        ACCEPTED: "Accepted",
        REVOKED: "Revoked",
    }

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=16)
    invited_by = models.ForeignKey("tenants.User", models.SET_NULL, null=True, related_name="+")
    token_hash = models.CharField(max_length=64, null=True, unique=True)
    sent_at = models.DateTimeField(null=True)
    # What the mail server said when it refused the message for good; it is not tried again then.
    refusal = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_each",
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def status(self) -> str:
        if self.accepted_at:
            return self.ACCEPTED
        if self.revoked_at:
            return self.REVOKED
        if self.refusal:
            return self.REFUSED
        if self.expires_at <= timezone.now():
            return self.EXPIRED
        return self.SENT if self.sent_at else self.SENDING

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]
