"""JSON about what a domain publishes before its nameservers point here."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dnszones.discovery import selectors, services
from dnszones.discovery.comparing import MOST_DIFFERENCES
from dnszones.discovery.found import SOURCES, Found
from dnszones.models import ZoneDiscovery
from dnszones.zonefiles import LARGEST
from mpanel.core.api.serializers import Serializer, Text, confirmation_field
from mpanel.core.api.views import ApiView, operation

EXISTING = "Existing records"
MOST_SHOWN = 1_000
EXAMPLE: dict[str, Any] = {
    "status": "found",
    "message": "2 records found at ns1.example.net and ns2.example.net, which answered 361 names "
    "and types that we asked for.",
    "nameservers": ["ns1.example.net", "ns2.example.net"],
    "zone_complete": False,
    "total": 2,
    "records": [
        {
            "id": "0f2b6c1d9a7e",
            "name": "example.com",
            "type": "A",
            "content": "192.0.2.10",
            "ttl": 3600,
            "priority": None,
            "sources": ["apex"],
            "is_confirmed": True,
            "is_wanted": True,
        },
        {
            "id": "7c1e0b3f5d22",
            "name": "example.com",
            "type": "MX",
            "content": "smtp.google.com",
            "ttl": 3600,
            "priority": 1,
            "sources": ["apex"],
            "is_confirmed": True,
            "is_wanted": True,
        },
    ],
    "left_out": [],
    "notes": [],
    "comparison": None,
    "looked_at": "2026-11-21T09:00:04Z",
}


class FoundRecordSerializer(Serializer):
    """A record that the domain publishes now. `is_confirmed`: its present nameservers say so."""

    id = serializers.CharField()
    name = serializers.CharField()
    type = serializers.CharField()
    content = serializers.CharField()
    ttl = serializers.IntegerField()
    priority = serializers.IntegerField(allow_null=True)
    sources = serializers.ListField(child=serializers.ChoiceField(choices=list(SOURCES)))
    is_confirmed = serializers.BooleanField()
    is_wanted = serializers.BooleanField(help_text="false: you left it out.")


class DifferenceSerializer(Serializer):
    """A name and type about which old and new nameservers say different things."""

    name = serializers.CharField()
    type = serializers.CharField()
    old = serializers.ListField(child=serializers.CharField())
    new = serializers.ListField(child=serializers.CharField())


class ComparisonSerializer(Serializer):
    """How the old and the new nameservers answer, counted by name and type."""

    equal = serializers.IntegerField()
    planned = serializers.IntegerField(help_text="Changed on purpose.")
    unknown = serializers.IntegerField(help_text="One side did not answer.")
    different = serializers.IntegerField(help_text="How many differ.")
    differences = DifferenceSerializer(
        many=True, help_text=f"The first {MOST_DIFFERENCES} of those that differ."
    )


class ExistingRecordsSerializer(Serializer):
    """What the domain publishes at its present nameservers, and how far its zone here has it."""

    status = serializers.ChoiceField(choices=list(ZoneDiscovery.STATUSES))
    message = serializers.CharField(allow_blank=True)
    nameservers = serializers.ListField(
        child=serializers.CharField(), help_text="Where it is delegated now."
    )
    zone_complete = serializers.BooleanField(
        help_text="Changing the nameservers takes nothing away that you want."
    )
    total = serializers.IntegerField()
    records = FoundRecordSerializer(many=True, help_text=f"The first {MOST_SHOWN:,}.")
    left_out = serializers.ListField(
        child=serializers.CharField(), help_text="What cannot be taken over, and why."
    )
    notes = serializers.ListField(
        child=serializers.CharField(), help_text="What could not be seen."
    )
    comparison = ComparisonSerializer(allow_null=True)
    looked_at = serializers.DateTimeField(allow_null=True)


class LookAgainSerializer(Serializer):
    """A zone file of the present DNS provider, if there is one."""

    zone_file = Text(max_length=LARGEST, default="", allow_blank=True, trim_whitespace=False)


class TakeOverSerializer(Serializer):
    """What is not wanted of what was found."""

    leave_out = serializers.ListField(
        child=Text(max_length=12), max_length=10_000, default=list, help_text="Ids of records."
    )
    overwrite = serializers.BooleanField(
        default=False, help_text="Also where the zone has other records of a name and type."
    )


class GoOnWithoutSerializer(Serializer):
    """The digest of what is lost, as the refusal names it."""

    confirmation = confirmation_field()


class GetExistingRecordsView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "What the domain publishes now",
        tag=EXISTING,
        answers=ExistingRecordsSerializer,
        errors=(404, 409),
        example=EXAMPLE,
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """As its present nameservers answer. The nameservers of the zone here are shown once
        `zone_complete` is true. 409 NOT_LOOKED_YET while the zone is being made."""
        return Response(_shown(selectors.get_discovery(self.actor, domain_id)))


class LookForExistingRecordsView(ApiView):
    scopes = {"POST": "dns:write"}

    def compute(self, request: Request, domain_id: UUID) -> None:
        text = self.body(request, LookAgainSerializer)["zone_file"]
        self._given = services.read_zone_file(self.actor, domain_id, text)

    @operation(
        "Look for existing records again",
        tag=EXISTING,
        takes=LookAgainSerializer,
        answers=ExistingRecordsSerializer,
        status=202,
        errors=(404,),
        request_example={"zone_file": "www 300 IN A 192.0.2.10"},
        example={**EXAMPLE, "status": "looking"},
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """What the zone file names is asked for, too. 409 DISCOVERY_BUSY while one is under way."""
        services.look_again(self.actor, domain_id, given=self._given)
        return Response(_shown(selectors.get_discovery(self.actor, domain_id)), 202)


class TakeOverRecordsView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Take the existing records over",
        tag=EXISTING,
        takes=TakeOverSerializer,
        answers=ExistingRecordsSerializer,
        status=202,
        errors=(404,),
        request_example={"leave_out": []},
        example={**EXAMPLE, "status": "writing"},
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """They are written into the zone, and then old and new nameservers are compared: `status`
        becomes `complete` or `different`. 409 NOTHING_TO_TAKE_OVER or DISCOVERY_BUSY."""
        given = self.body(request, TakeOverSerializer)
        services.take_over(
            self.actor, domain_id, unwanted=given["leave_out"], overwrite=given["overwrite"]
        )
        return Response(_shown(selectors.get_discovery(self.actor, domain_id)), 202)


class CompareNameserversView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Compare old and new nameservers again",
        tag=EXISTING,
        answers=ExistingRecordsSerializer,
        status=202,
        errors=(404,),
        example={**EXAMPLE, "status": "comparing"},
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """All known names and types are asked at both. 409 NOTHING_TO_TAKE_OVER where nothing was
        written yet."""
        services.compare_again(self.actor, domain_id)
        return Response(_shown(selectors.get_discovery(self.actor, domain_id)), 202)


class GoOnWithoutRecordsView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Continue without existing records",
        tag=EXISTING,
        takes=GoOnWithoutSerializer,
        answers=ExistingRecordsSerializer,
        errors=(404,),
        request_example={"confirmation": "9f2c51d0b7e84a6c8d1e5f3a2b7c9d04"},
        example={**EXAMPLE, "status": "skipped", "zone_complete": True},
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """409 CONFIRMATION_REQUIRED says what is lost (`losses`): the same request again
        with its `confirmation` shows the nameservers."""
        given = self.body(request, GoOnWithoutSerializer)
        row = services.go_on_without(self.actor, domain_id, confirmation=given["confirmation"])
        return Response(_shown(selectors.get_discovery(self.actor, row.zone.domain_id)))


def _shown(row: ZoneDiscovery) -> Any:
    found = selectors.records_found(row)
    comparison = selectors.comparison_of(row)
    return ExistingRecordsSerializer(
        {
            "status": row.status,
            "message": row.message,
            "nameservers": row.nameservers,
            "zone_complete": bool(row.zone.domain.shown_nameservers),
            "total": len(found),
            "records": [_record(row, one) for one in found[:MOST_SHOWN]],
            "left_out": [why for _, _, why in row.left_out],
            "notes": row.notes,
            "comparison": comparison,
            "looked_at": row.looked_at,
        }
    ).data


def _record(row: ZoneDiscovery, one: Found) -> dict[str, Any]:
    record = one.record
    return {
        "id": one.id,
        "name": record.name,
        "type": record.type,
        "content": record.content,
        "ttl": record.ttl,
        "priority": record.priority,
        "sources": one.sources,
        "is_confirmed": one.is_confirmed,
        "is_wanted": one.id not in row.unwanted,
    }
