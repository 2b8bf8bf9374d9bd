"""Which zones at a provider may be touched for a domain (docs/decisions/0018).

Several tenants and the host share an included account: only the zone that we made for this domain
is this tenant's. In an account of their own, tenants may use a zone that was there before; but it
is never deleted.
"""

from datetime import timedelta

from dnszones.models import Zone
from dnszones.providers.base import DNSProvider, RemoteZone
from dnszones.vendors import dns_provider
from mpanel.core.errors import Conflict

# A zone whose creation was not answered is known by its age, where a provider marks none.
CLOCKS_DIFFER = timedelta(minutes=2)
CREATION_TAKES = timedelta(minutes=2)


class ZoneNotOurs(Conflict):
    """The included DNS account has a zone of this name that mPanel did not make for you. Connect
    the domain with a DNS account of your own, or ask the host."""

    code = "ZONE_NOT_OURS"


def marker_of(zone: Zone) -> str:
    """What a zone that we create for this row bears at the provider."""
    return f"mpanel-{zone.pk.hex}"


def was_made_by_us(zone: Zone, remote: RemoteZone) -> bool:
    """Whether we made this remote zone for this row's domain: only then may it be deleted."""
    if zone.creation_asked_at is None:
        return False
    if zone.marker or remote.marker:
        return zone.marker == remote.marker
    if zone.remote_id:
        return zone.remote_id == remote.id
    if remote.created_at is None:
        return False
    after = remote.created_at - zone.creation_asked_at
    return -CLOCKS_DIFFER <= after <= CLOCKS_DIFFER + CREATION_TAKES


def may_use(zone: Zone, remote: RemoteZone) -> bool:
    """Whether this remote zone may be read and written for the row's domain."""
    return not zone.domain.dns_credential.is_included or was_made_by_us(zone, remote)


def zone_provider(zone: Zone, *, timeout: float | None = None) -> DNSProvider:
    """The provider that holds a zone, for reading and writing its records: the only way to them.

    Where zones are known by name alone, another one may have taken the place of the one that we
    made, so that is looked at first. `timeout`: seconds for each call. Raises `ZoneNotOurs` for a
    zone in an included account that we did not make, and `ProviderError`.
    """
    credential = zone.domain.dns_credential
    if credential.is_included and zone.creation_asked_at is None:
        raise ZoneNotOurs
    provider = dns_provider(credential, timeout=timeout)
    if zone.marker:
        remote = provider.get_zone(zone.remote_id)
        if remote is not None and not may_use(zone, remote):
            raise ZoneNotOurs
    return provider
