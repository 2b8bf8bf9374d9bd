"""Serializers of zones."""

from dnszones.serializers.setups import (
    MailSetupOrderSerializer,
    MailSetupSerializer,
    SetupPreviewSerializer,
    SetupResultSerializer,
    preview_of,
    result_of,
    said_otherwise,
)
from dnszones.serializers.sightings import (
    DomainPropagationSerializer,
    FlattenSPFSerializer,
    PollingReportSerializer,
    PollingSessionSerializer,
    SetupVerifiedSerializer,
    SPFFlattenedSerializer,
    domain_propagation_of,
    polling_report_of,
    verified_of,
)

__all__ = [
    "DomainPropagationSerializer",
    "FlattenSPFSerializer",
    "MailSetupOrderSerializer",
    "MailSetupSerializer",
    "PollingReportSerializer",
    "PollingSessionSerializer",
    "SPFFlattenedSerializer",
    "SetupPreviewSerializer",
    "SetupResultSerializer",
    "SetupVerifiedSerializer",
    "domain_propagation_of",
    "polling_report_of",
    "preview_of",
    "result_of",
    "said_otherwise",
    "verified_of",
]
