"""JSON about mailboxes for the panel: one by one, many at once, from lists (source 2)."""

from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from mailboxes import accounts, imports, selectors, services
from mailboxes import panel_serializers as serializers
from mailboxes.services import Credential
from mpanel.core.api.errors import error_body
from mpanel.core.api.parsing import StrictJSON
from mpanel.core.api.serializers import camel, page_of, paged
from mpanel.core.api.views import ApiView, operation
from mpanel.core.errors import MPanelError, TooLarge
from provisioning.api import EXAMPLE_JOB
from provisioning.serializers import PanelJobSerializer

MAILBOXES, EMAIL = "Mailboxes", "E-mail"
A_TENANT = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b10"
A_DOMAIN = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11"
A_JOB = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12"
A_MAILBOX = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b13"
MADE = "2026-11-21T10:00:00Z"
EXAMPLE_MAILBOX = {
    "id": A_MAILBOX,
    "tenantId": A_TENANT,
    "domainId": A_DOMAIN,
    "domain": "example.com",
    "email": "anna@example.com",
    "localPart": "anna",
    "firstName": "Anna",
    "lastName": "Schmidt",
    "provider": "mailserver",
    "status": "active",
    "quotaMb": 2048,
    "storedBytes": 734_003_200,
    "storageMeasuredAt": MADE,
    "passwordPending": False,
    "healthScore": None,
    "sendingPaused": None,
    "error": None,
    "createdAt": MADE,
    "updatedAt": MADE,
}
EXAMPLE_MADE = {
    **EXAMPLE_MAILBOX,
    "storedBytes": None,
    "storageMeasuredAt": None,
    "status": "provisioning",
    "generatedPassword": "wT7...",
    "jobId": A_JOB,
}
EXAMPLE_TALLY = {"total": 1, "successful": 1, "failed": 0}
DELETING = {**EXAMPLE_JOB, "type": "mailboxes.delete", "label": "Delete anna@example.com"}


class CsvText(BaseParser):
    """A body that is a CSV file itself: as if it had come as `csv` in JSON, but in bytes."""

    media_type = "text/csv"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, list[imports.Row]]:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise TooLarge(f"The body is larger than {most} bytes.")
        return {"parsed": imports.parse_csv(raw)}


class MailboxListView(ApiView):
    """Mailboxes, under either of their paths."""

    scopes = {"GET": "mailboxes:read", "POST": "mailboxes:write"}

    def listed(self, request: Request) -> Response:
        query = self.query(request, serializers.PanelMailboxQuerySerializer)
        names = ("domain_id", "customer_id", "status", "search")
        found = selectors.mailboxes(self.actor, **{name: query[name] for name in names})
        found = found.order_by(*serializers.order_by(query["order"]))
        return Response(page_of(found, query, serializers.PanelMailboxSerializer))

    def made(self, credential: Credential) -> Response:
        mailbox = credential.mailbox
        job_id = selectors.deployment_of(self.actor, mailbox.batch_id)
        answer = {
            **serializers.PanelMailboxSerializer(mailbox).data,
            "generatedPassword": credential.password,
            "jobId": job_id,
        }
        return Response(answer, 201)


class MailboxesView(MailboxListView):
    @operation(
        "List mailboxes",
        tag=MAILBOXES,
        query=serializers.PanelMailboxQuerySerializer,
        answers=paged(serializers.PanelMailboxSerializer),
        example={"items": [EXAMPLE_MAILBOX], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """`search` looks at addresses and names. Deleted ones are not shown."""
        return self.listed(request)

    @operation(
        "Create a mailbox",
        tag=MAILBOXES,
        takes=serializers.NewPanelMailboxSerializer,
        answers=serializers.PanelMailboxMadeSerializer,
        status=201,
        errors=(402, 404),
        request_example={"email": "anna@example.com", "quotaMb": 2048},
        example=EXAMPLE_MADE,
    )
    def post(self, request: Request) -> Response:
        """The password, given or made, is answered this one time; the job sets the mailbox up and
        proves its login. A key needs the scope mailboxes:reveal too. 402 PLAN_LIMIT_EXCEEDED; 403
        TRIAL_EXPIRED; 404 DOMAIN_NOT_FOUND; 409 USER_ALREADY_EXISTS, DOMAIN_NOT_READY or
        MAIL_ELSEWHERE."""
        given = self.body(request, serializers.NewPanelMailboxSerializer)
        return self.made(accounts.create_mailbox_at(self.actor, **given))


class OneMailboxView(ApiView):
    scopes = {"GET": "mailboxes:read", "DELETE": "mailboxes:write"}

    @operation(
        "Get a mailbox",
        tag=MAILBOXES,
        answers=serializers.PanelMailboxSerializer,
        errors=(404,),
        example=EXAMPLE_MAILBOX,
    )
    def get(self, request: Request, mailbox_id: UUID) -> Response:
        """How far it is, and what is wrong with it, if anything."""
        return Response(
            serializers.PanelMailboxSerializer(selectors.get_mailbox(self.actor, mailbox_id)).data
        )

    @operation(
        "Delete a mailbox",
        tag=MAILBOXES,
        answers=PanelJobSerializer,
        status=202,
        errors=(404, 409),
        example=DELETING,
    )
    def delete(self, request: Request, mailbox_id: UUID) -> Response:
        """Its account goes first; the mailbox is `deleting` until the job has seen to that. Where
        that fails, it stays so with the reason, and the job can be retried. Its mail is kept for a
        while."""
        job = services.delete_mailboxes(self.actor, [mailbox_id])
        return Response(PanelJobSerializer(job).data, 202)


class MailboxPasswordView(ApiView):
    scopes = {"PUT": "mailboxes:write"}

    @operation(
        "Change a mailbox's password",
        tag=MAILBOXES,
        takes=serializers.NewMailboxPasswordSerializer,
        answers=serializers.PanelMailboxPasswordSerializer,
        errors=(404, 409),
        request_example={"password": "SecurePass123!"},
        example={**EXAMPLE_MAILBOX, "passwordPending": True, "generatedPassword": "wT7..."},
    )
    def put(self, request: Request, mailbox_id: UUID) -> Response:
        """To the given one, or to one that is made; it is answered this one time. The old one stops
        at once, the new one works within seconds, when `passwordPending` is false. A key needs the
        scope mailboxes:reveal too; 403 TOKEN_NEEDED in the browser, whose page asks for a code
        instead. 409 while the mailbox is being set up or deleted."""
        self.require_token()
        given = self.body(request, serializers.NewMailboxPasswordSerializer)
        credential = services.change_password(self.actor, mailbox_id, **given)
        mailbox = serializers.PanelMailboxSerializer(credential.mailbox).data
        return Response({**mailbox, "generatedPassword": credential.password})


class MailboxQuotaView(ApiView):
    scopes = {"PUT": "mailboxes:write"}

    @operation(
        "Change a mailbox's quota",
        tag=MAILBOXES,
        takes=serializers.NewMailboxQuotaSerializer,
        answers=serializers.PanelMailboxSerializer,
        errors=(404, 409),
        request_example={"quotaMb": 4096},
        example={**EXAMPLE_MAILBOX, "quotaMb": 4096},
    )
    def put(self, request: Request, mailbox_id: UUID) -> Response:
        """In MB. A mailbox that holds more keeps what it has and gets no more. 409
        MANAGED_ELSEWHERE where a vendor holds it."""
        given = self.body(request, serializers.NewMailboxQuotaSerializer)
        mailbox = services.set_quota(self.actor, mailbox_id, **given)
        return Response(serializers.PanelMailboxSerializer(mailbox).data)


class SuspendMailboxView(ApiView):
    scopes = {"POST": "mailboxes:write"}

    @operation(
        "Suspend a mailbox",
        tag=MAILBOXES,
        answers=serializers.PanelMailboxSerializer,
        errors=(404,),
        example={**EXAMPLE_MAILBOX, "status": "suspended"},
    )
    def post(self, request: Request, mailbox_id: UUID) -> Response:
        """Login and sending stop, running sessions end; mail still arrives. Twice is harmless."""
        mailbox = services.suspend_mailbox(self.actor, mailbox_id)
        return Response(serializers.PanelMailboxSerializer(mailbox).data)


class ActivateMailboxView(ApiView):
    scopes = {"POST": "mailboxes:write"}

    @operation(
        "Activate a mailbox",
        tag=MAILBOXES,
        answers=serializers.PanelMailboxSerializer,
        errors=(404,),
        example=EXAMPLE_MAILBOX,
    )
    def post(self, request: Request, mailbox_id: UUID) -> Response:
        """Undoes a suspension. Twice is harmless. 409 for one that is not suspended."""
        mailbox = services.activate_mailbox(self.actor, mailbox_id)
        return Response(serializers.PanelMailboxSerializer(mailbox).data)


class MailboxBulkView(ApiView):
    sliced = True
    scopes = {"POST": "mailboxes:write"}

    @operation(
        "Change many mailboxes",
        tag=MAILBOXES,
        takes=serializers.MailboxBulkSerializer,
        answers=serializers.MailboxOutcomesSerializer,
        request_example={"action": "suspend", "ids": [A_MAILBOX]},
        example={
            "success": True,
            "results": [
                {
                    "id": A_MAILBOX,
                    "success": True,
                    "mailbox": {**EXAMPLE_MAILBOX, "status": "suspended"},
                }
            ],
            "summary": EXAMPLE_TALLY,
        },
    )
    def post(self, request: Request) -> Response:
        """suspend, activate, delete, reset-password or set-quota (with `quotaMb`) for up to 500.
        One that cannot be changed has its `error` and blocks no other. For reset-password, a key
        needs the scope mailboxes:reveal too, and the browser is refused (403 TOKEN_NEEDED)."""
        given = self.body(request, serializers.MailboxBulkSerializer)
        if given["action"] == "reset-password":
            self.require_token()
        found = services.change_mailboxes(
            self.actor, given["action"], given["ids"], quota_mb=given.get("quota_mb")
        )
        return Response(_tallied(found, _outcome))


class MailboxImportView(ApiView):
    scopes = {"POST": "mailboxes:write"}
    parser_classes = (StrictJSON, CsvText)

    def compute(self, request: Request) -> None:
        self._wanted = self._rows(request)
        self._drafts = imports.draft_import(self.actor, self._wanted)

    @operation(
        "Create mailboxes from a list",
        tag=MAILBOXES,
        takes=serializers.MailboxImportSerializer,
        also_takes={"text/csv": {"type": "string"}},
        answers=serializers.MailboxRowOutcomesSerializer,
        request_example={
            "rows": [{"email": "anna@example.com", "firstName": "Anna", "quotaMb": 2048}]
        },
        example={
            "success": True,
            "results": [
                {
                    "row": 1,
                    "email": "anna@example.com",
                    "success": True,
                    "mailbox": {**EXAMPLE_MAILBOX, "status": "provisioning"},
                    "generatedPassword": "wT7...",
                }
            ],
            "summary": EXAMPLE_TALLY,
        },
    )
    def post(self, request: Request) -> Response:
        """Up to 1,000 rows, as JSON or as a CSV file (text/csv, or its text as `csv`), whose header
        names email, first_name, last_name, password, quota_mb. Each row has an outcome; one that is
        refused blocks no other. Beyond the plan's limit rows have PLAN_LIMIT_EXCEEDED. A key needs
        the scope mailboxes:reveal too."""
        found = imports.import_mailboxes(self.actor, self._wanted, drafts=self._drafts)
        return Response(_tallied(found, _row_outcome))

    def _rows(self, request: Request) -> list[imports.Row]:
        if isinstance(request.data, Mapping) and "parsed" in request.data:
            parsed: list[imports.Row] = request.data["parsed"]
            return parsed
        given = self.body(request, serializers.MailboxImportSerializer)
        if "csv" in given:
            return imports.parse_csv(given["csv"].encode())
        return [imports.Row(**row) for row in given["rows"]]


def _tallied[T](found: Sequence[T], shown: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    results = [shown(one) for one in found]
    successful = sum(result["success"] for result in results)
    failed = len(results) - successful
    summary = {"total": len(results), "successful": successful, "failed": failed}
    return {"success": not failed, "results": results, "summary": summary}


def _outcome(found: services.Outcome) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": found.mailbox_id, "success": found.error is None}
    if found.mailbox:
        answer["mailbox"] = serializers.PanelMailboxSerializer(found.mailbox).data
    if found.password:
        answer["generatedPassword"] = found.password
    return answer | _why(found.error)


def _row_outcome(found: imports.RowOutcome) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "row": found.number,
        "email": found.email,
        "success": found.error is None,
    }
    if found.credential:
        answer["mailbox"] = serializers.PanelMailboxSerializer(found.credential.mailbox).data
        answer["generatedPassword"] = found.credential.password
    return answer | _why(found.error)


def _why(error: MPanelError | None) -> dict[str, Any]:
    if error is None:
        return {}
    details = {camel(name): value for name, value in error.details.items()}
    return {"error": error_body(error.status, error.code, error.message, details)["error"]}
