"""Which addresses the terms of an SPF record match, exactly; or why that cannot be said."""

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .addresses import AddressSet
from .evaluation import PermanentError, Resolver, TooComplex, VoidLookup, fetch_record, hosts_of
from .syntax import Mechanism

ASKED_NAMES = 200
# Of addresses looked at, and of networks written. No time-out ends what we reckon ourselves.
MOST_NETWORKS = 1000


class NotASet(Exception):
    """The addresses of a term cannot be listed.

    `is_broken`: because receivers would end with an error there, not because it depends on the
    mail.
    """

    def __init__(self, reason: str, *, is_broken: bool) -> None:
        super().__init__(reason)
        self.is_broken = is_broken


DEPENDS = "what it matches depends on each mail."


@dataclass
class SetReader:
    """Reads the addresses of terms. Raises `TemporaryFailure`, and `TooComplex` past 1,000
    networks."""

    resolver: Resolver
    domain: str
    passing: dict[str, AddressSet] = field(default_factory=dict)
    seen: int = 0

    async def matched(
        self, mechanism: Mechanism, domain: str = "", path: tuple[str, ...] = ()
    ) -> AddressSet:
        """Every address that a mechanism of the domain's record matches. Raises `NotASet`."""
        domain, path = domain or self.domain, path or (self.domain,)
        if mechanism.name == "all":
            return AddressSet.everything()
        if mechanism.network is not None:
            self.seen = within_bounds(self.seen + 1)
            return AddressSet.of([mechanism.network])
        if mechanism.name in {"exists", "ptr"} or mechanism.has_macro:
            raise NotASet(DEPENDS, is_broken=False)
        target = mechanism.domain or domain
        if mechanism.name == "include":
            return await self._passed_by(target, path)
        try:
            hosts = await hosts_of(
                mechanism, target=target, resolver=self.resolver, versions=(4, 6)
            )
        except VoidLookup:
            return AddressSet()
        except PermanentError as error:
            raise NotASet(str(error), is_broken=True) from error
        self.seen = within_bounds(self.seen + len(hosts))
        addresses = [ipaddress.ip_address(host) for host in hosts]
        prefixes = {4: mechanism.prefix4, 6: mechanism.prefix6}
        return AddressSet.of(
            ipaddress.ip_network(f"{address}/{prefixes[address.version]}", strict=False)
            for address in addresses
        )

    async def _passed_by(self, target: str, path: tuple[str, ...]) -> AddressSet:
        """The addresses for which the target's record says pass: first match decides (§4.6.2)."""
        if target in path:
            raise NotASet(f"{target} includes itself.", is_broken=True)
        if target in self.passing:
            return self.passing[target]
        try:
            record = await fetch_record(target, self.resolver)
        except VoidLookup as error:
            raise NotASet(f"{target} has no SPF record.", is_broken=True) from error
        except PermanentError as error:
            raise NotASet(str(error), is_broken=True) from error
        passed, decided = AddressSet(), AddressSet()
        for mechanism in record.mechanisms:
            matched = await self.matched(mechanism, target, (*path, target))
            if mechanism.passes:
                passed |= matched - decided
            decided |= matched
        if record.redirect is not None:
            if "%" in record.redirect:
                raise NotASet(DEPENDS, is_broken=False)
            passed |= await self._passed_by(record.redirect, (*path, target)) - decided
        self.passing[target] = passed
        return passed


def within_bounds(number: int) -> int:
    """The number. Raises `TooComplex` where it is too large to be reckoned with."""
    if number > MOST_NETWORKS:
        raise TooComplex(f"The SPF record leads to more than {MOST_NETWORKS} networks.")
    return number


class CachedResolver:
    """A resolver that asks each question once, so that all who use it see the same.

    A name without such a record gives an empty list. Raises `TooComplex` past 200 questions.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._answers: dict[tuple[str, str], list[str]] = {}

    async def txt(self, name: str) -> list[str]:
        return await self._ask("txt", name, self._resolver.txt)

    async def a(self, name: str) -> list[str]:
        return await self._ask("a", name, self._resolver.a)

    async def aaaa(self, name: str) -> list[str]:
        return await self._ask("aaaa", name, self._resolver.aaaa)

    async def mx(self, name: str) -> list[str]:
        return await self._ask("mx", name, self._resolver.mx)

    async def _ask(
        self, kind: str, name: str, ask: Callable[[str], Awaitable[list[str]]]
    ) -> list[str]:
        if (kind, name) not in self._answers:
            if len(self._answers) >= ASKED_NAMES:
                raise TooComplex(f"The SPF record leads to more than {ASKED_NAMES} DNS lookups.")
            try:
                self._answers[kind, name] = await ask(name)
            except VoidLookup:
                self._answers[kind, name] = []
        return self._answers[kind, name]
