"""What can be wrong with a zone and with what a domain publishes."""

from django.db.models import Exists, OuterRef, Q

from dnszones.models import PropagationSession, Record, SpfFlattening, Zone, ZoneDiscovery
from dnszones.selectors import zones
from domains.models import Domain
from mpanel.core import troubles
from mpanel.core.troubles import Trouble

# Statuses of a domain in which its records stood in the zone once.
WRITTEN = (Domain.READY, Domain.PROVISIONED, Domain.CONNECTED)


def _is_watched() -> Exists:
    """Whether a domain's records are being watched, or were seen everywhere."""
    fine = (PropagationSession.POLLING, PropagationSession.COMPLETED)
    return Exists(PropagationSession.objects.filter(zone__domain=OuterRef("pk"), status__in=fine))


def _gave_up() -> Exists:
    return Exists(
        PropagationSession.objects.filter(
            zone__domain=OuterRef("pk"), status=PropagationSession.TIMEOUT
        )
    )


def _watched_closely() -> Exists:
    running = PropagationSession.objects.filter(
        zone=OuterRef("pk"), status=PropagationSession.POLLING
    )
    return Exists(running)


def _changed_records() -> Exists:
    changed = Record.objects.filter(zone=OuterRef("pk"), own__verdict__in=["missing", "conflicts"])
    return Exists(changed)


troubles.watch(Zone, noun="zone,zones", url_name="zone-list", rows=zones)
troubles.register(
    Zone,
    Trouble(
        "drifted",
        "Records changed",
        "Mail records differ from what was written. Make a new plan to restore them.",
        lambda: Q(domain__status__in=WRITTEN) & Q(_changed_records()) & ~Q(_watched_closely()),
        tone="warning",
    ),
    Trouble(
        "spf_failing",
        "SPF not followed",
        "The senders of a flattened SPF record cannot be looked up, so it is not kept up to date.",
        lambda: (
            Q(spf_flattening__failing_since__isnull=False)
            & ~Q(spf_flattening__status=SpfFlattening.STOPPED)
        ),
        tone="warning",
    ),
    Trouble(
        "spf_edited",
        "SPF changed elsewhere",
        "Somebody else changed a flattened SPF record, so it is not kept up to date.",
        lambda: Q(spf_flattening__status=SpfFlattening.EDITED),
        tone="warning",
    ),
)
troubles.register(
    Domain,
    Trouble(
        "not_spread",
        "Records not seen",
        "After two days, some resolvers still do not show the records. See what is in the way.",
        lambda: Q(status=Domain.DNS_CONFIGURING) & Q(_gave_up()) & ~Q(_is_watched()),
        tone="warning",
    ),
    Trouble(
        "existing",
        "Needs your choice",
        "The new zone lacks some of what the domain publishes now. Choose what happens to it.",
        lambda: Q(
            verified_at__isnull=True,
            zone__discovery__status__in=[ZoneDiscovery.UNSEEN, ZoneDiscovery.DIFFERENT],
        ),
        tone="warning",
    ),
)
