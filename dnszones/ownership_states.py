"""Writing the record that proves whose a domain is, and the sweep that writes it where it is not.

That is the zones of domains that were verified before there was such a record, and those from which
somebody deleted it.
"""

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from dnszones.access import zone_provider
from dnszones.models import Zone
from dnszones.ownership_record import proof_record
from dnszones.plans.services import DomainIsLeaving
from dnszones.records import same_value
from domains.models import Domain
from domains.ownership import note_proof_written
from mpanel.core.actor import system
from mpanel.core.errors import NotFound
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.services import start_job

WORKFLOW = "dnszones.proof"
MOST_PER_SWEEP = 50
AGAIN_AFTER = timedelta(hours=1)


class ProofIsWritten(DesiredState[Domain]):
    """Our token stands in the zone, for the nameservers to show."""

    name = "proof_written"
    label = "Write the ownership record"

    def observe(self, subject: Domain) -> Observation:
        data = proof_record(subject)
        expected = f"TXT {data.name}"
        zone = _zone_of(subject)
        there = zone_provider(zone).list_records(zone.remote_id)
        if not any(same_value(one.data, data) for one in there):
            return Observation.missing("The ownership record is missing.", expected=expected)
        if subject.proof_written_at is None:
            return Observation.missing("The ownership record is not noted here.", expected=expected)
        return Observation.matches("The ownership record is in the zone.", expected=expected)

    def apply(self, subject: Domain) -> None:
        if subject.status == Domain.DELETING:
            raise DomainIsLeaving
        data = proof_record(subject)
        zone = _zone_of(subject)
        provider = zone_provider(zone)
        if not any(same_value(one.data, data) for one in provider.list_records(zone.remote_id)):
            provider.apply_batch(zone.remote_id, creates=[data])
        note_proof_written(subject)


def _zone_of(domain: Domain) -> Zone:
    return Zone.objects.select_related("domain__dns_credential").get(domain=domain)


def load_domain(job: Job) -> Domain:
    """The domain of a job, fresh, with its credential."""
    found = Domain.objects.select_related("dns_credential").filter(
        pk=job.subject_id, tenant_id=job.tenant_id
    )
    if domain := found.first():
        return domain
    raise NotFound("The domain was removed meanwhile.")


def write_missing_proofs() -> None:
    """Start a job for each domain that is, or was, verified and whose zone lacks its proof."""
    recent = Job.objects.filter(workflow=WORKFLOW, subject_id=OuterRef("pk")).filter(
        Q(created_at__gt=timezone.now() - AGAIN_AFTER) | Q(pk__in=Job.objects.active())
    )
    is_missing = Q(proof_written_at=None) | Q(
        delegation__verdict="matches", delegation__proof="missing"
    )
    due = (
        Domain.objects.filter(Q(verified_at__isnull=False) | Q(revoked_at__isnull=False))
        .filter(is_missing, ~Exists(recent), zone__isnull=False)
        .exclude(zone__remote_id="")
        .exclude(status=Domain.DELETING)
        .select_related("zone")
    )
    for domain in due.order_by("pk")[:MOST_PER_SWEEP]:
        start_job(
            system(domain.tenant_id),
            WORKFLOW,
            subject_id=domain.pk,
            subject_label=str(domain),
            lock=f"zone:{domain.zone.pk}",
        )


register(
    Workflow(
        name=WORKFLOW,
        label="Write a domain's ownership record",
        states=(ProofIsWritten(),),
        load=load_domain,
    )
)
