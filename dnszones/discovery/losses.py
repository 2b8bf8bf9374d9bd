"""What a domain loses when its nameservers change to a zone that lacks what it publishes now."""

from dataclasses import asdict
from typing import Final

from dnszones.discovery.comparing import Comparison, Difference
from dnszones.discovery.selectors import comparison_of, records_found
from dnszones.models import ZoneDiscovery
from dnszones.plans import ExistingRecord, plan_removal
from dnszones.records import value_of
from dnszones.vendors import own_mail_hosts
from domains.models import Domain
from mpanel.core.losses import Kind, Loss, digest_of

MOST_SHOWN: Final = 100  # characters of a value
_KINDS: Final[dict[str, Kind]] = {
    "A": "website",
    "AAAA": "website",
    "CNAME": "website",
    "MX": "mail",
    "NS": "delegation",
    "DS": "dnssec",
}


def losses_now(row: ZoneDiscovery) -> tuple[tuple[Loss, ...], str]:
    """What is lost if the nameservers are changed now, and the digest of exactly that."""
    domain = row.zone.domain
    if row.status == ZoneDiscovery.UNSEEN:
        told = (
            f"What {domain} publishes now could not be seen. All of it is lost: its website, mail "
            "and everything else at its present nameservers."
        )
        return (Loss("extent", domain.name, told),), digest_of(row.status, row.nameservers)
    if row.status == ZoneDiscovery.DIFFERENT:
        seen = comparison_of(row)
        return _of_comparison(domain, seen), digest_of(row.status, row.comparison)
    return _of_all_found(row)


def _of_comparison(domain: Domain, seen: Comparison | None) -> tuple[Loss, ...]:
    """What the new nameservers answer otherwise, or nobody knows how."""
    losses = [_of_difference(one) for one in seen.differences] if seen else []
    if seen and seen.different > len(seen.differences):
        told = f"{seen.different - len(seen.differences)} more names and types are different."
        losses.append(Loss("extent", domain.name, told))
    if seen and seen.unknown:
        told = f"{seen.unknown} names and types could not be compared."
        losses.append(Loss("extent", domain.name, told))
    if not losses:
        told = f"Old and new nameservers of {domain} were not compared to the end."
        losses.append(Loss("extent", domain.name, told))
    return tuple(losses)


def _of_difference(one: Difference) -> Loss:
    kind = "wildcard" if one.name.startswith("*.") else _KINDS.get(one.type, "extent")
    old, new = (", ".join(said) or "nothing" for said in (one.old, one.new))
    return Loss(kind, one.name, f"{one.type} {one.name}: {old} becomes {new}.")


def _of_all_found(row: ZoneDiscovery) -> tuple[tuple[Loss, ...], str]:
    """All that was found, as if it were deleted from the zone that serves it now."""
    domain = row.zone.domain
    existing = [ExistingRecord(one.id, one.record) for one in records_found(row)]
    plan = plan_removal(
        domain.name, existing, existing, reason="Is not taken over.", own_hosts=own_mail_hosts()
    )
    live = tuple(loss for loss in plan.losses if loss.kind != "extent")
    told = {loss.name for loss in live}
    others = [
        Loss("extent", one.data.name, f"{one.data.type} {one.data.name} is lost: "
             f"{value_of(one.data)[:MOST_SHOWN]}")
        for one in existing
        if one.data.name not in told or one.data.type == "TXT"
    ]  # fmt: skip
    left_out = [Loss("extent", name, why) for name, _, why in row.left_out]
    digest = digest_of(row.status, [asdict(one.data) for one in existing], row.left_out)
    return (*live, *others, *left_out), digest
