"""DKIM rotation: the next key is published, seen, signs; the old one rests and goes.

See docs/decisions/0014.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dnszones.dkim import key_choice
from dnszones.dkim.keys import dkim_key
from dnszones.models import DkimKey, Record, Zone
from dnszones.plans import services
from dnszones.propagation.services import watch_zone
from dnszones.selectors import revertible_plan
from domains.models import Domain
from domains.selectors import get_domain
from events.services import record
from mpanel.core.actor import Actor, system
from mpanel.core.errors import Conflict, MPanelError
from provisioning.models import Job, JobQuerySet
from provisioning.selectors import jobs_about
from provisioning.services import start_job

logger = logging.getLogger(__name__)

WORKFLOW = "dnszones.rotate_dkim"
RETIRED_KEPT = 5  # rows of retired keys that a zone keeps, for the eye
MOST_AT_ONCE = 50  # rotations that one sweep begins
TRY_AGAIN_AFTER = timedelta(days=1)


class SignedElsewhere(Conflict):
    """Mail of this domain is not signed with a key of ours, so there is none to replace."""

    code = "SIGNED_ELSEWHERE"


@dataclass(frozen=True)
class Rotation:
    """The subject of a rotation's job. `key`: the one that shall sign."""

    domain: Domain
    zone: Zone
    key: DkimKey


@dataclass(frozen=True)
class DkimReport:
    """A domain's keys, newest first, and the rotation under way or the last one that failed."""

    keys: tuple[DkimKey, ...]
    job: Job | None
    can_rotate: bool

    @property
    def signing(self) -> DkimKey | None:
        return next((key for key in self.keys if key.status == DkimKey.SIGNING), None)

    @property
    def shown(self) -> tuple[DkimKey, ...]:
        """The keys that mean something to a person: not those made for a plan and never used."""
        return tuple(
            key for key in self.keys if key.status != DkimKey.NEXT or key.published_at is not None
        )

    @property
    def is_under_way(self) -> bool:
        return self.job is not None and self.job.is_active


def dkim_report(actor: Actor, domain_id: UUID) -> DkimReport:
    """The DKIM keys of a domain. Raises `DomainNotFound`."""
    actor.need("dns:read")
    domain = get_domain(actor, domain_id)
    keys = DkimKey.objects.filter(zone__domain=domain).defer("sealed").order_by("-id")
    newest = _jobs_of(domain).first()
    shows = newest is not None and (newest.is_active or newest.status == Job.FAILED)
    return DkimReport(tuple(keys), newest if shows else None, _is_signed_here(domain))


@transaction.atomic
def rotate_dkim(actor: Actor, domain_id: UUID) -> Job:
    """Replace the key that a domain's mail is signed with. The running rotation again, if any.

    Raises `DomainNotVerified`, `DomainIsLeaving`, `SignedElsewhere`, `TooManyKeys`.
    """
    domain = get_domain(actor, domain_id)
    zone = services.lock_zone(actor, domain)
    if running := _jobs_of(domain).active().first():
        return running
    if not _is_signed_here(domain):
        raise SignedElsewhere
    key = _next_key(zone)
    record(
        actor,
        "dns.dkim_rotation_asked",
        domain,
        f"Asked for a new DKIM key of {domain}.",
        changes={"selector": key.selector},
    )
    return start_job(
        actor,
        WORKFLOW,
        subject_id=domain.pk,
        subject_label=str(domain),
        params={"key": str(key.pk)},
        lock=f"zone:{zone.pk}",
    )


def rotate_what_is_due() -> None:
    """The sweep: every key that signed for `DKIM_ROTATE_EVERY` days is replaced."""
    if not settings.DKIM_ROTATE_EVERY:
        return
    now = timezone.now()
    due = (
        Zone.objects.filter(
            dkim_keys__status=DkimKey.SIGNING,
            dkim_keys__signing_since__lt=now - timedelta(days=settings.DKIM_ROTATE_EVERY),
            domain__status__in=(Domain.READY, Domain.PROVISIONED, Domain.CONNECTED),
        )
        .select_related("domain")
        .order_by("dkim_keys__signing_since")
    )
    lately = Job.objects.filter(workflow=WORKFLOW).filter(
        Q(status__in=Job.ACTIVE) | Q(created_at__gt=now - TRY_AGAIN_AFTER)
    )
    for zone in due.exclude(domain_id__in=lately.values("subject_id"))[:MOST_AT_ONCE]:
        if _is_signed_here(zone.domain):
            try:
                rotate_dkim(system(zone.domain.tenant_id), zone.domain_id)
            except MPanelError as error:  # one domain holds up no other
                logger.warning("the DKIM key of %s stays: %s", zone.domain, error)


# --- Called by states ------------------------------------------------------------------------


@transaction.atomic
def note_next_key(rotation: Rotation) -> Record:
    """Keep a row of the next key's record before it is written, so that it is known as ours."""
    Zone.objects.select_for_update().get(pk=rotation.zone.pk)
    known = key_choice.row_of(rotation.key)
    if known and known.ours:
        return known
    data = key_choice.record_of(rotation.key)
    row = known or Record(
        zone=rotation.zone,
        name=data.name,
        type=data.type,
        content=data.content,
        purpose="dkim",
        level="optional",
        reason=key_choice.REASONS[DkimKey.NEXT],
    )
    row.ttl, row.ours = data.ttl, True
    row.save()
    return row


@transaction.atomic
def note_published(rotation: Rotation) -> None:
    """The next key's record was written: watch it spread."""
    rotation.key.published_at = timezone.now()
    rotation.key.save(update_fields=["published_at", "updated_at"])
    watch_zone(rotation.zone)


@transaction.atomic
def sign_with_next_key(rotation: Rotation) -> None:
    """From here on the next key signs; the signer reads it within a minute."""
    zone = Zone.objects.select_for_update().get(pk=rotation.zone.pk)
    now = timezone.now()
    for old in zone.dkim_keys.filter(status=DkimKey.SIGNING):
        old.move(DkimKey.RETIRING)
        _describe(old, level="optional")
    key = rotation.key.move(DkimKey.SIGNING, signing_since=now, seen_at=now)
    _describe(key, level="required")
    domain = rotation.domain
    record(
        system(domain.tenant_id),
        "dns.dkim_rotated",
        domain,
        f"Mail of {domain} is signed with the DKIM key {key.selector} now.",
        changes={"selector": key.selector},
    )


@transaction.atomic
def retire_old_keys(rotation: Rotation) -> None:
    """The old keys' records are gone: forget their private halves."""
    zone = Zone.objects.select_for_update().get(pk=rotation.zone.pk)
    domain = rotation.domain
    for old in zone.dkim_keys.filter(status=DkimKey.RETIRING):
        if row := key_choice.row_of(old):
            row.delete()
        old.move(DkimKey.RETIRED, retired_at=timezone.now(), sealed="", published_at=None)
        record(
            system(domain.tenant_id),
            "dns.dkim_retired",
            domain,
            f"The former DKIM key {old.selector} of {domain} is retired.",
            changes={"selector": old.selector},
        )
    retired = zone.dkim_keys.filter(status=DkimKey.RETIRED).order_by("-retired_at")
    zone.dkim_keys.filter(pk__in=[key.pk for key in retired[RETIRED_KEPT:]]).delete()


def _describe(key: DkimKey, *, level: str) -> None:
    if row := key_choice.row_of(key):
        row.level, row.reason = level, key_choice.REASONS[key.status]
        row.save(update_fields=["level", "reason", "updated_at"])


def _next_key(zone: Zone) -> DkimKey:
    """The next key that a rotation before this one published and did not finish with, or a new one.

    Its selector tells the day, as M3AAWG's practices on rotation advise.
    """
    published = zone.dkim_keys.filter(status=DkimKey.NEXT, published_at__isnull=False)
    if left := published.order_by("-id").first():
        return left
    day = f"mp{timezone.now():%Y%m%d}"
    taken = set(zone.dkim_keys.values_list("selector", flat=True))
    names = (f"{day}-{number}" if number > 1 else day for number in range(1, len(taken) + 2))
    return dkim_key(zone, next(name for name in names if name not in taken))


def _is_signed_here(domain: Domain) -> bool:
    """Whether the mail setup in force has our mail server sign with a key of ours."""
    setup = revertible_plan(domain)
    return (
        setup is not None
        and setup.setup.get("platform") == "mailserver"
        and DkimKey.objects.filter(zone__domain=domain, status=DkimKey.SIGNING).exists()
    )


def _jobs_of(domain: Domain) -> JobQuerySet:
    return jobs_about(domain.pk, WORKFLOW)
