"""The gate, kept in step with the database by a thread of its own."""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import Error, connection, transaction

from mailboxes.logins import guesses
from mailboxes.logins.gate import Attempt, LoginGate, Refusals, Seen

logger = logging.getLogger(__name__)

EVERY = 1.0  # seconds between two looks into the database
PATIENCE = 5_000  # ms that one statement may take


class LoginPolicy:
    """Decides by what it knows; what it saw is counted, and counts of others learnt, each second.

    While the database is away nobody is counted: Dovecot cannot compare passwords then, and 2.3
    reports each as wrong.
    """

    def __init__(self) -> None:
        self.gate = LoginGate(settings.LOGIN_TRUSTED_NETWORKS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="login guesses")
        self._task: asyncio.Task[None] | None = None
        self._is_well = True

    def refusal(self, attempt: Attempt) -> str:
        return self.gate.refusal(attempt)

    def report(self, attempt: Attempt, *, is_right: bool) -> None:
        if is_right or self._is_well:
            self.gate.report(attempt, is_right=is_right)

    async def start(self) -> None:
        """Learn who is refused, then go on doing so."""
        await self.step()
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def close(self) -> None:
        """Write what was seen last."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.step()
        await asyncio.get_running_loop().run_in_executor(self._thread, _hang_up)
        self._thread.shutdown()

    async def step(self) -> None:
        """Write, and learn."""
        loop = asyncio.get_running_loop()
        seen = self.gate.take()
        try:
            self.gate.refuse(await loop.run_in_executor(self._thread, _in_step, seen))
        except Error as error:
            self.gate.take_back(seen)
            if self._is_well:
                logger.error("The database does not answer (%s).", type(error).__name__)
            self._is_well = False
        else:
            if not self._is_well:
                logger.warning("The database answers again.")
            self._is_well = True

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.step()
            except Exception:
                logger.exception("guesses could not be counted")


def _hang_up() -> None:
    connection.close()  # of this thread: each has its own


def _in_step(seen: Seen) -> Refusals:
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE}")
            if seen:
                guesses.write(seen)
            return guesses.refusals()
    except Error:
        connection.close()  # it may be one that a restart of the server broke
        raise
