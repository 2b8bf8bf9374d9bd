"""DNS in memory for SPF: a world of names that each test writes down."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dnszones.spf import TemporaryFailure, VoidLookup


@dataclass
class World:
    """`records` maps (name, type) to values; `broken` names give no answer at all."""

    records: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    asked: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of_spf(cls, **texts: str) -> "World":
        """One SPF record per name: `of_spf(a_test="v=spf1 -all")` is at a.test."""
        return cls({(name.replace("_", "."), "TXT"): [text] for name, text in texts.items()})

    async def txt(self, name: str) -> list[str]:
        return self._answer(name, "TXT")

    async def a(self, name: str) -> list[str]:
        return self._answer(name, "A")

    async def aaaa(self, name: str) -> list[str]:
        return self._answer(name, "AAAA")

    async def mx(self, name: str) -> list[str]:
        return self._answer(name, "MX")

    async def ptr(self, address: str) -> list[str]:
        return self._answer(str(ipaddress.ip_address(address)), "PTR")

    def _answer(self, name: str, kind: str) -> list[str]:
        self.asked.append((name, kind))
        if name in self.broken:
            raise TemporaryFailure(name, "TXT", "this name fails in the test")
        found = self.records.get((name, kind))
        if not found:
            raise VoidLookup(name)
        return list(found)
