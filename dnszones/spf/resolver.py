"""DNS for many SPF records at once: each question is asked once, and each answer's TTL is kept."""

import asyncio
from collections.abc import Sequence
from typing import Any

from mpanel.dns.client import Answer, DNSClient, RecursiveResolver, Server, TemporaryFailure


class SharedAnswers:
    """Answers that all records of one look share."""

    def __init__(self, client: DNSClient, servers: Sequence[Server]) -> None:
        self._client = client
        self._servers = tuple(servers)
        self._asked: dict[tuple[str, str], asyncio.Task[Answer]] = {}

    async def get(self, name: str, rdtype: str) -> Answer:
        """What the first resolver that knows says. Raises `TemporaryFailure` where none does."""
        key = (name, rdtype)
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(self._ask(name, rdtype))
        # Others may wait for it, too, when the first to ask gives up.
        return await asyncio.shield(self._asked[key])

    async def _ask(self, name: str, rdtype: str) -> Answer:
        troubles = []
        for server in self._servers:
            answer = await self._client.ask(server, name, rdtype)
            if answer.status in {"answer", "nodata", "nxdomain"}:
                return answer
            troubles.append(f"{server}: {answer.why or 'does not resolve'}")
        raise TemporaryFailure(name, rdtype, "; ".join(troubles) or "none is configured")


class NotingResolver(RecursiveResolver):
    """A resolver for one SPF record, which keeps what it was told."""

    def __init__(self, shared: SharedAnswers) -> None:
        super().__init__(shared._client, shared._servers)
        self._shared = shared
        self._seen: dict[tuple[str, str], Answer] = {}

    async def _values(self, name: str, rdtype: str) -> tuple[str, ...]:
        answer = await self._shared.get(name, rdtype)
        self._seen[name, rdtype] = answer
        return answer.values

    def answers(self) -> list[dict[str, Any]]:
        """Every answer so far, as plain values."""
        return [
            {"name": name, "type": rdtype, "values": list(answer.values), "ttl": answer.ttl}
            for (name, rdtype), answer in self._seen.items()
        ]
