"""Who may stand as author of a message, asked by Postfix before it takes one.

From, and Sender where it is given, must be addresses of the mailbox that logged in: its own or its
aliases. Whoever an operator allows it (`OutsideSender`, MAIL_OUTSIDE_FROM) may name addresses of
domains that nobody here has. Resent-From, Reply-To and display names are the writer's.

Flat at a million mailboxes: tests/mailserver/test_plans.py looks at the plans of the statements.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import Error, connection

from dnszones.models import DkimKey
from mailservers import accounts
from mailservers.addresses import without_extension
from mailservers.signing.milter import Submitted
from mailservers.signing.signatures import NotTheAuthor, Unsignable, addresses_of, domain_of

logger = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds in which the database must have answered
THREADS = 4
MOST_AUTHORS = 50
LONGEST_NAMED = 120  # characters of an address in a reply
UNKNOWN = "451 4.3.0 Nobody can tell just now who may write as whom, please try again later."

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


def check(login: str, headers: Iterable[tuple[str, bytes]]) -> None:
    """Let a message of this login pass, by its header names in small letters and their values.

    Raises `Unsignable` with a sentence for whoever sends, and what the database raises.
    """
    written = _written(headers)
    foreign = {one for one in written if without_extension(one) != login}
    own = own_among({without_extension(one) for one in foreign}, [login])
    foreign = {one for one in foreign if without_extension(one) not in own}
    if not foreign:
        return
    domains = {domain_of(one) for one in foreign}
    ours = any_is_ours(domains)
    if not ours and accounts.known().may_write_as_outsider(login):
        ours = accounts.known().are_of_others(domains, login)
        if not ours:
            return
    named = min(foreign)[:LONGEST_NAMED]
    more = "" if ours else ", or ask your provider to allow senders of other domains"
    raise NotTheAuthor(
        f"{named} is not an address of {login}. Send as {login} or as one of its aliases{more}."
    )


def _written(headers: Iterable[tuple[str, bytes]]) -> set[str]:
    """The addresses in From and Sender."""
    found: dict[str, list[set[str]]] = {"from": [], "sender": []}
    for name, value in headers:
        if name in found:
            found[name].append(addresses_of(value.decode(errors="surrogateescape")))
    if len(found["from"]) != 1:
        raise Unsignable("A message has exactly one From header.")
    senders = found["sender"]
    if len(senders) > 1 or any(len(one) != 1 for one in senders):
        raise Unsignable("A message has at most one Sender header, with one address.")
    written = set[str]().union(*found["from"], *senders)
    # What is not printable (a NUL, half a character) is no address, nor text for the database.
    if not all(one.isprintable() and domain_of(one) for one in written):
        raise Unsignable("The From or Sender header cannot be read.")
    if len(written) > MOST_AUTHORS:
        raise Unsignable(f"A message has at most {MOST_AUTHORS} authors.")
    return written


class AuthorCheck:
    """The check on real messages: off the event loop, in time. While nobody can tell: later."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="authors")
        self._local = threading.local()
        self._opened: list[Any] = []
        self._is_well = True

    async def decide(self, message: Submitted) -> str:
        """The reply to a message, "" to let it pass."""
        login = message.login.lower()
        if not login:
            return ""  # submission takes nothing from who did not log in
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                await loop.run_in_executor(self._threads, self._in_thread, login, message.headers)
        except Unsignable as error:
            logger.info("%s: refused: %s", message.queue_id, type(error).__name__)
            return f"554 {error.code} {_line(str(error))}"
        except (Error, TimeoutError) as error:
            if self._is_well:
                logger.error("The database does not answer in time (%s).", type(error).__name__)
            self._is_well = False
            return UNKNOWN
        if not self._is_well:
            logger.warning("The database answers again.")
            self._is_well = True
        return ""

    def close(self) -> None:
        """Check nothing more, and close the threads' connections."""
        self._threads.shutdown(cancel_futures=True)
        for opened in self._opened:
            opened.close()

    def _in_thread(self, login: str, headers: list[tuple[str, bytes]]) -> None:
        deadline = time.monotonic() + PATIENCE
        try:
            check(login, headers)
        except Error:
            connection.close()  # it may be one that a restart of the server broke
            if time.monotonic() >= deadline:
                raise
            check(login, headers)
        finally:
            if getattr(self._local, "connection", None) is not connection.connection:
                self._local.connection = connection.connection
                self._opened.append(connection.connection)


def _line(text: str) -> str:
    """A text that fits into an SMTP reply: one line of ASCII."""
    plain = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(sign for sign in plain if sign.isprintable())[:400]
