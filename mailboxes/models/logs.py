"""How far the logs of mail servers were read."""

from django.db import models

from mpanel.core.models import Row


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
