"""What goes dark with a zone when its domain is disconnected."""

from dnszones import changes, services
from dnszones.access import ZoneNotOurs, zone_provider
from dnszones.changes import ExistingRecord
from dnszones.models import Zone
from dnszones.records import same_value
from dnszones.sights import LOOK, is_providers_own
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
        return Departure((loss,), digest_of("unread", str(zone.pk)))
    existing = [ExistingRecord(one.id, one.data) for one in remote]
    ours = services.our_data(zone)
    gone = [
        one
        for one in existing
        if not is_providers_own(zone, one.data)
        and (zone.creation_asked_at or any(same_value(one.data, data) for data in ours))
    ]
    plan = changes.plan_removal(
        domain.name, existing, gone, reason="Goes with the domain.", own_hosts=own_mail_hosts()
    )
    return Departure(plan.losses, plan.digest)


register_departure(what_leaves)
