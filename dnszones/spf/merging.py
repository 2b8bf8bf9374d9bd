"""Adding senders to an SPF record of somebody else, judged by what receivers make of it."""

from .addresses import AddressSet
from .evaluation import MAX_LOOKUPS, MAX_VOID_LOOKUPS, Resolver, TooComplex, count_lookups
from .sets import CachedResolver, NotASet, SetReader
from .syntax import MergeConflict, SPFRecord, merge, sender_terms


async def merge_by_evaluation(
    existing: SPFRecord, wanted: SPFRecord, *, domain: str, resolver: Resolver
) -> SPFRecord:
    """The existing record where an evaluation lets every address of `wanted` pass; else `merge`.

    What the result says about any other address is what the existing record says. Raises
    `MergeConflict` as `merge` does, and where `wanted` itself leads to an error, which would
    become the existing senders' error too; `TemporaryFailure` where DNS does not say.
    """
    merged = merge(existing, wanted)
    if merged == existing:
        return existing
    cache = CachedResolver(resolver)
    reader = SetReader(cache, domain)
    ours = AddressSet()
    try:
        for term in sender_terms(wanted):
            ours |= await reader.matched(term)
        known = bool(ours) and await _all_pass(existing, ours, reader, cache)
    except NotASet as error:
        if error.is_broken:
            raise MergeConflict(f"Our own senders cannot be added: {error}") from error
        return merged
    except TooComplex:
        return merged
    return existing if known else merged


async def _all_pass(
    record: SPFRecord, ours: AddressSet, reader: SetReader, resolver: Resolver
) -> bool:
    """Whether receivers surely say pass for each of these addresses, within SPF's limits."""
    undecided = ours
    for position, mechanism in enumerate(record.mechanisms, start=1):
        try:
            matched = await reader.matched(mechanism)
        except NotASet as error:
            if error.is_broken or not mechanism.passes or mechanism.name == "include":
                return False
            continue  # where an exists or ptr matches, that is a pass, too
        if not mechanism.passes and undecided - matched != undecided:
            return False
        undecided -= matched
        if not undecided:
            reached = SPFRecord(record.mechanisms[:position])
            count = await count_lookups(reached, domain=reader.domain, resolver=resolver)
            return count.lookups <= MAX_LOOKUPS and count.voids <= MAX_VOID_LOOKUPS
    return False
