"""JSON about a zone's DNSSEC."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dnszones.dnssec import services as dnssec
from dnszones.selectors import get_zone
from mpanel.core.api.serializers import CamelSerializer, confirmation_field
from mpanel.core.api.views import ApiView, operation
from mpanel.core.api.waiting import outside

DNSSEC = "DNSSEC"
EXAMPLE: dict[str, Any] = {
    "zoneId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11",
    "isOffered": True,
    "status": "on",
    "dsRecords": [
        {
            "keyTag": 2371,
            "algorithm": 13,
            "digestType": 2,
            "digest": "1F987CC6583E92DF0890718C42C4C9F1A1B2C3D4E5F60718293A4B5C6D7E8F90",
            "record": "example.com. IN DS 2371 13 2 "
            "1F987CC6583E92DF0890718C42C4C9F1A1B2C3D4E5F60718293A4B5C6D7E8F90",
        }
    ],
    "parent": {
        "sight": "not_seen",
        "zone": "the com zone",
        "found": [],
        "cachedUntil": None,
        "checkedAt": "2026-11-21T10:04:30Z",
    },
    "isBroken": False,
    "jobId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12",
}


class DsRecordSerializer(CamelSerializer):
    """What the registrar is given for the parent zone (RFC 4034)."""

    key_tag = serializers.IntegerField()
    algorithm = serializers.IntegerField(help_text="13 is ECDSA P-256 with SHA-256.")
    digest_type = serializers.IntegerField(help_text="2 is SHA-256, 4 is SHA-384.")
    digest = serializers.CharField(help_text="In hex.")
    record = serializers.CharField(help_text="All of it, as in a zone file.")


class DsAtParentSerializer(CamelSerializer):
    """What the parent zone said last."""

    sight = serializers.ChoiceField(
        choices=["seen", "not_seen", "others", "unknown"],
        help_text="`others`: it has DS records, but none of ours.",
    )
    zone = serializers.CharField(help_text="Empty before it was asked.", allow_blank=True)
    found = serializers.ListField(child=serializers.CharField())
    cached_until = serializers.DateTimeField(
        allow_null=True, help_text="When no cache remembers its DS records any more."
    )
    checked_at = serializers.DateTimeField(allow_null=True)


class ZoneDnssecSerializer(CamelSerializer):
    """A zone's DNSSEC, and what its parent zone has."""

    zone_id = serializers.UUIDField()
    is_offered = serializers.BooleanField(help_text="Whether the DNS provider signs zones.")
    status = serializers.ChoiceField(choices=["off", "turning_on", "on", "turning_off"])
    ds_records = DsRecordSerializer(many=True, help_text="The parent needs one of them.")
    parent = DsAtParentSerializer()
    is_broken = serializers.BooleanField(
        help_text="Resolvers that validate refuse the domain: the parent has DS records, none of "
        "which fits."
    )
    job_id = serializers.UUIDField(allow_null=True, help_text="The last job that changed it.")


class TurnOffDnssecSerializer(CamelSerializer):
    """How to turn it off."""

    force = serializers.BooleanField(
        default=False, help_text="Also while the parent zone has DS records."
    )
    confirmation = confirmation_field()


class OneZonesDnssecView(ApiView):
    scopes = {"GET": "dns:read", "POST": "dns:write", "DELETE": "dns:write"}

    @operation(
        "Get a zone's DNSSEC",
        tag=DNSSEC,
        answers=ZoneDnssecSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, zone_id: UUID) -> Response:
        """The DS records that the registrar must be given, and whether the parent zone has them;
        it is asked every few minutes once DNSSEC was turned on."""
        return Response(self._report(zone_id))

    @operation(
        "Turn on DNSSEC",
        tag=DNSSEC,
        answers=ZoneDnssecSerializer,
        status=202,
        errors=(404,),
        example={**EXAMPLE, "status": "turning_on", "dsRecords": []},
    )
    def post(self, request: Request, zone_id: UUID) -> Response:
        """A worker has the provider sign the zone; then there are DS records to give to the
        registrar. Twice is harmless. 409 DNSSEC_NOT_OFFERED, DOMAIN_NOT_VERIFIED, and
        DNSSEC_CHANGING while it is being turned off."""
        dnssec.turn_on_dnssec(self.actor, get_zone(self.actor, zone_id).domain_id)
        return Response(self._report(zone_id), 202)

    @operation(
        "Turn off DNSSEC",
        tag=DNSSEC,
        query=TurnOffDnssecSerializer,
        answers=ZoneDnssecSerializer,
        status=202,
        errors=(404, 409),
        example={**EXAMPLE, "status": "turning_off"},
    )
    def delete(self, request: Request, zone_id: UUID) -> Response:
        """The parent zone is asked first. 409 DS_AT_PARENT while it has DS records, or caches may
        remember them: resolvers that validate would refuse the domain. 409 PARENT_SILENT where it
        does not answer. `force=true` turns it off all the same, after 409 CONFIRMATION_REQUIRED
        says what is lost: send its `confirmation` along."""
        given = self.query(request, TurnOffDnssecSerializer)
        zone = get_zone(self.actor, zone_id)
        with outside(self.actor.tenant_id):
            dnssec.turn_off_dnssec(
                self.actor,
                zone.domain_id,
                forced=given["force"],
                confirmation=given["confirmation"],
            )
        return Response(self._report(zone_id), 202)

    def _report(self, zone_id: UUID) -> Any:
        return ZoneDnssecSerializer(_shown(dnssec.dnssec_of(get_zone(self.actor, zone_id)))).data


def _shown(report: dnssec.DnssecReport) -> dict[str, Any]:
    name, at_parent = report.zone.domain.name, report.at_parent
    return {
        "zone_id": report.zone.pk,
        "is_offered": report.is_offered,
        "status": report.status,
        "ds_records": [
            {
                "key_tag": ds.key_tag,
                "algorithm": ds.algorithm,
                "digest_type": ds.digest_type,
                "digest": ds.digest,
                "record": f"{name}. IN DS {ds}",
            }
            for ds in report.ds_records
        ],
        "parent": {
            "sight": report.sight,
            "zone": at_parent.parent if at_parent else "",
            "found": at_parent.found if at_parent else [],
            "cached_until": at_parent.until if at_parent else None,
            "checked_at": report.zone.parent_ds_at,
        },
        "is_broken": report.is_broken,
        "job_id": report.job.pk if report.job else None,
    }
