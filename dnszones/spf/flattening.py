"""Flattening: fewer lookups, and never an address that the record did not let pass."""

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .addresses import AddressSet
from .evaluation import (
    MAX_LOOKUPS,
    MAX_VOID_LOOKUPS,
    PermanentError,
    Resolver,
    TooComplex,
    VoidLookup,
    count_lookups,
    fetch_record,
    hosts_of,
)
from .syntax import Mechanism, Modifier, SPFRecord, parse

# Headers, question and other TXT records share the 512 bytes of a plain UDP answer (§3.4).
COMFORTABLE_BYTES = 450
ASKED_NAMES = 200
# Of addresses looked at, and of networks written. No time-out ends what we reckon ourselves.
MOST_NETWORKS = 1000


@dataclass(frozen=True)
class Flattening:
    """A record before and after. Where nothing had to be done, `flattened` is `original`.

    `void_lookups` are those of the flattened record. `ips` are the networks that it names itself
    and lets pass. `warnings` are sentences for the domain's owner; `errors` are those of them for
    which receivers still refuse the flattened record.
    """

    original: str
    flattened: str
    lookups_before: int
    lookups_after: int
    void_lookups: int
    warnings: tuple[str, ...]
    ips: tuple[str, ...]
    errors: tuple[str, ...] = ()


class _Kept(Exception):
    """This term cannot be written as addresses, and stays."""


async def flatten(
    text: str, *, domain: str, resolver: Resolver, force: bool = False, ipv6: bool = True
) -> Flattening:
    """Replace lookups by addresses where the record asks for too many of them, or by `force`.

    A term is replaced only where the addresses it lets pass are known exactly: denials, `?` and
    `~` terms, `exists`, `ptr`, macros and the record's own `redirect` stay, in their order, and so
    does an include that leads to one of them or to a broken record. What an included record
    denies is taken out of what it lets pass, its `all` is not copied. `ipv6=False` leaves out the
    IPv6 ranges that pass.

    Raises `SPFSyntaxError` for the text itself, `TemporaryFailure` rather than lose a sender, and
    `TooComplex` past 200 names or 1,000 networks.
    """
    record = parse(text)
    cache = _Cache(resolver)
    before = await count_lookups(record, domain=domain, resolver=cache)
    warnings = list(before.problems)
    result, after, flattened = record, before, text
    if force or before.lookups > MAX_LOOKUPS or before.voids > MAX_VOID_LOOKUPS:
        flattener = _Flattener(cache, domain, ipv6=ipv6)
        result = await flattener.record(record)
        after = await count_lookups(result, domain=domain, resolver=cache)
        warnings += flattener.warnings
        flattened = str(result)
    errors = []
    if after.lookups > MAX_LOOKUPS:
        errors.append(f"The record still needs {after.lookups} DNS lookups; receivers stop at 10.")
    if after.voids > MAX_VOID_LOOKUPS:
        errors.append(f"{after.voids} lookups of the record find nothing; receivers stop at 2.")
    warnings += errors
    if (size := len(flattened.encode())) > COMFORTABLE_BYTES:
        warnings.append(f"The record has {size} bytes, more than fits a plain UDP answer.")
    return Flattening(
        original=text,
        flattened=flattened,
        lookups_before=before.lookups,
        lookups_after=after.lookups,
        void_lookups=after.voids,
        warnings=tuple(dict.fromkeys(warnings)),
        ips=tuple(str(m.network) for m in result.mechanisms if m.network and m.passes),
        errors=tuple(errors),
    )


@dataclass
class _Flattener:
    resolver: Resolver
    domain: str
    ipv6: bool
    warnings: list[str] = field(default_factory=list)
    passing: dict[str, AddressSet] = field(default_factory=dict)
    seen: int = 0
    written: int = 0

    async def record(self, record: SPFRecord) -> SPFRecord:
        """Neighbouring terms that pass become one run of networks; all others keep their place."""
        terms: list[Mechanism | Modifier] = []
        run, passed = AddressSet(), AddressSet()
        for mechanism in record.mechanisms:
            replaced = await self._replacement(mechanism)
            if replaced is not None:
                run |= replaced
                continue
            terms += self._written(run, passed)
            run, passed = AddressSet(), passed | run
            terms.append(mechanism)
        terms += self._written(run, passed)
        # A redirect beside `all` is void and would only mislead.
        terms += [m for m in record.modifiers if m.name != "redirect" or record.redirect]
        return SPFRecord(tuple(terms))

    def _written(self, run: AddressSet, passed: AddressSet) -> list[Mechanism]:
        terms = []
        for network in run.networks():
            self.written = _within_bounds(self.written + 1)
            if not passed.covers(network):
                terms.append(Mechanism(f"ip{network.version}", network=network))
        return terms

    async def _replacement(self, mechanism: Mechanism) -> AddressSet | None:
        """The addresses that may stand for a term of the record itself; None: it stays."""
        if mechanism.name == "all" or not mechanism.passes:
            return None
        try:
            found = await self._matched(mechanism, self.domain, (self.domain,))
        except _Kept as reason:
            self.warnings.append(f"{mechanism} stays as it is: {reason}")
            return None
        if found.v6 and not self.ipv6:
            self.warnings.append(f"The IPv6 ranges of {mechanism} are left out.")
            return AddressSet(v4=found.v4)
        return found

    async def _matched(
        self, mechanism: Mechanism, domain: str, path: tuple[str, ...]
    ) -> AddressSet:
        """Every address that the mechanism matches, exactly. Raises `_Kept`."""
        if mechanism.name == "all":
            return AddressSet.everything()
        if mechanism.network is not None:
            self.seen = _within_bounds(self.seen + 1)
            return AddressSet.of([mechanism.network])
        if mechanism.name in {"exists", "ptr"} or mechanism.has_macro:
            raise _Kept("what it matches depends on each mail.")
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
            raise _Kept(str(error)) from error
        self.seen = _within_bounds(self.seen + len(hosts))
        addresses = [ipaddress.ip_address(host) for host in hosts]
        prefixes = {4: mechanism.prefix4, 6: mechanism.prefix6}
        return AddressSet.of(
            ipaddress.ip_network(f"{address}/{prefixes[address.version]}", strict=False)
            for address in addresses
        )

    async def _passed_by(self, target: str, path: tuple[str, ...]) -> AddressSet:
        """The addresses for which the target's record says pass: first match decides (§4.6.2)."""
        if target in path:
            raise _Kept(f"{target} includes itself.")
        if target in self.passing:
            return self.passing[target]
        try:
            record = await fetch_record(target, self.resolver)
        except VoidLookup as error:
            raise _Kept(f"{target} has no SPF record.") from error
        except PermanentError as error:
            raise _Kept(str(error)) from error
        passed, decided = AddressSet(), AddressSet()
        for mechanism in record.mechanisms:
            matched = await self._matched(mechanism, target, (*path, target))
            if mechanism.passes:
                passed |= matched - decided
            decided |= matched
        if record.redirect is not None:
            if "%" in record.redirect:
                raise _Kept("what it matches depends on each mail.")
            passed |= await self._passed_by(record.redirect, (*path, target)) - decided
        self.passing[target] = passed
        return passed


def _within_bounds(number: int) -> int:
    if number > MOST_NETWORKS:
        raise TooComplex(f"The SPF record leads to more than {MOST_NETWORKS} networks.")
    return number


class _Cache:
    """A resolver that asks each question once, so that counting and flattening see the same."""

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
