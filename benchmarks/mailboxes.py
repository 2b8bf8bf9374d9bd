"""500 mailboxes on Dovecot and Postfix beside the bare cost of hashing: `inboxes` for real.

On PostgreSQL only, which they read; and as root, which Postfix needs.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence

from django.db import connection
from django.test import override_settings

from benchmarks import inboxes  # first, since it sets Django up
from tests.dovecot_postfix import PrivateMailServer


@contextlib.contextmanager
def dovecot_and_postfix() -> Iterator[Sequence[int]]:
    """The real servers as the house's; their process ids."""
    server = PrivateMailServer()
    server.make_role()
    server.configure()
    try:
        with server, override_settings(**server.settings):
            yield server.pids
    finally:
        server.drop_role()


if __name__ == "__main__":
    if connection.vendor != "postgresql" or os.getuid() != 0:
        print("Mailboxes on Dovecot and Postfix: only on PostgreSQL, and as root.")
    else:
        inboxes.main(dovecot_and_postfix, "mailboxes on Dovecot and Postfix")
