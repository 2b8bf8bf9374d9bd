"""What a restore shows of mailboxes: their passwords log in."""

from collections.abc import Iterator

import bcrypt

from mailboxes.models import Mailbox
from mpanel.core.secrets import Unsealable
from mpanel.operations.backups import Unverified

HASHES_COMPARED = 20  # bcrypt is slow; all of them are opened


def passwords_log_in() -> Iterator[str]:
    """Open every mailbox's password, and compare some with what the mail server compares.

    Raises `Unverified` at the first that is off.
    """
    opened = compared = 0
    for mailbox in Mailbox.objects.present().exclude(sealed_password="").iterator():
        try:
            password = mailbox.password()
        except Unsealable as error:
            raise Unverified(f"the password of {mailbox.address}: {error}") from error
        opened += 1
        if mailbox.password_hash and compared < HASHES_COMPARED:
            compared += 1
            if not bcrypt.checkpw(password.encode(), mailbox.password_hash.encode()):
                raise Unverified(f"the password of {mailbox.address} does not log in")
    yield f"{opened} passwords open, and {compared} that were compared log in"
