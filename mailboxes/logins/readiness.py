"""Whether Dovecot can tell who may log in, so that nobody is asked for a password when it cannot.

Postfix answers 535, a wrong password, to whatever Dovecot cannot tell (docs/decisions/0012).
Dovecot is asked for a mailbox that cannot exist, in the auth process itself and by the same
connections to the database (`doc/auth-protocol.txt` of Dovecot, tried 2026-11 with 2.3.19.1 and
2.4.1).
"""

import asyncio
import logging
from pathlib import Path

logger = logging.getLogger(__name__)

ASKED, RESTARTER = "mpanel-userdb", "mpanel-restart-auth"  # Dovecot's sockets
EVERY = 1.0  # seconds between two questions
PATIENCE = 4.0  # seconds for an answer; Dovecot itself gives up after six
RESTARTING = 30.0  # seconds that may take on a busy machine
RESTARTED = 2  # questions that failed in a row, after which its auth process is started anew
PASS = "DUNNO"  # noqa: S105
LATER = "451 4.3.0 Logins cannot be checked just now, please try again later"
_QUESTION = b"VERSION\t1\t1\nUSER\t1\tnobody@mpanel.invalid\tservice=mpanel\n"


class LoginReadiness:
    """`run`: the folder of Dovecot's sockets. Where it has none, everybody may come."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._failures = 0
        self._is_ready = self._is_here = True
        self._task: asyncio.Task[None] | None = None

    @property
    def action(self) -> str:
        """What Postfix does with who has just connected to submit mail."""
        return PASS if self._is_ready else LATER

    async def start(self) -> None:
        """Ask now, and then every second."""
        await self.step()
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def step(self) -> None:
        """Ask once. A Dovecot that keeps failing is started anew as soon as the database is back.

        By itself it waits after each connection that failed: 1, 5, 25, 125 seconds and so on. One
        that is only slow is left alone: it may be comparing passwords.
        """
        answer = await self._ask()
        is_ready = answer in {"NOTFOUND", "USER", "absent"}
        if is_ready != self._is_ready:
            logger.warning(
                "Dovecot can tell again who may log in."
                if is_ready
                else "Dovecot cannot tell who may log in; submission waits (%s).",
                *([] if is_ready else [answer]),
            )
        self._is_ready = is_ready
        if is_ready:
            self._failures = 0
        elif self._failures or answer != "slow":
            self._failures += 1
            if self._failures % RESTARTED == 0:
                await self._restart()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.step()
            except Exception:
                logger.exception("Dovecot could not be asked")

    async def _ask(self) -> str:
        """Dovecot's word, `slow` without one, `absent` where there is no such socket."""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(self._run / ASKED)
                try:
                    writer.write(_QUESTION)
                    while line := await reader.readline():
                        word, _, rest = line.decode(errors="replace").strip().partition("\t")
                        if word in {"NOTFOUND", "USER", "FAIL"} and rest.split("\t")[0] == "1":
                            return word
                    return "hung up"
                finally:
                    writer.close()
        except FileNotFoundError:
            if self._is_here:
                logger.warning("%s is missing; submission is never held back.", self._run / ASKED)
            self._is_here = False
            return "absent"
        except TimeoutError:
            return "slow"
        except OSError as error:
            return type(error).__name__

    async def _restart(self) -> None:
        try:
            async with asyncio.timeout(RESTARTING):
                reader, writer = await asyncio.open_unix_connection(self._run / RESTARTER)
                try:
                    await reader.read()  # until it is done
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            logger.error("It could not be started anew (%s).", type(error).__name__)
