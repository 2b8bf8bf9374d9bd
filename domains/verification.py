"""Where nameservers must point, and one bounded look at whether they do (docs/decisions/0007)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from domains import selectors
from domains.models import Domain
from domains.ownership import look_at_control
from domains.registrars import NameserverInstructions, nameserver_instructions
from domains.selectors import CONNECTING, DomainNotFound
from mpanel.core import queues
from mpanel.core.actor import Actor
from mpanel.core.errors import Conflict
from provisioning.services import wake_jobs

LOOK = 8.0  # seconds that a request may look at public DNS, for all its domains together
MOST_AT_ONCE = 50  # domains


class NameserversNotAssigned(Conflict):
    """The domain's zone is being made, so its nameservers are not known yet. Ask again shortly."""

    code = "NAMESERVERS_NOT_ASSIGNED"


class ZoneNotComplete(Conflict):
    """The zone does not yet have what the domain publishes at its present nameservers, so changing
    them would take that away. Look at its existing records first."""

    code = "ZONE_NOT_COMPLETE"


@dataclass(frozen=True)
class NameserverCheck:
    """What DNS says of a domain now. Not verified is also what could not be seen."""

    domain: Domain
    is_verified: bool
    current_nameservers: tuple[str, ...]
    expected_nameservers: tuple[str, ...]
    message: str
    checked_at: datetime


def instructions(actor: Actor, domain_id: UUID) -> NameserverInstructions:
    """What to do at the domain's registrar.

    Raises `NameserversNotAssigned`, and `ZoneNotComplete` while that would take something away.
    """
    domain = selectors.get_domain(actor, domain_id)
    if not domain.shown_nameservers:
        raise _not_shown(domain)
    return nameserver_instructions(
        domain.registrar, domain.nameservers, dns_provider=domain.dns_provider_name
    )


def verify_nameservers(actor: Actor, domain_id: UUID) -> NameserverCheck:
    """Look now, and let the job that waits for the nameservers look too."""
    (check,) = _look([selectors.get_domain(actor, domain_id)])
    return check


def verify_many_nameservers(
    actor: Actor, domain_ids: Sequence[UUID]
) -> list[NameserverCheck | DomainNotFound]:
    """The same for several domains, in their order; an unknown one is told in its place."""
    mine = list(selectors.domains(actor).filter(pk__in=domain_ids))
    checks = {check.domain.pk: check for check in _look(mine)}
    return [checks.get(domain_id) or DomainNotFound() for domain_id in domain_ids]


def _look(domains: Sequence[Domain]) -> list[NameserverCheck]:
    known = [domain for domain in domains if domain.shown_nameservers]
    reports = dict(
        zip(
            (domain.pk for domain in known),
            look_at_control(known, within=LOOK) if known else [],
            strict=True,
        )
    )
    _wake_jobs(domains)
    now = timezone.now()
    checks = []
    for domain in domains:
        report = reports.get(domain.pk)
        checks.append(
            NameserverCheck(
                domain=domain,
                is_verified=report is not None and report.is_proved,
                current_nameservers=report.delegation.found if report else (),
                expected_nameservers=report.delegation.expected if report else (),
                message=report.message if report else _not_shown(domain).message,
                checked_at=now,
            )
        )
    return checks


def _not_shown(domain: Domain) -> Conflict:
    return ZoneNotComplete() if domain.nameservers else NameserversNotAssigned()


def _wake_jobs(domains: Sequence[Domain]) -> None:
    for domain in domains:
        if domain.is_revoked:
            queues.send("domains.tasks.look_at_delegation", str(domain.pk))
    ids = [domain.pk for domain in domains]
    wake_jobs(ids, *CONNECTING)
