"""What Postfix is told about a message: may this mailbox send to so many recipients now?

A count is kept before the answer goes out. Whoever dies in between has counted a message that was
not sent; a message that was not counted is never sent.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import Error, connection

from deliverability import counting
from deliverability.counting import Over, TooLate
from deliverability.limits import refusal
from deliverability.models import SendingDay
from deliverability.protocol import Request
from mailboxes.models import Alias

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds in which the database must have decided
IN_TIME = int(PATIENCE * 900)  # milliseconds: the database gives up before we do
# For one transaction each: behind a pooler the connection is somebody else's afterwards. They go
# along with the statement that they are for, since each round trip counts at every message. A crash
# of the database may forget the counts of the last fraction of a second; to wait for the disk at
# every message would cost more than these few messages.
SETTINGS = (
    "SET LOCAL synchronous_commit = off;"
    f"SET LOCAL statement_timeout = {IN_TIME};"
    f"SET LOCAL lock_timeout = {IN_TIME};"
)
REMEMBERED = 20_000  # messages under way
LONGEST_REASON = 300  # characters
PASS = "DUNNO"  # noqa: S105  (the rest of Postfix's rules decides)
NAMES = {
    SendingDay.MAILBOX: "mailbox",
    SendingDay.DOMAIN: "domain",
    SendingDay.TENANT: "account",
}
BY_SCRIPTS = "scripts"  # the policy_context of Postfix' port for what filter scripts send


def decide(
    login: str,
    number: int,
    *,
    now: datetime | None = None,
    deadline: float | None = None,
    before: str = "",
) -> str:
    """The action for a login that sends to so many recipients more; counts them if it may.

    `deadline`: of `time.monotonic()`, after which nothing is counted. `before`: statements that
    each transaction begins with, such as `SETTINGS`, on PostgreSQL. Raises `TooLate`, or what
    Django raises where the database does not work.
    """
    now = now or datetime.now(UTC)
    sender = counting.sender_of(login, before=before)
    if sender is None:
        return _refused("This mailbox does not exist.")
    if why := refusal(sender.state, now):
        return _refused(why)
    if not number:
        return PASS
    over = counting.count(
        sender,
        number,
        now.date(),
        in_time=lambda: deadline is None or time.monotonic() < deadline,
        before=before,
    )
    return PASS if over is None else _too_many(over, number, now)


def decide_of_script(
    address: str,
    number: int,
    *,
    now: datetime | None = None,
    deadline: float | None = None,
    before: str = "",
) -> str:
    """The action for what a filter script of a mailbox sends; `address`: the mailbox's or an alias.

    A refusal is final, so that Dovecot keeps the message in the mailbox. Raises as `decide` does.
    """
    now = now or datetime.now(UTC)
    sender = counting.sender_of(address, before=before) or counting.sender_of(
        _mailbox_of(address), before=before
    )
    if sender is None:
        return _refused("This mailbox does not exist.")
    if why := refusal(sender.state, now):
        return _refused(why)
    over = counting.count_of_scripts(
        sender,
        number,
        now.date(),
        in_time=lambda: deadline is None or time.monotonic() < deadline,
        before=before,
    )
    if over is None:
        return PASS
    return _refused(
        f"The filters of this mailbox have sent to {over.used} of {over.limit} recipients today."
    )


def _mailbox_of(address: str) -> str:
    """The mailbox to which an alias leads, its own before the domain's catch-all; "" for none."""
    found = Alias.objects.filter(
        address__in=[address, f"@{address.rpartition('@')[2]}"],
        domain__verified_at__isnull=False,  # a former owner's stand there, too
    )
    rows = found.order_by("-local_part").values_list("mailbox__address", flat=True)
    return rows.first() or ""


def _refused(why: str) -> str:
    return f"550 5.7.1 {_line(why)}"


def _too_many(over: Over, number: int, now: datetime) -> str:
    of = NAMES[over.kind]
    if number > over.limit:
        return _refused(
            f"A message to {number} recipients is more than this {of} may send today, which is "
            f"{over.limit}."
        )
    again = now.date() + timedelta(days=1)
    more = f", {number} more asked for" if number > 1 else ""
    return (
        f"450 4.7.1 The daily limit of this {of} is reached: {over.used} of {over.limit} "
        f"recipients used{more}. It starts anew on {again} at 00:00 UTC."
    )


def _line(text: str) -> str:
    """A text that fits into an SMTP reply: one line of ASCII."""
    plain = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(sign for sign in plain if sign.isprintable())[:LONGEST_REASON]


@dataclass(slots=True)
class _Message:
    """A message under way, by its `instance`: Postfix may ask at RCPT, at DATA and at its end."""

    counted: int = 0
    recipients: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Policy:
    """The decisions on real requests: off the event loop, in time, each message counted once.

    `fails_open`: whether mail passes uncounted while the database does not answer.
    """

    def __init__(self, *, fails_open: bool, threads: int | None = None) -> None:
        self._unknown = PASS if fails_open else "451 4.3.0 Sending limits cannot be read just now."
        # SQLite has one writer; several threads would only wait for each other.
        threads = threads or (1 if connection.vendor == "sqlite" else 4)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="policy")
        self._prepared = threading.local()
        self._opened: list[Any] = []
        self._messages: OrderedDict[tuple[str, str], _Message] = OrderedDict()
        self._is_well = True

    async def decide(self, request: Request) -> str:
        """The action for one request."""
        is_script = request.get("policy_context") == BY_SCRIPTS
        login = request.get("sender" if is_script else "sasl_username", "").lower()
        if not login:  # mail that comes in
            return PASS
        if is_script:
            return await self._ask(decide_of_script, login, _recipients(request))
        message = self._message(login, request.get("instance", ""))
        async with message.lock:
            wanted = _wanted(request, message)
            action = await self._ask(decide, login, max(0, wanted - message.counted))
            if action == PASS:
                message.counted = max(message.counted, wanted)
                if request.get("protocol_state") == "RCPT":
                    message.recipients.add(request.get("recipient", ""))
        return action

    def close(self) -> None:
        """Decide nothing more, and close the threads' connections."""
        self._threads.shutdown(cancel_futures=True)
        for opened in self._opened:
            opened.close()

    def _message(self, login: str, instance: str) -> _Message:
        if not instance:
            return _Message()
        known = self._messages.setdefault((login, instance), _Message())
        self._messages.move_to_end((login, instance))
        if len(self._messages) > REMEMBERED:
            self._messages.popitem(last=False)
        return known

    async def _ask(self, decision: Callable[..., str], login: str, number: int) -> str:
        deadline = time.monotonic() + PATIENCE
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                action = await loop.run_in_executor(
                    self._threads, self._in_thread, decision, login, number, deadline
                )
        except (Error, TooLate, TimeoutError) as error:
            if self._is_well:
                logger.error("The database does not answer in time (%s).", type(error).__name__)
            self._is_well = False
            return self._unknown
        if not self._is_well:
            logger.warning("The database answers again.")
            self._is_well = True
        return action

    def _in_thread(
        self, decision: Callable[..., str], login: str, number: int, deadline: float
    ) -> str:
        for attempt in (1, 2):
            if time.monotonic() >= deadline:
                break
            try:
                self._prepare_connection()
                before = SETTINGS if connection.vendor == "postgresql" else ""
                return decision(login, number, deadline=deadline, before=before)
            except Error:
                connection.close()  # it may be one that a restart of the server broke
                if attempt == 2:
                    raise
        raise TooLate

    def _prepare_connection(self) -> None:
        connection.ensure_connection()
        if connection.connection is getattr(self._prepared, "connection", None):
            return
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {IN_TIME}")
        self._prepared.connection = connection.connection
        self._opened.append(connection.connection)


def _wanted(request: Request, message: _Message) -> int:
    """How many recipients this message has, as far as is known when Postfix asks."""
    match request.get("protocol_state"):
        case "RCPT":
            is_new = request.get("recipient", "") not in message.recipients
            return message.counted + is_new
        case "DATA" | "BDAT" | "END-OF-MESSAGE":
            return _recipients(request)
        case _:
            return 0


def _recipients(request: Request) -> int:
    count = request.get("recipient_count", "")
    return max(1, int(count)) if count.isdecimal() and len(count) < 10 else 1
