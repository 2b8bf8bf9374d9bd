"""The login policy in a thread of the test's process, and what Dovecot asks it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from mailboxes.logins.gate import LoginGate
from mailboxes.logins.policy import LoginPolicy
from mailboxes.logins.protocol import LoginPolicyServer
from mailservers.shared_keys import key_of
from tests.sandboxes import find_free_port_block


class RunningLoginPolicy:
    """A service that listens; `step` has it count and learn now."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._policy = LoginPolicy()
        self._server = LoginPolicyServer(self._policy, key_of("key"))

    @property
    def gate(self) -> LoginGate:
        return self._policy.gate

    def step(self) -> None:
        self._run(self._policy.step())

    def _run(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self._run(self._policy.step())
        self._run(self._server.listen("127.0.0.1", self.port))
        try:
            yield
        finally:
            self._run(self._server.close())
            self._run(self._policy.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(5)
            self._loop.close()


@contextlib.contextmanager
def login_policy(port: int = 0) -> Iterator[RunningLoginPolicy]:
    """The real decisions on the test's database; they are brought up to date by `step` only."""
    running = RunningLoginPolicy(port or find_free_port_block(1))
    with running.serving():
        yield running
