"""What an SPF record means once DNS is asked: lookups, void lookups, and `check_host`."""

import ipaddress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mpanel.dns.client import TemporaryFailure

from .syntax import (
    LOOKUP_MECHANISMS,
    Mechanism,
    SPFRecord,
    SPFSyntaxError,
    expand_domain,
    is_spf,
    parse,
)

MAX_LOOKUPS = 10  # RFC 7208 §4.6.4
MAX_VOID_LOOKUPS = 2
MAX_MX_HOSTS = 10

# A tree of includes can be hostile (each record naming ten more): we stop asking here.
COUNTED_LOOKUPS = 100
# Nor do we read what no mail server would: RFC 7208 §3.4 wants 450 bytes.
LONGEST_RECORD = 8192

Result = Literal["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]
_RESULTS: dict[str, Result] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class VoidLookup(Exception):
    """The name does not exist, or has no record of this type."""


class TooComplex(Exception):
    """The record leads to more DNS lookups than we follow."""


class Resolver(Protocol):
    """DNS as SPF needs it. Names are without trailing dot.

    Each method returns an empty list or raises `VoidLookup` where there is no such record, and
    raises `TemporaryFailure` for time-outs, SERVFAIL and the like.
    """

    async def txt(self, name: str) -> list[str]:
        """Each TXT record with its strings joined."""

    async def a(self, name: str) -> list[str]:
        """IPv4 addresses, aliases followed."""

    async def aaaa(self, name: str) -> list[str]:
        """IPv6 addresses, aliases followed."""

    async def mx(self, name: str) -> list[str]:
        """Mail hosts, without their preferences."""


class CheckResolver(Resolver, Protocol):
    """A resolver that can also look an address up, which only `check_host` needs."""

    async def ptr(self, address: str) -> list[str]:
        """The names of an address."""


class PermanentError(Exception):
    """SPF's permerror: no result can be had from this record (RFC 7208 §2.6.7)."""


@dataclass(frozen=True)
class LookupCount:
    """What a receiver may have to ask in the worst case; the record itself is not counted.

    `voids`: terms that find nothing, for the worse of an IPv4 and an IPv6 client: a name with an
    A record only is a void lookup for the latter. `problems` are sentences about included records
    that cannot be used.
    """

    lookups: int
    voids: int
    problems: tuple[str, ...] = ()


async def count_lookups(record: SPFRecord, *, domain: str, resolver: Resolver) -> LookupCount:
    """Count the terms that cost a DNS lookup, includes and redirect followed, loops noticed.

    Raises `TemporaryFailure`, and `TooComplex` past 100 lookups.
    """
    counter = _Counter(resolver)
    await counter.record(record, domain, (domain,))
    voids = max(counter.voids.values())
    return LookupCount(counter.lookups, voids, tuple(dict.fromkeys(counter.problems)))


async def fetch_record(name: str, resolver: Resolver) -> SPFRecord:
    """The one SPF record of a name. Raises `PermanentError` where there is none, two or a bad one.

    `VoidLookup` where the name has no TXT record at all; `TemporaryFailure`; `TooComplex` for a
    record past 8,192 characters.
    """
    texts = await resolver.txt(name)
    if not texts:
        raise VoidLookup(f"{name} has no TXT record.")
    found = [text for text in texts if is_spf(text)]
    if len(found) != 1:
        raise PermanentError(f"{name} has {len(found) or 'no'} SPF record{'s' * (len(found) > 1)}.")
    if len(found[0]) > LONGEST_RECORD:
        raise TooComplex(f"The SPF record of {name} has more than {LONGEST_RECORD} characters.")
    try:
        return parse(found[0])
    except SPFSyntaxError as error:
        raise PermanentError(f"The SPF record of {name} is not valid. {error}") from error


async def hosts_of(
    mechanism: Mechanism, *, target: str, resolver: Resolver, versions: tuple[int, ...]
) -> list[str]:
    """The addresses of these IP versions that an a or mx mechanism names, or `VoidLookup`.

    Raises `PermanentError` for more than ten mail hosts (§4.6.4).
    """
    names = [target]
    if mechanism.name == "mx":
        names = await resolver.mx(target)
        if not names:
            raise VoidLookup(f"{target} has no MX record.")
        if len(names) > MAX_MX_HOSTS:
            raise PermanentError(f"{target} has more than ten mail hosts.")
    found: list[str] = []
    for name in names:
        for version in versions:
            try:
                found += await (resolver.a(name) if version == 4 else resolver.aaaa(name))
            except VoidLookup:
                continue
    if not found:
        raise VoidLookup(f"{target} leads to no address.")
    return found


@dataclass
class _Counter:
    resolver: Resolver
    lookups: int = 0
    voids: dict[int, int] = field(default_factory=lambda: {4: 0, 6: 0})  # by the client's family
    problems: list[str] = field(default_factory=list)

    async def record(self, record: SPFRecord, domain: str, path: tuple[str, ...]) -> None:
        for mechanism in record.mechanisms:
            if mechanism.name not in LOOKUP_MECHANISMS:
                continue
            self._charge()
            if mechanism.has_macro or mechanism.name == "ptr":
                continue  # depends on the mail; nothing more can be known here
            await self._follow(mechanism, mechanism.domain or domain, path)
        if record.redirect is not None:
            self._charge()
            if "%" not in record.redirect:
                await self._nested(record.redirect, path)

    def _charge(self) -> None:
        self.lookups += 1
        if self.lookups > COUNTED_LOOKUPS:
            raise TooComplex(f"The SPF record needs more than {COUNTED_LOOKUPS} DNS lookups.")

    def _void(self, *versions: int) -> None:
        for version in versions:
            self.voids[version] += 1

    async def _follow(self, mechanism: Mechanism, target: str, path: tuple[str, ...]) -> None:
        if mechanism.name == "include":
            await self._nested(target, path)
            return
        if mechanism.name == "exists":
            try:
                is_void = not await self.resolver.a(target)
            except VoidLookup:
                is_void = True
            if is_void:
                self._void(4, 6)
            return
        for version in self.voids:
            try:
                await hosts_of(
                    mechanism, target=target, resolver=self.resolver, versions=(version,)
                )
            except VoidLookup:
                self._void(version)
            except PermanentError as error:
                self.problems.append(str(error))

    async def _nested(self, target: str, path: tuple[str, ...]) -> None:
        if target in path:
            self.problems.append(f"{target} includes itself.")
            return
        try:
            nested = await fetch_record(target, self.resolver)
        except VoidLookup as error:
            self._void(4, 6)
            self.problems.append(str(error) or f"{target} has no TXT record.")
        except PermanentError as error:
            self.problems.append(str(error))
        else:
            await self.record(nested, target, (*path, target))


async def check_host(
    *,
    ip: str,
    domain: str,
    sender: str,
    resolver: CheckResolver,
    max_lookups: int | None = MAX_LOOKUPS,
    max_voids: int | None = MAX_VOID_LOOKUPS,
) -> Result:
    """RFC 7208 §4: whether the domain lets `ip` send as `sender` (an address). None: no limit."""
    check = _Check(ipaddress.ip_address(ip), sender, resolver, max_lookups, max_voids)
    return await check.domain(domain)


async def evaluate(
    record: SPFRecord,
    *,
    ip: str,
    domain: str,
    sender: str,
    resolver: CheckResolver,
    max_lookups: int | None = MAX_LOOKUPS,
    max_voids: int | None = MAX_VOID_LOOKUPS,
) -> Result:
    """`check_host` for a record that need not be published. None lifts a limit."""
    check = _Check(ipaddress.ip_address(ip), sender, resolver, max_lookups, max_voids)
    try:
        return await check.record(record, domain, (domain,))
    except PermanentError:
        return "permerror"
    except TemporaryFailure:
        return "temperror"


class _Check:
    """One run of check_host, with its counts."""

    def __init__(
        self,
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
        sender: str,
        resolver: CheckResolver,
        max_lookups: int | None,
        max_voids: int | None,
    ) -> None:
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        self.ip = mapped or ip
        self.sender = sender
        self.resolver = resolver
        self.max_lookups, self.max_voids = max_lookups, max_voids
        self.lookups = self.voids = 0

    async def domain(self, domain: str) -> Result:
        try:
            if not any(is_spf(text) for text in await self.resolver.txt(domain)):
                return "none"
            record = await fetch_record(domain, self.resolver)
            return await self.record(record, domain, (domain,))
        except VoidLookup:
            return "none"
        except PermanentError:
            return "permerror"
        except TemporaryFailure:
            return "temperror"

    async def record(self, record: SPFRecord, domain: str, path: tuple[str, ...]) -> Result:
        for mechanism in record.mechanisms:
            if await self._matches(mechanism, domain, path):
                return _RESULTS[mechanism.qualifier]
        if record.redirect is None:
            return "neutral"
        self._charge()
        return await self._nested(self._expanded(record.redirect, domain), path)

    async def _matches(self, mechanism: Mechanism, domain: str, path: tuple[str, ...]) -> bool:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            return self.ip in mechanism.network
        self._charge()
        target = self._expanded(mechanism.domain, domain) if mechanism.domain else domain
        if mechanism.name == "include":
            return await self._nested(target, path) == "pass"
        try:
            return await self._names_ip(mechanism, target)
        except VoidLookup:
            return self._void()

    async def _names_ip(self, mechanism: Mechanism, target: str) -> bool:
        """Whether an a, mx, ptr or exists mechanism matches. `VoidLookup` where DNS has nothing."""
        if mechanism.name == "exists":
            return bool(await self.resolver.a(target)) or self._void()
        if mechanism.name == "ptr":
            return await self._has_name_below(target)
        addresses = await hosts_of(
            mechanism, target=target, resolver=self.resolver, versions=(self.ip.version,)
        )
        prefix = mechanism.prefix4 if self.ip.version == 4 else mechanism.prefix6
        return any(
            self.ip in ipaddress.ip_network(f"{address}/{prefix}", strict=False)
            for address in addresses
        )

    async def _nested(self, target: str, path: tuple[str, ...]) -> Result:
        if target in path:
            raise PermanentError(f"{target} includes itself.")
        try:
            record = await fetch_record(target, self.resolver)
        except VoidLookup as error:
            self._void()
            raise PermanentError(f"{target} has no SPF record.") from error
        return await self.record(record, target, (*path, target))

    async def _has_name_below(self, target: str) -> bool:
        for name in (await self.resolver.ptr(str(self.ip)))[:10]:
            lookup = self.resolver.a if self.ip.version == 4 else self.resolver.aaaa
            try:
                addresses = await lookup(name)
            except VoidLookup:
                continue
            validated = any(ipaddress.ip_address(found) == self.ip for found in addresses)
            if validated and f".{name.lower()}".endswith(f".{target.lower()}"):
                return True
        return False

    def _expanded(self, spec: str, domain: str) -> str:
        if "%" not in spec:
            return spec
        return expand_domain(spec, ip=str(self.ip), domain=domain, sender=self.sender)

    def _charge(self) -> None:
        self.lookups += 1
        if self.max_lookups is not None and self.lookups > self.max_lookups:
            raise PermanentError("Too many DNS lookups.")

    def _void(self) -> Literal[False]:
        self.voids += 1
        if self.max_voids is not None and self.voids > self.max_voids:
            raise PermanentError("Too many void lookups.")
        return False
