"""What should be true before a domain's nameservers are shown."""

from datetime import timedelta

from django.conf import settings

from dnszones.discovery import looking, selectors
from dnszones.discovery.gathering import PHASES
from dnszones.discovery.servers import points_here, present_authority
from dnszones.models import ZoneDiscovery
from domains.models import Domain
from provisioning.desired import DesiredState, Observation
from provisioning.run import progress


class ExistingRecordsFound(DesiredState[Domain]):
    """We know what the domain publishes at its present nameservers, or that we cannot."""

    name = "existing_records_found"
    label = "Look at what the domain publishes now"

    def observe(self, subject: Domain) -> Observation:
        row = selectors.discovery_of(subject)
        if row is None or row.status == ZoneDiscovery.LOOKING:
            return Observation.missing("What the domain publishes now is to be looked at.")
        return Observation.matches(
            row.message or row.status_label, where=", ".join(row.nameservers)
        )

    def apply(self, subject: Domain) -> None:
        done = 0

        def tell(phase: int) -> None:
            nonlocal done
            done = max(done, phase)
            progress(min(done, PHASES - 1), PHASES)

        looking.look(subject, tell)


class ZoneIsComplete(DesiredState[Domain]):
    """The zone has what the domain publishes elsewhere, or the customer chose to go on without."""

    name = "zone_is_complete"
    label = "Take over the existing records"
    deadline = timedelta(days=60)

    def __init__(self) -> None:
        self.interval = timedelta(seconds=settings.NAMESERVER_INTERVAL)

    def observe(self, subject: Domain) -> Observation:
        if subject.zone_complete_at:
            return Observation.matches("The nameservers can be changed.")
        if points_here(subject, present_authority(subject)):
            return Observation.matches("The nameservers point here already.")
        row = selectors.discovery_of(subject)
        said = row.message if row else ""
        return Observation.missing(
            said or "What the domain publishes now is to be taken over first."
        )


class ZoneAnswersAlike(DesiredState[Domain]):
    """Old and new nameservers say the same of all that is known, but for what was planned."""

    name = "zone_answers_alike"
    label = "Compare old and new nameservers"
    interval = timedelta(seconds=3)
    deadline = timedelta(hours=1)

    def observe(self, subject: Domain) -> Observation:
        row = selectors.discovery_of(subject)
        if row is None or row.status != ZoneDiscovery.COMPARING:
            return Observation.matches("There is nothing to compare.")
        seen = looking.compare_now(subject)
        if seen is None:
            return Observation.matches("The nameservers point here already.")
        if seen.is_alike or row.comparisons + 1 >= looking.MOST_COMPARISONS:
            return Observation.matches(seen.sentence)
        # A provider may need a moment until it serves what was written.
        return Observation.missing(seen.sentence)
