"""Propagation sessions: a domain's records are watched until they have spread."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from dnszones import selectors
from dnszones.models import SESSION_LASTS, PropagationSession, Record, Zone
from domains.models import Domain
from domains.selectors import get_domain
from domains.services import mark_ready
from events.services import record
from mpanel.core import periodic
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict


def start_session(actor: Actor, domain_id: UUID) -> PropagationSession:
    """Watch the domain's records spread; the running session again, if there is one."""
    return join_session(actor, domain_id)[0]


@transaction.atomic
def join_session(actor: Actor, domain_id: UUID) -> tuple[PropagationSession, bool]:
    """The running session of a domain, or a new one; and whether it is new."""
    actor.need("dns:write")
    domain = get_domain(actor, domain_id)
    zone = Zone.objects.select_for_update().filter(domain=domain).first()
    if zone is None or not zone.records.exists():
        raise Conflict("There are no records to watch yet. Apply a DNS plan first.")
    running = zone.sessions.filter(status=PropagationSession.POLLING).first()
    session = watch_zone(zone)
    return session, session != running


@transaction.atomic
def cancel_session(actor: Actor, session_id: UUID) -> PropagationSession:
    """Stop a session. Twice is harmless."""
    actor.require(ADMIN, "dns:write")
    session = selectors.get_session(actor, session_id)
    if session.status != PropagationSession.CANCELLED:
        session.move(PropagationSession.CANCELLED, completed_at=timezone.now())
        domain = session.zone.domain
        record(actor, "dns.watch_cancelled", domain, f"Stopped watching {domain}’s DNS.")
    return session


@transaction.atomic
def check_records_now(actor: Actor, domain_id: UUID) -> Domain:
    """Look at the domain's records now rather than at the next interval."""
    actor.need("dns:read")
    domain = get_domain(actor, domain_id)
    if Record.objects.filter(zone__domain=domain).update(next_check_at=timezone.now()):
        periodic.start("dnszones.propagation")
    return domain


def check_session_now(actor: Actor, session_id: UUID) -> PropagationSession:
    """Look at the records of a session's domain now."""
    session = selectors.get_session(actor, session_id)
    check_records_now(actor, session.zone.domain_id)
    return session


@transaction.atomic
def go_on_before_propagated(actor: Actor, domain_id: UUID) -> Domain:
    """Go on although some caches are behind; the zone itself must have all required records."""
    actor.require(ADMIN, "dns:write")
    domain = get_domain(actor, domain_id)
    required = Record.objects.filter(zone__domain=domain, level="required")
    if domain.status != Domain.DNS_CONFIGURING:
        return domain
    if any(row.verdict != "matches" for row in required):
        raise Conflict(
            "The zone's own nameservers do not have every required record yet, so going on would "
            "give inboxes that cannot receive or are not trusted."
        )
    mark_ready(domain)
    record(actor, "domain.ready", domain, f"Went on with {domain} before all caches were current.")
    return domain


def watch_zone(zone: Zone) -> PropagationSession:
    """The zone's running session, a new one if there is none; its records are due now."""
    zone.records.update(next_check_at=timezone.now())
    running = zone.sessions.filter(status=PropagationSession.POLLING).first()
    return running or PropagationSession.objects.create(
        zone=zone, timeout_at=timezone.now() + SESSION_LASTS
    )
