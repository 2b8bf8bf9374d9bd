"""Wrong passwords at mailboxes, and from where people log in to them."""

from django.db import models
from django.utils import timezone

from mpanel.core.models import Row


class LoginGuesses(Row):
    """Wrong passwords of a network at a mailbox; of all who are not known there; or of a network.

    `score` grows by one with each and drains with time (mailboxes/logins/guesses.py); `wrong`
    counts all of them since `since`.
    """

    key = models.CharField(max_length=110, unique=True)
    mailbox = models.ForeignKey(
        "mailboxes.Mailbox", models.CASCADE, null=True, related_name="login_guesses"
    )
    network = models.CharField(max_length=64, blank=True)
    wrong = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(default=timezone.now)
    score = models.FloatField(default=0)
    scored_at = models.DateTimeField(default=timezone.now)
    refused_until = models.DateTimeField(null=True)
    # When the customer was told of these guesses.
    told_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "login guesses"
        indexes = [models.Index(fields=["updated_at"], name="login_guesses_by_age")]

    def __str__(self) -> str:
        return f"{self.mailbox or 'All mailboxes'} from {self.network or 'all networks'}"


class LoginNetwork(Row):
    """A network from which somebody logged in to a mailbox with the right password."""

    mailbox = models.ForeignKey("mailboxes.Mailbox", models.CASCADE, related_name="login_networks")
    network = models.CharField(max_length=64)
    last_login_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailbox", "network"], name="one_row_per_network"),
        ]
        indexes = [
            models.Index(fields=["network"], name="login_network_by_network"),
            models.Index(fields=["last_login_at"], name="login_network_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.mailbox} from {self.network}"
