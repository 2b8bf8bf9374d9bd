"""What goes dark with a zone when its domain is disconnected."""

from collections.abc import Callable, Sequence

from dnszones.access import ZoneNotOurs, zone_provider
from dnszones.kept_records import our_data
from dnszones.live_zone import LOOK, is_providers_own
from dnszones.models import Zone
from dnszones.plans import ExistingRecord, Plan, plan_removal
from dnszones.providers.base import RemoteRecord
from dnszones.records import RecordData, same_value
from dnszones.vendors import own_mail_hosts
from domains.models import Domain
from domains.services import Departure, register_departure
from mpanel.core.errors import ProviderError
from mpanel.core.losses import Loss, digest_of


def what_leaves(domain: Domain) -> Departure:
    """What is live in the domain's zone and goes with it: all of a zone that we made, in another
    one our records; nothing of a zone in an included account that we did not make. A zone that
    cannot be read may serve anything."""
    zone = Zone.objects.select_related("domain__dns_credential").filter(domain=domain).first()
    if zone is None or not zone.remote_id:
        return Departure()
    try:
        remote = zone_provider(zone, timeout=LOOK).list_records(zone.remote_id)
    except ZoneNotOurs:
        return Departure()
    except ProviderError as error:
        told = f"The zone of {domain} cannot be read now, so what it serves is not known: "
        loss = Loss("extent", domain.name, f"{told}whatever it is goes dark. ({error.message})")
        return Departure((loss,), digest_of("unread", str(zone.pk)), is_known=False)
    ours = our_data(zone)
    plan = _removal(zone, remote, lambda one: bool(zone.creation_asked_at) or _is_among(one, ours))
    return Departure(plan.losses, plan.digest)


def losses_since(zone: Zone, remote: Sequence[RemoteRecord]) -> tuple[Loss, ...]:
    """What others wrote into a zone that we made and that would go with it, though nobody was told.

    Between the customer's word and the removal there may be days in which the provider was down.
    """
    told = zone.domain.confirmed_losses or ()
    ours = our_data(zone)
    plan = _removal(zone, remote, lambda one: not _is_among(one, ours))
    known = {(kind, name) for kind, name in told} | {("extent", zone.domain.name)}
    return tuple(loss for loss in plan.losses if (loss.kind, loss.name) not in known)


def _removal(
    zone: Zone, remote: Sequence[RemoteRecord], is_gone: Callable[[RecordData], bool]
) -> Plan:
    existing = [ExistingRecord(one.id, one.data) for one in remote]
    gone = [one for one in existing if not is_providers_own(zone, one.data) and is_gone(one.data)]
    return plan_removal(
        zone.domain.name, existing, gone, reason="Goes with the domain.", own_hosts=own_mail_hosts()
    )


def _is_among(data: RecordData, ours: Sequence[RecordData]) -> bool:
    return any(same_value(data, one) for one in ours)


register_departure(what_leaves)
