"""What should be true of the zone itself at its DNS provider: that it is there, that it is gone."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from dnszones.access import ZoneNotOurs, marker_of, may_use, was_made_by_us
from dnszones.departures import losses_since
from dnszones.dkim.keys import dkim_key
from dnszones.kept_records import our_data
from dnszones.models import Zone
from dnszones.plans import services
from dnszones.plans.computing import provider_of
from dnszones.providers.base import DNSProvider, RemoteRecord, RemoteZone
from dnszones.records import RecordData, same_value
from dnszones.spf.flattened import records as flattened
from domains.models import Domain
from domains.services import DomainTaken, assign_nameservers
from mpanel.core.errors import ProviderError
from mpanel.core.pruning import delete_what_goes_with, rows_that_go_with
from mpanel.core.wording import counted
from provisioning.desired import DesiredState, Observation
from provisioning.run import progress, say

ZONE_TAKEN = (
    "Another customer of this DNS account began to set up this domain. If it is yours, connect it "
    "with a DNS account of your own, or ask us."
)


class ZoneExists(DesiredState[Domain]):
    """The customer's DNS provider has a zone for the domain, and we know its nameservers."""

    name = "zone_exists"
    label = "Create the zone"

    def observe(self, subject: Domain) -> Observation:
        remote = provider_of(subject).find_zone(subject.name)
        if remote is None:
            return Observation.missing(f"There is no zone for {subject} yet.")
        zone = Zone.objects.filter(domain=subject, remote_id=remote.id).first()
        if zone is not None and not may_use(zone, remote):
            return Observation.conflicts(ZoneNotOurs.code, ZoneNotOurs().message)
        if zone is None or sorted(subject.nameservers) != sorted(remote.nameservers):
            return Observation.missing(f"The zone for {subject} is there, but not noted here yet.")
        # Its nameservers are shown when it is full.
        return Observation.matches("The zone is there.")

    def apply(self, subject: Domain) -> None:
        if subject.status == Domain.DELETING:
            raise services.DomainIsLeaving
        zone, _ = Zone.objects.get_or_create(
            domain=subject, defaults={"provider": subject.dns_credential.provider}
        )
        provider = provider_of(subject)
        remote = provider.find_zone(subject.name)
        if remote is None:
            remote = _create_zone(zone, provider)
            say(f"Made a zone for {subject}.")
        elif _is_anothers(zone, remote):
            _note_found(zone)
            raise DomainTaken(ZONE_TAKEN)
        elif not was_made_by_us(zone, remote):
            _note_found(zone)
            if not may_use(zone, remote):
                raise ZoneNotOurs
            say(f"A zone for {subject} was there already; its records stay as they are.")
        try:
            with transaction.atomic():
                zone.remote_id = remote.id
                zone.save(update_fields=["remote_id", "updated_at"])
                assign_nameservers(subject, remote.nameservers)
        except IntegrityError:
            _note_found(zone)
            raise DomainTaken(ZONE_TAKEN) from None
        dkim_key(zone, "mpanel")


def _create_zone(zone: Zone, provider: DNSProvider) -> RemoteZone:
    """Create the zone. That we ask is noted before: one found after a crash is then known as ours.

    A call that surely created nothing takes that back, or a zone that somebody else makes then
    would be taken for ours.
    """
    before = zone.creation_asked_at
    zone.creation_asked_at = timezone.now()
    zone.marker = marker_of(zone) if provider.capabilities.marks_zones else ""
    zone.save(update_fields=["creation_asked_at", "marker", "updated_at"])
    try:
        return provider.create_zone(zone.domain.name, marker=zone.marker)
    except ProviderError as error:
        if not error.ambiguous:
            Zone.objects.filter(pk=zone.pk).update(creation_asked_at=before)
        raise


def _note_found(zone: Zone) -> None:
    """The zone was there before us, so we never delete it."""
    zone.creation_asked_at = None
    Zone.objects.filter(pk=zone.pk).update(creation_asked_at=None)


class ZoneIsReleased(DesiredState[Domain]):
    """What we made at the DNS provider is gone: the zone, or in a foreign zone our records."""

    name = "zone_is_released"
    label = "Remove what we made"

    def observe(self, subject: Domain) -> Observation:
        zone = Zone.objects.filter(domain=subject).first()
        if zone is None:
            return Observation.matches("There is nothing of ours at the provider.")
        if subject.dns_credential.is_gone:
            return Observation.matches(
                "The host no longer includes the DNS account. What is there stays there."
            )
        if (remote := _remote_of(zone, subject)) is None:
            return Observation.matches("There is nothing of ours at the provider.")
        return self._observe(subject, zone, remote)

    def _observe(self, subject: Domain, zone: Zone, remote: RemoteZone) -> Observation:
        if was_made_by_us(zone, remote):
            return Observation.missing("The zone that we made is still there.")
        if not zone.remote_id or not may_use(zone, remote):
            return Observation.matches("The zone is not one that we made. It stays as it is.")
        if any(_own_changes(subject, zone)):
            return Observation.missing("Records that we made are still in the zone.")
        return Observation.matches("The zone was there before us and stays; our records are gone.")

    def apply(self, subject: Domain) -> None:
        zone = Zone.objects.select_related("domain").get(domain=subject)
        provider = provider_of(subject)
        remote = _remote_of(zone, subject)
        if remote is None:
            return
        if was_made_by_us(zone, remote):
            if zone.domain.confirmed_losses is not None and (
                more := losses_since(zone, provider.list_records(remote.id))
            ):
                raise services.MoreWouldGo(more)
            provider.delete_zone(remote.id)
        elif zone.remote_id and may_use(zone, remote):
            deletes, updates = _own_changes(subject, zone)
            provider.apply_batch(remote.id, deletes=deletes, updates=updates)


class RowsAreGone(DesiredState[Domain]):
    """Nothing hangs on the domain's row any more; it goes with the end of the job."""

    name = "rows_are_gone"
    label = "Delete what is kept of it here"

    def observe(self, subject: Domain) -> Observation:
        left = sum(rows.count() for rows in rows_that_go_with(subject))
        if left:
            return Observation.missing(f"{counted(left, 'row')} of it are kept.")
        return Observation.matches("Nothing of it is kept.")

    def apply(self, subject: Domain) -> None:
        delete_what_goes_with(subject, beat=_Beats())


class _Beats:
    """Tells the job how many rows are gone; how many there are is not counted before."""

    def __init__(self) -> None:
        self.gone = 0

    def __call__(self, rows: int) -> None:
        self.gone += rows
        progress(self.gone, self.gone + 1)


def _remote_of(zone: Zone, domain: Domain) -> RemoteZone | None:
    """The noted zone at the provider; else one that we asked for and nobody else has noted."""
    provider = provider_of(domain)
    if zone.remote_id:
        return provider.get_zone(zone.remote_id)
    if zone.creation_asked_at is None:
        return None
    remote = provider.find_zone(domain.name)
    return None if remote is None or _is_anothers(zone, remote) else remote


def _is_anothers(zone: Zone, remote: RemoteZone) -> bool:
    """Whether another domain's row holds this zone: tenants may share a provider account."""
    others = Zone.objects.exclude(pk=zone.pk)
    return others.filter(provider=zone.provider, remote_id=remote.id).exists()


def _own_changes(
    domain: Domain, zone: Zone
) -> tuple[list[RemoteRecord], list[tuple[RemoteRecord, RecordData]]]:
    """What goes from a zone that stays: our records, and flattened text in somebody's record."""
    ours = our_data(zone)
    remote = provider_of(domain).list_records(zone.remote_id)
    deletes = [one for one in remote if any(same_value(one.data, data) for data in ours)]
    return deletes, flattened.back_to_source(zone, remote, ours)
