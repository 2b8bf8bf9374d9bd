"""Zones at a DNS provider, the records we keep in them, change plans, propagation sessions."""

from dnszones.models.discovery import ZoneDiscovery
from dnszones.models.flattening import SpfFlattening, SpfFlatteningChange
from dnszones.models.plans import ChangePlan
from dnszones.models.records import SESSION_LASTS, PropagationSession, Record, RecordQuerySet
from dnszones.models.zones import DkimKey, Zone

__all__ = [
    "SESSION_LASTS",
    "ChangePlan",
    "DkimKey",
    "PropagationSession",
    "Record",
    "RecordQuerySet",
    "SpfFlattening",
    "SpfFlatteningChange",
    "Zone",
    "ZoneDiscovery",
]
