"""What a restore shows of mail servers: keys sign, and the servers may read."""

from collections.abc import Iterator

import dkim
from django.conf import settings
from django.db import connection

from dnszones.models import DkimKey
from mailservers.signing.keys import SigningKey
from mailservers.signing.signatures import sign
from mpanel.core.secrets import Unsealable
from mpanel.operations.backups import Unverified


def keys_sign() -> Iterator[str]:
    """Sign a message with every key that signs, and verify it with what is published.

    Raises `Unverified` at the first that does not.
    """
    number = 0
    for key in DkimKey.objects.filter(status=DkimKey.SIGNING).select_related("zone__domain"):
        domain = key.zone.domain.name
        try:
            pem = key.private_pem().encode()
        except Unsealable as error:
            raise Unverified(f"the DKIM key of {domain}: {error}") from error
        message = f"From: postmaster@{domain}\r\nSubject: restored\r\n\r\nHello.\r\n".encode()
        signed = sign(message, SigningKey(domain, key.selector, pem))
        published = key.public_value.encode()
        if not dkim.verify(signed, dnsfunc=lambda name, timeout=5, text=published: text):
            raise Unverified(f"what the DKIM key of {domain} signs does not verify")
        number += 1
    yield f"{number} keys sign, and their signatures verify"


def mail_server_reads() -> Iterator[str]:
    """Whether the mail server's role is there; a dump of one database holds no roles."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [settings.MAILSERVER_ROLE])
        if not cursor.rowcount:
            yield (
                f"the role {settings.MAILSERVER_ROLE} is not there. For a mail server, run"
                " manage.py mailserver role --make-password | manage.py mailserver configure"
                " --password-stdin ..."
            )
            return
        cursor.execute(
            "SELECT has_table_privilege(%s, 'mail_login', 'SELECT')", [settings.MAILSERVER_ROLE]
        )
        if not cursor.fetchone()[0]:
            raise Unverified(f"the role {settings.MAILSERVER_ROLE} may not read the mail views")
    yield f"the role {settings.MAILSERVER_ROLE} reads the mail views"
