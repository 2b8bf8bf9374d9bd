"""JSON shapes of zones."""

from dnszones.serializers.setups import (
    MailSetupOrder,
    MailSetupShape,
    SetupPreview,
    SetupResult,
    preview_of,
    result_of,
    said_otherwise,
)
from dnszones.serializers.sightings import (
    DomainPropagation,
    FlattenSPF,
    PollingReport,
    PollingSession,
    SetupVerified,
    SPFFlattened,
    domain_propagation_of,
    polling_report_of,
    verified_of,
)

__all__ = [
    "DomainPropagation",
    "FlattenSPF",
    "MailSetupOrder",
    "MailSetupShape",
    "PollingReport",
    "PollingSession",
    "SPFFlattened",
    "SetupPreview",
    "SetupResult",
    "SetupVerified",
    "domain_propagation_of",
    "polling_report_of",
    "preview_of",
    "result_of",
    "said_otherwise",
    "verified_of",
]
