"""JSON about zones: previewing and setting up mail records, how they stand and spread, SPF."""

from functools import partial
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from dnszones import selectors, serializers
from dnszones.models import ChangePlan
from dnszones.plans import setups
from dnszones.propagation.services import cancel_session, check_session_now, join_session
from dnszones.spf.flattened import preview
from domains.api import A_JOB, AN_ID
from mpanel.core.api.views import ApiView, operation
from mpanel.core.api.waiting import PREFER, wait
from mpanel.core.errors import Invalid

DNS, PROPAGATION = "DNS", "DNS propagation"
EXAMPLE_SETUP = {
    "email_platform": "mailserver",
    "dmarc_policy": "none",
    "dmarc_report_email": "dmarc@example.com",
}
EXAMPLE_CHANGE = {
    "id": "5d1f0a7c92be",
    "action": "create",
    "type": "TXT",
    "name": "_dmarc.example.com",
    "content": "v=DMARC1; p=none; rua=mailto:dmarc@example.com",
    "ttl": 300,
    "priority": None,
    "proxied": False,
    "purpose": "dmarc",
    "level": "recommended",
    "reason": "Tells receivers what to do with forged mail, and asks them for reports.",
    "before": [],
}
EXAMPLE_PREVIEW = {
    "plan_id": AN_ID,
    "status": "ready",
    "create": [EXAMPLE_CHANGE],
    "update": [],
    "keep": [],
    "conflict": [],
    "delete": [],
    "untouched": 3,
    "warnings": [],
    "requires_confirmation": False,
    "confirmations": [],
    "losses": [],
    "confirmation": "",
}
EXAMPLE_RESULT = {
    "plan_id": AN_ID,
    "domain": "example.com",
    "status": "applied",
    "deployment_id": A_JOB,
    "records_created": 1,
    "records_failed": 0,
    "records_skipped": 0,
    "spf": None,
    "dkim": None,
    "dmarc": {"status": "written", "records": [EXAMPLE_CHANGE]},
    "mx": None,
    "tracking": None,
    "errors": [],
    "warnings": [],
}
EXAMPLE_SESSION = {
    "id": AN_ID,
    "domain_id": A_JOB,
    "user_id": None,
    "status": "polling",
    "progress": 75,
    "started_at": "2026-11-21T10:00:00Z",
    "completed_at": None,
    "timeout_at": "2026-11-23T10:00:00Z",
    "last_checked_at": "2026-11-21T10:04:30Z",
    "check_count": 9,
    "estimated_completion_at": "2026-11-21T10:10:00Z",
    "created_at": "2026-11-21T10:00:00Z",
    "updated_at": "2026-11-21T10:04:30Z",
}
EXAMPLE_RECORD = {
    "record_id": AN_ID,
    "type": "TXT",
    "name": "_dmarc.example.com",
    "purpose": "dmarc",
    "status": "propagating",
    "propagation_percentage": 75,
    "servers_asked": 4,
    "servers_checked": 4,
    "servers_propagated": 3,
}
EXAMPLE_REPORT = {
    "session": EXAMPLE_SESSION,
    "progress": {
        "overall_progress": 75,
        "records_propagated": 0,
        "records_total": 1,
        "records_pending": 1,
    },
    "records": [EXAMPLE_RECORD],
    "eta": {"estimated_completion_at": "2026-11-21T10:10:00Z", "minutes_remaining": 6},
}
EXAMPLE_SPF = "v=spf1 include:_spf.example.net ~all"


class PreviewSetupView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Preview the mail records",
        tag=DNS,
        takes=serializers.MailSetupSerializer,
        answers=serializers.SetupPreviewSerializer,
        also={
            202: (
                serializers.SetupPreviewSerializer,
                {**EXAMPLE_PREVIEW, "status": "computing", "create": []},
            )
        },
        errors=(404, 502),
        headers=[PREFER],
        request_example=EXAMPLE_SETUP,
        example=EXAMPLE_PREVIEW,
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """The change plan; nothing is written. A worker reads the zone: 202 until it has, and the
        same request within a minute gives the same plan. 409 DOMAIN_NOT_VERIFIED before the
        nameservers point here; 502 where the zone cannot be read."""
        given = self.body(request, serializers.MailSetupSerializer)
        try:
            row = setups.preview_setup(
                self.actor, domain_id, choices=serializers.MailSetupSerializer.choices(given)
            )
        except Invalid as error:
            raise serializers.said_otherwise(error) from error
        headers = wait(request, partial(setups.is_settled, row.pk))
        found = serializers.preview_of(*setups.computed(self.actor, row.pk))
        status = 202 if found["status"] == ChangePlan.COMPUTING else 200
        return Response(serializers.SetupPreviewSerializer(found).data, status, headers=headers)


class SetUpView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Set up the mail records",
        tag=DNS,
        takes=serializers.MailSetupOrderSerializer,
        answers=serializers.SetupResultSerializer,
        also={202: (serializers.SetupResultSerializer, {**EXAMPLE_RESULT, "status": "applying"})},
        errors=(404, 502),
        headers=[PREFER],
        request_example=EXAMPLE_SETUP,
        example=EXAMPLE_RESULT,
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """Applies the plan that was shown (`plan_id`), or makes one and applies it. 202 while it
        is under way, then 200 with what came of it, for the same request within a minute.
        Conflicts are left alone and told in `warnings`, unless `replace_conflicts` names them. 409
        CONFIRMATION_REQUIRED says what live mail, website or delegation goes dark (`losses`): the
        same request again with its `confirmation` applies exactly that plan. 409 PLAN_NOT_READY
        asks for a new plan."""
        given = self.body(request, serializers.MailSetupOrderSerializer)
        plan_id = given["plan_id"]
        try:
            row = setups.set_up(
                self.actor,
                domain_id,
                choices=None if plan_id else serializers.MailSetupOrderSerializer.choices(given),
                plan_id=plan_id,
                replace_ids=given["replace_conflicts"],
                confirmation=given["confirmation"],
            )
        except Invalid as error:
            raise serializers.said_otherwise(error) from error
        headers = wait(request, partial(setups.is_settled, row.pk))
        report = setups.setup_report(self.actor, row.pk)
        found: dict[str, Any] = serializers.SetupResultSerializer(
            serializers.result_of(report)
        ).data
        return Response(found, 202 if report.is_under_way else 200, headers=headers)


class VerifySetupView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "Check which mail records exist",
        tag=DNS,
        answers=serializers.SetupVerifiedSerializer,
        errors=(404,),
        example={
            "spf_configured": True,
            "dkim_configured": True,
            "dmarc_configured": False,
            "mx_configured": True,
            "tracking_configured": False,
            "missing_records": ["TXT _dmarc.example.com"],
            "conflicts": [],
            "unknown": [],
            "checked_at": "2026-11-21T10:04:30Z",
        },
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """As the zone's own nameservers said last; they are asked every few minutes. A record that
        they could not be asked about is `unknown`, and not missing."""
        found = selectors.verification(self.actor, domain_id)
        return Response(serializers.SetupVerifiedSerializer(serializers.verified_of(found)).data)


class PropagationStatusView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "How far the mail records have propagated",
        tag=PROPAGATION,
        answers=serializers.DomainPropagationSerializer,
        errors=(404,),
        example={
            "active_session": EXAMPLE_SESSION,
            "records": [EXAMPLE_RECORD],
            "summary": {
                "total_records": 1,
                "propagated": 0,
                "propagating": 1,
                "pending": 0,
                "failed": 0,
            },
        },
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """Each record, and the session that watches them, if one runs."""
        found = selectors.domain_report(self.actor, domain_id)
        return Response(
            serializers.DomainPropagationSerializer(serializers.domain_propagation_of(found)).data
        )


class StartPollingView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Watch the mail records propagate",
        tag=PROPAGATION,
        answers=serializers.PollingSessionSerializer,
        status=201,
        also={200: (serializers.PollingSessionSerializer, EXAMPLE_SESSION)},
        errors=(404,),
        example=EXAMPLE_SESSION,
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """For 48 hours at most. 200 with the running session, where there is one; 409 before any
        record was written."""
        session, is_new = join_session(self.actor, domain_id)
        return Response(serializers.PollingSessionSerializer(session).data, 201 if is_new else 200)


class OnePollingView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "Get a propagation session",
        tag=PROPAGATION,
        answers=serializers.PollingReportSerializer,
        errors=(404,),
        example=EXAMPLE_REPORT,
    )
    def get(self, request: Request, session_id: UUID) -> Response:
        """With how far each record is, and when the last cache must have let go."""
        return Response(_report(self, session_id))


class CheckPollingView(ApiView):
    scopes = {"POST": "dns:read"}

    @operation(
        "Look at the records now",
        tag=PROPAGATION,
        answers=serializers.PollingReportSerializer,
        errors=(404,),
        headers=[PREFER],
        example=EXAMPLE_REPORT,
    )
    def post(self, request: Request, session_id: UUID) -> Response:
        """Asks a worker to look; the report is what is known when this answers."""
        asked = timezone.now()
        session = check_session_now(self.actor, session_id)
        headers = wait(request, partial(selectors.all_seen_since, session, asked))
        return Response(_report(self, session_id), headers=headers)


class CancelPollingView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Stop watching",
        tag=PROPAGATION,
        answers=serializers.PollingSessionSerializer,
        errors=(404,),
        example={**EXAMPLE_SESSION, "status": "cancelled"},
    )
    def post(self, request: Request, session_id: UUID) -> Response:
        """The records stay as they are. Twice is harmless; 409 for a session that is over."""
        session = cancel_session(self.actor, session_id)
        return Response(serializers.PollingSessionSerializer(session).data)


class FlattenSPFView(ApiView):
    scopes = {"POST": "dns:read"}

    def prepare(self, request: Request) -> None:
        given = self.body(request, serializers.FlattenSPFSerializer)
        self.found = preview.flatten_spf(
            self.actor,
            domain=given["domain"],
            original=given["original_spf"],
            ipv6=given["ipv6_support"],
        )

    @operation(
        "Flatten an SPF record",
        tag=DNS,
        takes=serializers.FlattenSPFSerializer,
        answers=serializers.SPFFlattenedSerializer,
        errors=(502,),
        request_example={
            "domain": "example.com",
            "original_spf": EXAMPLE_SPF,
            "ipv6_support": True,
        },
        example={
            "original": EXAMPLE_SPF,
            "flattened_record": "v=spf1 ip4:192.0.2.0/24 ~all",
            "lookups_before": 1,
            "lookups_after": 0,
            "void_lookups": 0,
            "ip_addresses": ["192.0.2.0/24"],
            "warnings": [],
            "errors": [],
        },
    )
    def post(self, request: Request) -> Response:
        """Addresses in place of lookups, so that receivers need ten at most. What the record lets
        pass depends on public DNS, which is asked for 8 seconds at most; the flattened record
        never lets anybody pass whom the original did not. Nothing is written."""
        return Response(serializers.SPFFlattenedSerializer(self.found).data)


def _report(view: ApiView, session_id: UUID) -> Any:
    found = selectors.session_report(view.actor, session_id)
    return serializers.PollingReportSerializer(serializers.polling_report_of(found)).data
