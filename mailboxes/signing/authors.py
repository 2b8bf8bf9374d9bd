"""Who may stand as author of a message. Flat at a million mailboxes: every look-up has an index.

tests/mailserver/test_plans.py looks at the plans of these statements.
"""

from collections.abc import Collection

from django.db import connection

from dnszones.models import DkimKey

# As which addresses a login may send is what Postfix reads, too (the view `mail_sender`). First the
# logins, then their addresses: joined with itself, the view is read whole.
LOGINS = "SELECT login FROM mail_sender WHERE address = %s"
OWN = "SELECT address FROM mail_sender WHERE login IN ({logins}) AND address IN ({addresses})"


def logins_of(address: str) -> set[str]:
    """The logins that may send as this address."""
    with connection.cursor() as cursor:
        cursor.execute(LOGINS, [address])
        return {login for (login,) in cursor.fetchall()}


def own_among(addresses: Collection[str], logins: Collection[str]) -> set[str]:
    """Which of these addresses one of the logins may send as."""
    if not addresses or not logins:
        return set()
    statement = OWN.format(
        logins=", ".join(["%s"] * len(logins)), addresses=", ".join(["%s"] * len(addresses))
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*logins, *addresses])
        return {address for (address,) in cursor.fetchall()}


def any_is_ours(domains: Collection[str]) -> bool:
    """Whether mail of one of these domains is ours to sign, so that nobody else may write it."""
    if not domains:
        return False
    keys = DkimKey.objects.exclude(status=DkimKey.RETIRED)
    return keys.filter(
        zone__domain__name__in=domains, zone__domain__verified_at__isnull=False
    ).exists()
