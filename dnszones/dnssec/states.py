"""What should be true of a zone's DNSSEC, and the workflows that bring it about."""

from dnszones.access import zone_provider
from dnszones.dnssec import services as dnssec
from dnszones.models import Zone
from mpanel.core.errors import Conflict, NotFound
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job


class DnssecIsOn(DesiredState[Zone]):
    """The provider signs the zone, and we know the DS records that its parent needs."""

    name = "dnssec_is_on"
    label = "Sign the zone"

    def observe(self, subject: Zone) -> Observation:
        state = zone_provider(subject).dnssec(subject.remote_id)
        found = ", ".join(map(str, state.ds_records))
        if not state.is_on:
            return Observation.missing("The zone is not signed.")
        if [str(ds) for ds in state.ds_records] != subject.ds_records:
            return Observation.missing("The zone is signed; its DS records are not noted yet.")
        return Observation.matches("The zone is signed.", found=found)

    def apply(self, subject: Zone) -> None:
        state = zone_provider(subject).enable_dnssec(subject.remote_id)
        dnssec.note_state(subject, state)


class DsIsGone(DesiredState[Zone]):
    """No resolver expects the zone to be signed: neither the parent nor a cache has its DS."""

    name = "ds_is_gone"
    label = "See that the parent zone has no DS record"

    def observe(self, subject: Zone) -> Observation:
        (found,) = dnssec.look_at_parents([subject])
        try:
            dnssec.require_no_ds(found)
        except dnssec.ParentSilent as error:
            return Observation.unknown(error.message)
        except Conflict as error:
            return Observation.conflicts(error.code, error.message, found=", ".join(found.found))
        return Observation.matches("The parent zone has no DS record.", where=found.parent)


class DnssecIsOff(DesiredState[Zone]):
    """The provider does not sign the zone."""

    name = "dnssec_is_off"
    label = "Stop signing the zone"

    def observe(self, subject: Zone) -> Observation:
        if zone_provider(subject).dnssec(subject.remote_id).is_on:
            return Observation.missing("The zone is still signed.")
        if subject.ds_records:
            return Observation.missing("The zone is not signed any more; that is not noted yet.")
        return Observation.matches("The zone is not signed.")

    def apply(self, subject: Zone) -> None:
        state = zone_provider(subject).disable_dnssec(subject.remote_id)
        dnssec.note_state(subject, state)


def load_zone(job: Job) -> Zone:
    """The zone of a job, fresh, with what leads to its provider."""
    found = Zone.objects.select_related("domain__dns_credential").filter(
        pk=job.subject_id, domain__tenant_id=job.tenant_id
    )
    if zone := found.first():
        return zone
    raise NotFound("The domain was removed meanwhile.")


register(
    Workflow(
        name=dnssec.ON,
        label="Turn on DNSSEC",
        states=(DnssecIsOn(),),
        load=load_zone,
        on_success=dnssec.tell_signed,
    )
)
register(
    Workflow(
        name=dnssec.OFF,
        label="Turn off DNSSEC",
        states=(DsIsGone(), DnssecIsOff()),
        load=load_zone,
        on_success=dnssec.tell_unsigned,
    )
)
register(
    Workflow(
        name=dnssec.OFF_REGARDLESS,
        label="Turn off DNSSEC at once",
        states=(DnssecIsOff(),),
        load=load_zone,
        on_success=dnssec.tell_unsigned,
    )
)
