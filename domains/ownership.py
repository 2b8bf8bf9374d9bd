"""Whose a domain is: the one door to "verified", and the way out when the proof is gone.

Nothing that a customer typed proves control (control.py says what does). What was proved once is
looked at again and again; when delegation or proof were seen to be gone often and long enough, the
domain is no longer verified. Its mail and settings are kept, and come back with the proof.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from domains import control, delegation
from domains.control import Claim, ControlReport
from domains.models import Domain
from domains.reserved import check_not_reserved
from domains.services import DomainTaken
from events.services import record
from mpanel.core.actor import system
from mpanel.core.bulk import update_in_slices
from mpanel.core.errors import Conflict, ProviderError
from mpanel.dns.client import DNSClient, Server

MOST_PER_SWEEP = 200


class ControlNotProved(Conflict):
    """The domain's nameservers do not show that it is yours."""

    code = "CONTROL_NOT_PROVED"


# --- Looking ---------------------------------------------------------------------------------


def look_at_control(
    domains: Sequence[Domain], *, within: float | None = None
) -> list[ControlReport]:
    """Ask public DNS about all of these, five at a time, and keep what was seen.

    What could not be seen (`unknown`) is told, but never replaces what was known. `within`:
    seconds for all of them together.
    """
    claims = [
        Claim(domain.name, tuple(domain.nameservers), domain.proof_token) for domain in domains
    ]

    async def ask() -> list[ControlReport]:
        async with DNSClient(timeout=settings.DNS_TIMEOUT) as client:
            return await control.observe_control(
                client, claims, roots=_roots(), port=settings.DNS_PORT, within=within
            )

    reports = asyncio.run(ask())
    now = timezone.now()
    for domain, report in zip(domains, reports, strict=True):
        seen = {
            "verdict": report.delegation.verdict,
            "found": list(report.delegation.found),
            "message": report.message,
            "ttl": report.delegation.ttl,
            "asked": [[str(server), said] for server, said in report.delegation.asked],
            "at": now.isoformat(),
            "proof": report.proof,
            "proof_asked": [[str(server), said] for server, said in report.asked],
            "stale_ds": list(report.stale_ds or ()),
        }
        known = domain.delegation or {}
        if known and report.stale_ds is None:
            seen["stale_ds"] = known.get("stale_ds", [])
        if known and report.delegation.verdict == "unknown":
            seen = {**known, "message": report.message, "unreachable": True}
        elif known and report.proof == "unknown":
            seen |= {"proof": known.get("proof", "unknown"), "unreachable": True}
        domain.delegation, domain.delegation_checked_at = seen, now
    update_in_slices(domains, ["delegation", "delegation_checked_at"])
    return reports


def look_at_signers(
    names: Sequence[str], *, within: float | None = None
) -> list[delegation.SignerReport]:
    """Ask the parent zones' servers for the DS records of these domains, five at a time."""

    async def ask() -> list[delegation.SignerReport]:
        async with DNSClient(timeout=settings.DNS_TIMEOUT) as client:
            return await delegation.observe_signers(
                client, names, roots=_roots(), port=settings.DNS_PORT, within=within
            )

    return asyncio.run(ask())


def _roots() -> list[Server]:
    return [Server(address, settings.DNS_PORT) for address in settings.DNS_ROOT_SERVERS]


# --- Called by states and sweeps, not by people ----------------------------------------------


def note_proof_written(domain: Domain) -> None:
    """The token stands in the domain's zone: from now on, its nameservers must show it."""
    if domain.proof_written_at is None:
        domain.proof_written_at = timezone.now()
        domain.save(update_fields=["proof_written_at", "updated_at"])


def verify(domain: Domain) -> None:
    """Look, and mark the domain verified if it is proved now. Raises as `mark_verified`."""
    (report,) = look_at_control([domain])
    if not report.is_proved:
        raise ProviderError(ControlNotProved.code, report.message, retryable=True)
    mark_verified(domain, report)


def mark_verified(domain: Domain, report: ControlReport) -> None:
    """The one door to "verified": control was proved, so the domain is this tenant's.

    Raises `ControlNotProved`, `NameReserved`, `DomainTaken`.
    """
    if not report.is_proved or report.claim.token != domain.proof_token:
        raise ControlNotProved
    now = timezone.now()
    columns = {
        "verified_at": now, "zone_complete_at": domain.zone_complete_at or now,
        "revoked_at": None, "gone_since": None, "gone_looks": 0,
    }  # fmt: skip
    try:
        with transaction.atomic():
            if domain.revoked_at is None:
                check_not_reserved(domain.name)
                domain.move(Domain.VERIFIED, **columns)
                record(system(domain.tenant_id), "domain.verified", domain, f"Verified {domain}.")
            else:
                _change(domain, revoked_at=domain.revoked_at, columns=columns)
                text = f"{domain} is verified again: its nameservers show that it is yours."
                record(system(domain.tenant_id), "domain.verified_again", domain, text)
    except IntegrityError:
        raise DomainTaken from None


def follow(looks: Iterable[tuple[Domain, ControlReport]]) -> None:
    """Act on looks at domains that are, or were, verified; what is counted costs one statement.

    Control counts as lost when it was seen to be gone on several looks (`CONTROL_GONE_LOOKS`) over
    a time (`CONTROL_GONE_HOURS`). What could not be seen counts neither way.
    """
    now = timezone.now()
    counted: list[Domain] = []
    lost: list[tuple[Domain, str]] = []
    for domain, report in looks:
        if domain.status == Domain.DELETING:
            continue
        if not domain.is_verified:
            if domain.revoked_at and report.is_proved:
                with suppress(Conflict):  # somebody else has it, or acted at the same moment
                    mark_verified(domain, report)
            continue
        is_unproved = report.proof == "missing" and domain.proof_written_at is not None
        if report.is_delegated_elsewhere or is_unproved:
            domain.gone_since, domain.gone_looks = domain.gone_since or now, domain.gone_looks + 1
            counted.append(domain)
            is_long = now - domain.gone_since >= timedelta(hours=settings.CONTROL_GONE_HOURS)
            if is_long and domain.gone_looks >= settings.CONTROL_GONE_LOOKS:
                lost.append((domain, report.message))
        elif report.is_kept and domain.gone_looks:
            domain.gone_since, domain.gone_looks = None, 0
            counted.append(domain)
    for domain in counted:
        domain.updated_at = now
    # A domain that was proved anew, or given up, during the look starts from there.
    update_in_slices(counted, ["gone_since", "gone_looks", "updated_at"], as_seen=["verified_at"])
    for domain, why in lost:
        with suppress(Conflict):
            revoke(domain, why)


@transaction.atomic
def revoke(domain: Domain, why: str) -> None:
    """The proof is gone: the domain is no longer verified. Nothing of it is deleted."""
    _change(domain, revoked_at=None, columns={"verified_at": None, "revoked_at": timezone.now()})
    record(
        system(domain.tenant_id),
        "domain.verification_lost",
        domain,
        f"{domain} is no longer verified, so no mail is received or sent here; what "
        f"arrived is kept. {why}",
    )


def _change(domain: Domain, *, revoked_at: datetime | None, columns: Mapping[str, Any]) -> None:
    """Compare and set, so that of two looks at once one acts. Raises `Conflict`."""
    present = Domain.objects.filter(pk=domain.pk, revoked_at=revoked_at)
    was_verified = present.filter(verified_at__isnull=not domain.is_verified)
    if not was_verified.update(**columns, updated_at=timezone.now()):
        raise Conflict("The domain was changed by somebody else just now.")
    for name, value in columns.items():
        setattr(domain, name, value)


def recheck_due_domains() -> None:
    """Look again at domains that are or were verified and were not looked at for a while."""
    before = timezone.now() - timedelta(seconds=settings.DNS_WATCH_INTERVAL)
    due = list(
        Domain.objects.filter(Q(verified_at__isnull=False) | Q(revoked_at__isnull=False))
        .exclude(status=Domain.DELETING)
        .filter(Q(delegation_checked_at__lt=before) | Q(delegation_checked_at=None))
        .order_by(F("delegation_checked_at").asc(nulls_first=True))[:MOST_PER_SWEEP]
    )
    if due:
        follow(zip(due, look_at_control(due), strict=True))
