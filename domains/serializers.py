"""Serializers of domains."""

from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from domains.contacts import LONGEST
from domains.models import Domain, Registration
from domains.registrars import REGISTRARS
from domains.registration import MOST_YEARS
from domains.verification import MOST_AT_ONCE
from mpanel.core.addresses import MAX_INPUT
from mpanel.core.api.serializers import (
    Country,
    Email,
    ErrorDetailSerializer,
    Id,
    Serializer,
    Text,
    Whole,
    WholeListQuerySerializer,
)

MAIL_RECORDS_STAND = {Domain.READY, Domain.PROVISIONED, Domain.CONNECTED}
PENDING, PENDING_NAMESERVERS, VERIFIED = "pending", "pending_nameservers", "verified"


class Amount(serializers.DecimalField):
    """An amount of money as a JSON number, in major units."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=10, decimal_places=2, min_value=0, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


# --- Coming in -------------------------------------------------------------------------------


class DomainsQuerySerializer(WholeListQuerySerializer):
    """Which domains."""

    search = Text(max_length=253, required=False, default="", allow_blank=True)
    status = serializers.ChoiceField(
        choices=list(Domain.STATUSES), required=False, default="", allow_blank=True
    )
    order = serializers.ChoiceField(
        choices=["name", "-name", "created_at", "-created_at", "status", "-status"], default="name"
    )


class RegistrantContactSerializer(Serializer):
    """Who the domain is registered for. `phone` begins with + and the country's code."""

    first_name = Text(max_length=120)
    last_name = Text(max_length=120)
    organization = Text(max_length=120, default="", allow_blank=True)
    email = Email()
    phone = Text(max_length=LONGEST["phone"])
    address1 = Text(max_length=120)
    address2 = Text(max_length=120, default="", allow_blank=True)
    city = Text(max_length=120)
    state = Text(max_length=120, default="", allow_blank=True)
    postal_code = Text(max_length=LONGEST["postal_code"])
    country = Country(help_text="Two letters (ISO 3166).")


class RegisterDomainSerializer(Serializer):
    """A domain to be bought."""

    domain = Text(max_length=MAX_INPUT)
    years = Whole(min_value=1, max_value=MOST_YEARS, default=1)
    contact = RegistrantContactSerializer(
        required=False, default=None, help_text="Without it, the one that was used last."
    )
    max_cost = Amount(
        required=False,
        default=None,
        help_text="The most that may be spent for all years, in the registrar's currency. Without "
        "it, the price of this moment; premium names then are refused.",
    )
    registrar_credential_id = Id(
        required=False, default=None, help_text="The registrar's account that pays; else the first."
    )
    dns_credential_id = Id(
        required=False, default=None, help_text="The DNS account for its zone; else the first."
    )


class ConnectDomainSerializer(Serializer):
    """A domain that is registered already."""

    domain = Text(max_length=MAX_INPUT)
    provider = serializers.ChoiceField(
        choices=list(REGISTRARS), default="other", help_text="Where it is registered."
    )
    notes = Text(max_length=2000, default="", allow_blank=True)
    credential_id = Id(
        required=False, default=None, help_text="The DNS account for its zone; else the first."
    )


class DomainIdsSerializer(Serializer):
    """Several domains."""

    domain_ids = serializers.ListField(child=Id(), min_length=1, max_length=MOST_AT_ONCE)


# --- Going out -------------------------------------------------------------------------------


class DomainRowSerializer(Serializer):
    """A domain of the list."""

    id = serializers.UUIDField()
    name = serializers.CharField(help_text="As DNS has it, in ASCII.")
    status = serializers.ChoiceField(choices=list(Domain.STATUSES))
    dns_configured = serializers.SerializerMethodField(help_text="The mail records stand.")
    created_at = serializers.DateTimeField()

    def get_dns_configured(self, domain: Domain) -> bool:
        return domain.status in MAIL_RECORDS_STAND


class DomainListSerializer(Serializer):
    """The domains that were asked for: all, or a page of them. `total`: how many on all pages."""

    domains = DomainRowSerializer(many=True)
    total = serializers.IntegerField()


class DomainRegisteredSerializer(Serializer):
    """What was asked for, and what it costs. The deployment tells when it is bought."""

    domain_id = serializers.UUIDField()
    domain = serializers.CharField(source="name")
    status = serializers.ChoiceField(choices=list(Registration.STATUSES))
    cost = serializers.FloatField(source="price.decimal", help_text="For all years together.")
    currency = serializers.CharField()
    auto_renews = serializers.BooleanField(
        allow_null=True, help_text="null until the registrar has said so."
    )
    deployment_id = serializers.SerializerMethodField()

    def get_deployment_id(self, registration: Registration) -> UUID:
        deployment: UUID = self.context["deployment_id"]
        return deployment


class DomainSerializer(Serializer):
    """A domain and how far its setup is."""

    id = serializers.UUIDField()
    domain = serializers.CharField(source="name")
    provider = serializers.ChoiceField(choices=list(REGISTRARS), source="registrar")
    assigned_nameservers = serializers.ListField(
        child=serializers.CharField(),
        source="shown_nameservers",
        help_text="Empty until it has a zone, and until that zone is complete.",
    )
    zone_complete = serializers.SerializerMethodField(
        help_text="The zone has what the domain publishes elsewhere, so the nameservers can be "
        "changed. false: see `existing-records`."
    )
    verification_status = serializers.SerializerMethodField()
    last_verified_at = serializers.SerializerMethodField()
    is_active = serializers.SerializerMethodField(help_text="false while it is disconnected.")
    notes = serializers.CharField()
    status = serializers.ChoiceField(choices=list(Domain.STATUSES))
    health_score = serializers.SerializerMethodField(help_text="null until it is measured.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @extend_schema_field(serializers.ChoiceField(choices=[PENDING, PENDING_NAMESERVERS, VERIFIED]))
    def get_verification_status(self, domain: Domain) -> str:
        if domain.is_verified:
            return VERIFIED
        return PENDING_NAMESERVERS if domain.shown_nameservers else PENDING

    def get_zone_complete(self, domain: Domain) -> bool:
        return bool(domain.shown_nameservers)

    def get_last_verified_at(self, domain: Domain) -> datetime | None:
        seen = (
            domain.is_verified and domain.delegation and domain.delegation["verdict"] == "matches"
        )
        return domain.delegation_checked_at if seen else domain.verified_at

    def get_is_active(self, domain: Domain) -> bool:
        return domain.status != Domain.DELETING

    def get_health_score(self, domain: Domain) -> int | None:
        mail = getattr(domain, "mail", None)  # of the app above, where the domain has mail
        return mail.health_score if mail else None


class NameserverStepsSerializer(Serializer):
    """What to do at the registrar."""

    provider = serializers.ChoiceField(choices=list(REGISTRARS))
    provider_name = serializers.CharField()
    nameservers = serializers.ListField(child=serializers.CharField())
    instructions = serializers.ListField(child=serializers.CharField())
    documentation_url = serializers.CharField()
    estimated_propagation_time = serializers.CharField()


class DomainConnectedSerializer(Serializer):
    """The domain, and what to do next as soon as its zone has nameservers."""

    domain = DomainSerializer()
    nameserver_instructions = NameserverStepsSerializer(allow_null=True)
    deployment_id = serializers.UUIDField()


class NameserversSeenSerializer(Serializer):
    """What the zone above the domain says."""

    is_verified = serializers.BooleanField()
    current_nameservers = serializers.ListField(child=serializers.CharField())
    expected_nameservers = serializers.ListField(child=serializers.CharField())
    message = serializers.CharField()
    checked_at = serializers.DateTimeField()
    domain = DomainSerializer()


class NameserversSeenRowSerializer(Serializer):
    """The same of one of several domains, or why there is nothing."""

    domain_id = serializers.UUIDField()
    is_verified = serializers.BooleanField(required=False)
    current_nameservers = serializers.ListField(child=serializers.CharField(), required=False)
    expected_nameservers = serializers.ListField(child=serializers.CharField(), required=False)
    message = serializers.CharField(required=False)
    checked_at = serializers.DateTimeField(required=False)
    domain = DomainSerializer(required=False)
    error = ErrorDetailSerializer(required=False)


class ManyNameserversSeenSerializer(Serializer):
    """One result for each id, in their order."""

    results = NameserversSeenRowSerializer(many=True)
