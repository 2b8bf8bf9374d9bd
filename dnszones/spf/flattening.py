"""Flattening: fewer lookups, and never an address that the record did not let pass."""

from dataclasses import dataclass, field

from .addresses import AddressSet
from .evaluation import (
    MAX_LOOKUPS,
    MAX_VOID_LOOKUPS,
    Resolver,
    count_lookups,
)
from .sets import CachedResolver, NotASet, SetReader, within_bounds
from .syntax import Mechanism, Modifier, SPFRecord, parse

# Headers, question and other TXT records share the 512 bytes of a plain UDP answer (§3.4).
COMFORTABLE_BYTES = 450


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
    broken: tuple[str, ...] = ()


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
    cache = CachedResolver(resolver)
    before = await count_lookups(record, domain=domain, resolver=cache)
    warnings = list(before.problems)
    result, after, flattened = record, before, text
    broken: list[str] = []
    if force or before.lookups > MAX_LOOKUPS or before.voids > MAX_VOID_LOOKUPS:
        flattener = _Flattener(SetReader(cache, domain), ipv6=ipv6)
        result = await flattener.record(record)
        after = await count_lookups(result, domain=domain, resolver=cache)
        warnings += flattener.warnings
        flattened, broken = str(result), flattener.broken
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
        broken=tuple(broken),
    )


@dataclass
class _Flattener:
    reader: SetReader
    ipv6: bool
    warnings: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
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
            self.written = within_bounds(self.written + 1)
            if not passed.covers(network):
                terms.append(Mechanism(f"ip{network.version}", network=network))
        return terms

    async def _replacement(self, mechanism: Mechanism) -> AddressSet | None:
        """The addresses that may stand for a term of the record itself; None: it stays."""
        if mechanism.name == "all" or not mechanism.passes:
            return None
        try:
            found = await self.reader.matched(mechanism)
        except NotASet as reason:
            self.warnings.append(f"{mechanism} stays as it is: {reason}")
            if reason.is_broken:
                self.broken.append(str(mechanism))
            return None
        if found.v6 and not self.ipv6:
            self.warnings.append(f"The IPv6 ranges of {mechanism} are left out.")
            return AddressSet(v4=found.v4)
        return found
