"""A domain in a vendor's directory: entered there, and believed to be ours."""

from datetime import timedelta

from dnszones.models import Zone
from dnszones.records import RecordData
from dnszones.vendor_records import is_published, publish_record
from mailboxes import maildomains
from mailservers.models import MailDomain
from mailservers.vendors import directory_of, provider_of_domain
from mpanel.core.errors import NotFound
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job

LOOK_EVERY = timedelta(seconds=15)
GIVE_UP_AFTER = timedelta(hours=48)


class DomainInDirectory(DesiredState[MailDomain]):
    """The vendor's directory has the domain, as one of this customer's."""

    name = "domain_in_directory"
    label = "Enter the domain into the directory"

    def observe(self, subject: MailDomain) -> Observation:
        label = provider_of_domain(subject).label
        if directory_of(subject).domain_claim(subject.domain.name) is None:
            return Observation.missing(f"{subject.domain} is not in {label} yet.")
        return Observation.matches(f"{subject.domain} is in {label}.")

    def apply(self, subject: MailDomain) -> None:
        directory_of(subject).claim_domain(subject.domain.name)


class VerificationIsPublished(DesiredState[MailDomain]):
    """The zone has the record by which the vendor knows that the domain is ours."""

    name = "verification_is_published"
    label = "Publish the verification record"

    def observe(self, subject: MailDomain) -> Observation:
        if _is_believed(subject):
            return Observation.matches("The vendor knows already that the domain is yours.")
        record = _record(subject)
        if record is None or not is_published(_zone(subject), record):
            return Observation.missing("The verification record is to be written.")
        return Observation.matches(f"The zone has the record {record.content}.")

    def apply(self, subject: MailDomain) -> None:
        subject.verification = directory_of(subject).verification_token(subject.domain.name)
        subject.save(update_fields=["verification", "updated_at"])
        record = _record(subject)
        assert record is not None
        publish_record(
            _zone(subject),
            record,
            reason=f"Shows {provider_of_domain(subject).label} that the domain is yours.",
        )


class DomainIsVerified(DesiredState[MailDomain]):
    """The vendor has seen the record. It looks when it is asked to, which changes nothing else."""

    name = "domain_is_verified"
    label = "Wait until the vendor has seen it"
    interval = LOOK_EVERY
    deadline = GIVE_UP_AFTER

    def observe(self, subject: MailDomain) -> Observation:
        label, name = provider_of_domain(subject).label, subject.domain.name
        if _is_believed(subject):
            return Observation.matches(f"{label} knows that {name} is yours.")
        if not directory_of(subject).verify_domain(name):
            return Observation.missing(f"{label} does not see the record yet.")
        if not _is_believed(subject):
            return Observation.missing(f"{label} saw the record, and takes a moment more.")
        return Observation.matches(f"{label} verified {name}.")


def _is_believed(mail: MailDomain) -> bool:
    claim = directory_of(mail).domain_claim(mail.domain.name)
    return claim is not None and claim.is_verified


def _record(mail: MailDomain) -> RecordData | None:
    if not mail.verification:
        return None
    return RecordData(mail.domain.name, "TXT", mail.verification)


def _zone(mail: MailDomain) -> Zone:
    if zone := Zone.objects.filter(domain_id=mail.domain_id).first():
        return zone
    raise NotFound("The domain's zone was removed meanwhile.")


def _load(job: Job) -> MailDomain:
    """The domain's mail, if it is still to be attached to what this job is about."""
    found = MailDomain.objects.select_related("domain__dns_credential", "credential").filter(
        pk=job.subject_id, tenant_id=job.tenant_id, credential_id=job.params["credential"]
    )
    if mail := found.first():
        return mail
    raise NotFound("The domain's mail was attached elsewhere meanwhile.")


register(
    Workflow(
        name="maildomains.attach",
        label="Attach mail",
        states=(DomainInDirectory(), VerificationIsPublished(), DomainIsVerified()),
        load=_load,
        on_success=maildomains.finish_attaching,
        on_failure=maildomains.fail_attaching,
        on_cancel=lambda mail: maildomains.fail_attaching(
            mail, "CANCELLED", "Cancelled before the domain was verified."
        ),
        on_retry=maildomains.attach_again,
    )
)
