"""JSON about zones, their records, zone files, and the history of both (source 5, 14)."""

from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from dnszones import selectors, zonefiles
from dnszones.live_zone import LiveZone, look
from dnszones.models import ChangePlan
from dnszones.plans import Edit, edits, reverts, setups
from dnszones.records import PROXIABLE_TYPES, RecordData
from dnszones.serializers import zones as serializers
from mpanel.core.api.serializers import CamelPageQuerySerializer, page_of, paged, rows_of_page
from mpanel.core.api.views import ApiView, operation
from mpanel.core.api.waiting import PREFER, outside, wait
from mpanel.core.errors import MPanelError

ZONES, CHANGES = "DNS zones", "DNS changes"
A_ZONE = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11"
A_CHANGE = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12"
A_JOB = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b13"
A_RECORD = "372e67954025e0ba6aaa6d586b9e0b59"
EXAMPLE_ZONE = {
    "id": A_ZONE,
    "domainId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b14",
    "domain": "example.com",
    "provider": "powerdns",
    "status": "active",
    "nameservers": ["ns1.example.net", "ns2.example.net"],
    "dnssec": False,
    "createdAt": "2026-11-21T10:00:00Z",
}
NEW_RECORD = {"type": "A", "name": "www", "content": "10.1.10.50", "ttl": 300, "priority": None}
EXAMPLE_RECORD = {
    "id": A_RECORD,
    **NEW_RECORD,
    "name": "www.example.com",
    "proxied": False,
    "purpose": None,
    "isEditable": True,
}
EXAMPLE_WRITTEN = {
    **EXAMPLE_RECORD,
    "status": "written",
    "changeId": A_CHANGE,
    "jobId": A_JOB,
    "warnings": [],
}
EXAMPLE_PENDING = {**EXAMPLE_WRITTEN, "id": None, "status": "pending"}
EXAMPLE_CHANGE = {
    "id": A_CHANGE,
    "zoneId": A_ZONE,
    "kind": "import",
    "status": "ready",
    "createdBy": "ada@example.com",
    "createdAt": "2026-11-21T10:00:00Z",
    "appliedAt": None,
    "counts": {"create": 1, "update": 0, "delete": 0, "keep": 0, "conflict": 0},
    "reverts": None,
    "canBeReverted": False,
}
EXAMPLE_DETAIL = {
    **EXAMPLE_CHANGE,
    "steps": [
        {
            "id": "5d1f0a7c92be",
            "action": "create",
            "before": [],
            "after": {**NEW_RECORD, "name": "www.example.com", "proxied": False},
            "reason": "",
        }
    ],
    "warnings": ["Line 2: SOA of the zone itself is the provider's."],
    "questions": [],
    "confirmations": [],
    "losses": [],
    "confirmation": "",
    "error": None,
    "jobId": A_JOB,
}
EXAMPLE_COMPUTING = {**EXAMPLE_DETAIL, "status": "computing", "steps": []}
EXAMPLE_FILE = {
    "zoneFile": "$ORIGIN example.com.\n$TTL 300\nwww IN A 10.1.10.50\n",
    "answers": [],
}


class ZonesView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "List zones",
        tag=ZONES,
        query=serializers.DnsZoneQuerySerializer,
        answers=paged(serializers.DnsZoneSerializer),
        example={"items": [EXAMPLE_ZONE], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """Each domain has one from the moment that it is connected; by name. `status`: `creating`,
        `pending` until its nameservers are asked for the domain, `active`, `moved`, `deleting`."""
        query = self.query(request, serializers.DnsZoneQuerySerializer)
        found = selectors.zones(
            self.actor,
            search=query["search"],
            customer_id=query["customer_id"],
            domain_id=query["domain_id"],
        )
        return Response(page_of(found, query, serializers.DnsZoneSerializer))


class OneZoneView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "Get a zone",
        tag=ZONES,
        answers=serializers.DnsZoneSerializer,
        errors=(404,),
        example=EXAMPLE_ZONE,
    )
    def get(self, request: Request, zone_id: UUID) -> Response:
        """A zone without its records."""
        return Response(serializers.DnsZoneSerializer(selectors.get_zone(self.actor, zone_id)).data)


class ZoneRecordsView(ApiView):
    scopes = {"GET": "dns:read", "POST": "dns:write"}

    @operation(
        "List a zone's records",
        tag=ZONES,
        query=serializers.DnsRecordQuerySerializer,
        answers=paged(serializers.DnsRecordSerializer),
        errors=(404, 409, 502),
        example={"items": [EXAMPLE_RECORD], "total": 1},
    )
    def get(self, request: Request, zone_id: UUID) -> Response:
        """As the DNS provider shows them now, which it is asked. 409 ZONE_NOT_MADE before there is
        a zone; 502 where the provider fails; 429 while too many ask."""
        query = self.query(request, serializers.DnsRecordQuerySerializer)
        with outside(self.actor.tenant_id):
            sight = look(self.actor, zone_id)
        found = sight.find(search=query["search"], kind=query["type"].upper())
        return Response(
            page_of(found, query, serializers.DnsRecordSerializer, show=serializers.record_of)
        )

    def prepare(self, request: Request, zone_id: UUID) -> None:
        self.given = self.body(request, serializers.NewDnsRecordSerializer)
        self.sight = look(self.actor, zone_id, to_write=True)

    @operation(
        "Add a record",
        tag=ZONES,
        takes=serializers.NewDnsRecordSerializer,
        answers=serializers.DnsRecordWrittenSerializer,
        status=201,
        also={202: (serializers.DnsRecordWrittenSerializer, EXAMPLE_PENDING)},
        errors=(404, 502),
        headers=[PREFER],
        request_example=NEW_RECORD,
        example=EXAMPLE_WRITTEN,
    )
    def post(self, request: Request, zone_id: UUID) -> Response:
        """A worker writes it: 202 with its job, or 201 once it is written and read back, for who
        prefers to wait. 409 RECORD_CONFLICT where the zone has it already, or a CNAME stands in the
        way; 409 CONFIRMATION_REQUIRED where something live goes dark, see `confirmation`.
        `warnings` says what it does to mail."""
        wanted = edits.wanted_record(self.sight, as_record(self.given))
        row = edits.edit_records(
            self.actor,
            self.sight,
            [Edit("create", wanted)],
            confirmation=self.given["confirmation"],
        )
        return _answer(self, request, row, wanted, done=201)


class OneZoneRecordView(ApiView):
    scopes = {"PUT": "dns:write", "DELETE": "dns:write"}

    @operation(
        "Change a record",
        tag=ZONES,
        takes=serializers.NewDnsRecordSerializer,
        answers=serializers.DnsRecordWrittenSerializer,
        also={202: (serializers.DnsRecordWrittenSerializer, EXAMPLE_PENDING)},
        errors=(404, 409, 502),
        headers=[PREFER],
        request_example=NEW_RECORD,
        example=EXAMPLE_WRITTEN,
    )
    def put(self, request: Request, zone_id: UUID, record_id: str) -> Response:
        """All of it, as it should be. 202 with its job, or 200 once it is written. Some providers
        make a record's id from its content: the answer has the new one. 409 RECORD_CONFLICT;
        ZONE_CHANGED where somebody changed the record meanwhile; CONFIRMATION_REQUIRED where
        something live goes dark, see `confirmation`."""
        given = self.body(request, serializers.NewDnsRecordSerializer)
        with outside(self.actor.tenant_id):
            sight = look(self.actor, zone_id, to_write=True)
        was = sight.get(record_id).data
        edit = edits.change_of(sight, record_id, as_record(given, was=was))
        row = edits.edit_records(self.actor, sight, [edit], confirmation=given["confirmation"])
        return _answer(self, request, row, edit.record)

    @operation(
        "Delete a record",
        tag=ZONES,
        query=serializers.DeleteDnsRecordSerializer,
        answers=serializers.DnsRecordWrittenSerializer,
        also={202: (serializers.DnsRecordWrittenSerializer, EXAMPLE_PENDING)},
        errors=(404, 409, 502),
        headers=[PREFER],
        example={**EXAMPLE_WRITTEN, "id": None, "status": "deleted"},
    )
    def delete(self, request: Request, zone_id: UUID, record_id: str) -> Response:
        """202 with its job, or 200 once it is gone. It can be taken back (`changeId`). `warnings`
        says what this does to mail. 409 CONFIRMATION_REQUIRED where mail, a website or a
        delegation goes dark with it: the same again with its `confirmation` in the query."""
        given = self.query(request, serializers.DeleteDnsRecordSerializer)
        with outside(self.actor.tenant_id):
            sight = look(self.actor, zone_id, to_write=True)
        edit = edits.removal_of(sight, record_id)
        row = edits.edit_records(self.actor, sight, [edit], confirmation=given["confirmation"])
        return _answer(self, request, row, edit.record, is_deleted=True)


class ExportZoneView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "Export a zone",
        tag=ZONES,
        errors=(404, 409, 502),
        media_type="text/dns",
        example="$ORIGIN example.com.\n$TTL 300\nwww\tIN\tA\t10.1.10.50\n",
    )
    def get(self, request: Request, zone_id: UUID) -> HttpResponse:
        """A zone file (RFC 1035) with every record that the provider shows now. Imported again, it
        changes nothing."""
        with outside(self.actor.tenant_id):
            sight = look(self.actor, zone_id)
        return zone_file_response(sight)


class ImportZoneView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Import a zone file",
        tag=ZONES,
        takes=serializers.ZoneFileSerializer,
        answers=serializers.DnsChangeDetailSerializer,
        also={202: (serializers.DnsChangeDetailSerializer, EXAMPLE_COMPUTING)},
        errors=(404, 502),
        headers=[PREFER],
        request_example=EXAMPLE_FILE,
        example=EXAMPLE_DETAIL,
    )
    def post(self, request: Request, zone_id: UUID) -> Response:
        """Nothing is written: a worker compares the file with the zone, and the change can be seen
        and applied. 202 until it has. Lines that cannot be kept (unreadable, of other zones, the
        provider's own) are left out, each with a sentence in `warnings`; lines that look wrong are
        left out, too, until the file is sent again with `answers` to their `questions`. 400 where
        nothing is left."""
        given = self.body(request, serializers.ZoneFileSerializer)
        answers = {answer["line"]: answer["use"] for answer in given["answers"]}
        row = edits.import_file(self.actor, zone_id, given["zone_file"], answers=answers)
        return _change_answer(self, request, row.pk)


class ZoneChangesView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "List a zone's changes",
        tag=CHANGES,
        query=CamelPageQuerySerializer,
        answers=paged(serializers.DnsChangeSerializer),
        errors=(404,),
        example={"items": [EXAMPLE_CHANGE], "total": 1},
    )
    def get(self, request: Request, zone_id: UUID) -> Response:
        """Who wrote what, and when, the newest first: mail setups, single records, zone files."""
        query = self.query(request, CamelPageQuerySerializer)
        zone = selectors.get_zone(self.actor, zone_id)
        rows, total = rows_of_page(selectors.plans_of(zone.domain), query)
        can_be = reverts.revertible_ids(rows)
        shown = [serializers.change_of(row, can_be_reverted=row.pk in can_be) for row in rows]
        return Response(
            {"items": serializers.DnsChangeSerializer(shown, many=True).data, "total": total}
        )


class OneChangeView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "Get a change of a zone",
        tag=CHANGES,
        answers=serializers.DnsChangeDetailSerializer,
        errors=(404,),
        example=EXAMPLE_DETAIL,
    )
    def get(self, request: Request, change_id: UUID) -> Response:
        """Every step of it, and how far it is."""
        return Response(_detail(self, change_id))


class ApplyChangeView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Apply a zone file's change",
        tag=CHANGES,
        takes=serializers.ApplyDnsChangeSerializer,
        answers=serializers.DnsChangeDetailSerializer,
        also={
            202: (serializers.DnsChangeDetailSerializer, {**EXAMPLE_DETAIL, "status": "applying"})
        },
        errors=(404, 502),
        headers=[PREFER],
        request_example={"replaceConflicts": []},
        example={**EXAMPLE_DETAIL, "status": "applied"},
    )
    def post(self, request: Request, change_id: UUID) -> Response:
        """As it was shown. With `replaceConflicts` it is a new change, whose id the answer has. 409
        CONFIRMATION_REQUIRED where something live goes dark: the same again with its
        `confirmation`. 409 PLAN_NOT_READY where it was applied or replaced; 409 ZONE_CHANGED where
        the zone is not as it was shown."""
        given = self.body(request, serializers.ApplyDnsChangeSerializer)
        row = edits.apply_import(
            self.actor,
            change_id,
            replace_ids=given["replace_conflicts"],
            confirmation=given["confirmation"],
        )
        return _change_answer(self, request, row.pk, is_to_apply=True)


class RevertChangeView(ApiView):
    scopes = {"POST": "dns:write"}

    def prepare(self, request: Request, change_id: UUID) -> None:
        self.given = self.body(request, serializers.RevertDnsChangeSerializer)
        self.undoing = reverts.look_at_undoing(self.actor, change_id, to_write=True)

    @operation(
        "Take a change back",
        tag=CHANGES,
        takes=serializers.RevertDnsChangeSerializer,
        request_example={},
        answers=serializers.DnsChangeDetailSerializer,
        also={
            202: (serializers.DnsChangeDetailSerializer, {**EXAMPLE_COMPUTING, "reverts": A_CHANGE})
        },
        errors=(404, 502),
        headers=[PREFER],
        example={**EXAMPLE_DETAIL, "status": "applied", "reverts": A_CHANGE},
    )
    def post(self, request: Request, change_id: UUID) -> Response:
        """What it wrote goes, what it found returns; that is a change, too, and the answer has its
        id. 409 NOTHING_TO_REVERT where it is not in force; 409 RECORDS_CHANGED names what later
        changes wrote over; 409 CONFIRMATION_REQUIRED where something live goes dark: the same
        again with its `confirmation`."""
        job = reverts.take_back(self.actor, self.undoing, confirmation=self.given["confirmation"])
        return _change_answer(self, request, job.subject_id)


def as_record(given: dict[str, Any], *, was: RecordData | None = None) -> RecordData:
    """What was sent as a record.

    `was`: the present record, which stays proxied where nothing else is said.
    """
    proxied = given["proxied"]
    if proxied is None:
        proxied = was is not None and was.proxied and given["type"] in PROXIABLE_TYPES
    return RecordData(
        given["name"],
        given["type"],
        given["content"],
        given["ttl"],
        given["priority"],
        proxied,
    )


def zone_file_response(sight: LiveZone) -> HttpResponse:
    """The zone as a file to be kept."""
    name = sight.zone.domain.name
    text = zonefiles.write(name, [one.data for one in sight.records])
    return HttpResponse(
        text,
        content_type="text/dns; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.zone"'},
    )


def _answer(
    view: ApiView,
    request: Request,
    row: ChangePlan,
    data: RecordData,
    *,
    done: int = 200,
    is_deleted: bool = False,
) -> Response:
    headers = wait(request, partial(setups.is_settled, row.pk))
    now = edits.written(view.actor, row.pk)
    is_done, sight = now.status == ChangePlan.APPLIED, None
    if is_done and not is_deleted:  # it is written: only its new id is not known
        with suppress(MPanelError), outside(view.actor.tenant_id):
            sight = look(view.actor, row.zone_id)
    status = ("deleted" if is_deleted else "written") if is_done else "pending"
    found = serializers.written_of(now, data, selectors.job_of(now), sight=sight, status=status)
    body = serializers.DnsRecordWrittenSerializer(found).data
    return Response(body, done if is_done else 202, headers=headers)


def _change_answer(
    view: ApiView, request: Request, plan_id: UUID, *, is_to_apply: bool = False
) -> Response:
    headers = wait(request, partial(setups.is_settled, plan_id))
    row = edits.written(view.actor, plan_id)
    if is_to_apply and row.status == ChangePlan.READY:
        edits.require_agreed(row)
    status = 202 if row.status in setups.UNDER_WAY else 200
    return Response(_detail(view, plan_id), status, headers=headers)


def _detail(view: ApiView, plan_id: UUID) -> Any:
    row = selectors.get_plan(view.actor, plan_id)
    shown = serializers.change_detail_of(
        row, selectors.job_of(row), can_be_reverted=reverts.can_be_reverted(row)
    )
    return serializers.DnsChangeDetailSerializer(shown).data
