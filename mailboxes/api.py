"""JSON about inboxes: provisioning, the list, its CSV, e-mail accounts, credentials."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from mailboxes import accounts, measures, selectors, serializers
from mailboxes.csvfiles import COLUMNS, CredentialRow, credentials_csv
from mailboxes.models import Mailbox
from mailboxes.services import Credential
from mailservers.vendors import logins_of
from mpanel.core.api.errors import error_body
from mpanel.core.api.serializers import rows_of_page
from mpanel.core.api.views import ApiView, operation
from mpanel.core.errors import MPanelError

INBOXES, ACCOUNTS = "Inboxes", "E-mail accounts"
ONE_TIME = COLUMNS[:5]  # email,username,password,smtp_host,smtp_port
DOWNLOAD = COLUMNS[:7]  # the same, and smtp_auth,smtp_tls
NEXT_STEPS = [
    "Keep csv_data: its passwords are shown only once.",
    "Follow the deployment until its status is provisioned: then every login was proved.",
    "Add the inboxes to your e-mail client or sending tool.",
]
A_DOMAIN = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11"
A_JOB = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12"
AN_INBOX = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b13"
EXAMPLE_CSV = (
    "email,username,password,smtp_host,smtp_port\r\n"
    "anna@example.com,anna@example.com,wT7...,smtp.example.net,587\r\n"
)
EXAMPLE_LOGIN = {
    "host": "mail.example.net",
    "port": 587,
    "username": "anna@example.com",
    "password": "wT7...",
    "use_tls": True,
}
EXAMPLE_CREDENTIALS = {
    "email": "anna@example.com",
    "password": "wT7...",
    "smtp": EXAMPLE_LOGIN,
    "imap": {**EXAMPLE_LOGIN, "port": 993},
}
EXAMPLE_ACCOUNT = {
    "id": AN_INBOX,
    "email": "anna@example.com",
    "status": "provisioning",
    "deployment_id": A_JOB,
    "credentials": EXAMPLE_CREDENTIALS,
}
EXAMPLE_INBOX = {
    "id": AN_INBOX,
    "email": "anna@example.com",
    "domain": "example.com",
    "status": "active",
    "health_score": 98,
    "daily_sent": 25,
    "daily_limit": 40,
    "created_at": "2026-11-21T10:00:00Z",
}
EXAMPLE_WISH = {
    "domain_id": A_DOMAIN,
    "username": "anna",
    "first_name": "Anna",
    "last_name": "Schmidt",
}


class ProvisionView(ApiView):
    scopes = {"POST": "mailboxes:write"}

    def compute(self, request: Request) -> None:
        given = self.body(request, serializers.ProvisionSerializer)
        self._given = given["domain_id"], serializers.ProvisionSerializer.arguments(given)
        self._draft = accounts.draft(self.actor, self._given[0], **self._given[1])

    @operation(
        "Provision inboxes",
        tag=INBOXES,
        takes=serializers.ProvisionSerializer,
        answers=serializers.ProvisionedSerializer,
        status=201,
        errors=(402, 404),
        request_example={
            "domain_id": A_DOMAIN,
            "inbox_count": 50,
            "naming_convention": "firstname",
        },
        example={
            "inboxes_created": 50,
            "domain": "example.com",
            "csv_data": EXAMPLE_CSV,
            "deployment_id": A_JOB,
            "status": "provisioning",
            "next_steps": NEXT_STEPS,
        },
    )
    def post(self, request: Request) -> Response:
        """Rows and passwords stand when this answers; the deployment proves every login. A key
        needs the scope mailboxes:reveal too, since the passwords are in the answer. 402
        PLAN_LIMIT_EXCEEDED with limit, used and requested in `details`; 403 TRIAL_EXPIRED; 409
        DOMAIN_NOT_READY until the domain's mail records have spread."""
        domain_id, wish = self._given
        batch, credentials = accounts.provision_and_reveal(
            self.actor, domain_id, **wish, draft=self._draft
        )
        rows = [
            (item.mailbox.domain_id, item.mailbox.address, item.password) for item in credentials
        ]
        answer = {
            "inboxes_created": batch.count,
            "domain": batch.domain.name,
            "csv_data": _csv(rows, hidden=False, columns=ONE_TIME),
            "deployment_id": selectors.deployment_of(self.actor, batch.pk),
            "status": "provisioning",
            "next_steps": NEXT_STEPS,
        }
        return Response(answer, 201)


class InboxesView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "List inboxes",
        tag=INBOXES,
        query=serializers.InboxQuerySerializer,
        answers=serializers.InboxListSerializer,
        example={
            "inboxes": [EXAMPLE_INBOX],
            "total": 1,
            "status_breakdown": {
                "active": 1,
                "warming": 0,
                "suspended": 0,
                "provisioning": 0,
                "failed": 0,
                "deleting": 0,
            },
        },
    )
    def get(self, request: Request) -> Response:
        """All of them, by address; a page of them with `page` or `page_size`. `total` counts all
        that were asked for."""
        query = self.query(request, serializers.InboxQuerySerializer)
        where = {name: query[name] for name in ("domain_id", "search")}
        found = selectors.inbox_rows(self.actor, status=query["status"], **where)
        columns, total = rows_of_page(found, query)
        rows = [selectors.InboxRow(*row) for row in columns]
        is_page = len(rows) < total
        if is_page or query["status"]:
            counts = selectors.status_counts(self.actor, **where)
        else:
            counts = Counter(row.status for row in rows)
        sent = (
            measures.of_sending().sent_today(row.id for row in rows)
            if is_page
            else measures.of_sending().sent_today_by_mailboxes(self.actor.tenant_id)
        )
        answer = {
            "inboxes": [
                _inbox(row, sent.get(row.id, 0), limit)
                for row, limit in zip(rows, measures.of_sending().limits_today(rows), strict=True)
            ],
            "total": total,
            "status_breakdown": {status: counts[status] for status in serializers.SHOWN_STATUSES},
        }
        return Response(answer)


class InboxFileView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "Download inboxes as CSV",
        tag=INBOXES,
        query=serializers.InboxFileQuerySerializer,
        media_type="text/csv",
        errors=(404,),
    )
    def get(self, request: Request) -> HttpResponse:
        """All of them, a domain's, or a deployment's: email, username, password, smtp_host,
        smtp_port, smtp_auth, smtp_tls. Every password reads ***HIDDEN***."""
        query = self.query(request, serializers.InboxFileQuerySerializer)
        found = selectors.mailboxes(self.actor, domain_id=query["domain_id"])
        if query["deployment_id"]:
            found = found.filter(
                batch=selectors.batch_of_deployment(self.actor, query["deployment_id"])
            )
        rows = [(*row, "") for row in found.values_list("domain_id", "address")]
        return HttpResponse(
            _csv(rows, hidden=True, columns=DOWNLOAD),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="inboxes.csv"'},
        )


class EmailAccountsView(ApiView):
    scopes = {"POST": "mailboxes:write"}

    @operation(
        "Create an e-mail account",
        tag=ACCOUNTS,
        takes=serializers.NewEmailAccountSerializer,
        answers=serializers.CreatedEmailAccountSerializer,
        status=201,
        errors=(402, 404),
        request_example=EXAMPLE_WISH,
        example=EXAMPLE_ACCOUNT,
    )
    def post(self, request: Request) -> Response:
        """One inbox with a name of its own, its credentials in the answer; the deployment proves
        the login. A key needs the scope mailboxes:reveal too. 400 INVALID_USERNAME; 402
        PLAN_LIMIT_EXCEEDED; 404 DOMAIN_NOT_FOUND; 409 USER_ALREADY_EXISTS or DOMAIN_NOT_READY."""
        given = self.body(request, serializers.NewEmailAccountSerializer)
        wish = accounts.NewMailbox(**serializers.NewEmailAccountSerializer.arguments(given))
        return Response(self._account(accounts.create_mailbox(self.actor, wish)), 201)

    def _account(self, credential: Credential) -> dict[str, Any]:
        mailbox = credential.mailbox
        return {
            "id": mailbox.pk,
            "email": mailbox.address,
            "status": mailbox.status,
            "deployment_id": selectors.deployment_of(self.actor, mailbox.batch_id),
            "credentials": serializers.credentials_of(credential),
        }


class EmailAccountBatchView(EmailAccountsView):
    @operation(
        "Create up to five e-mail accounts",
        tag=ACCOUNTS,
        takes=serializers.NewEmailAccountsSerializer,
        answers=serializers.EmailAccountResultsSerializer,
        request_example={"accounts": [EXAMPLE_WISH]},
        example={
            "success": True,
            "results": [{"success": True, "email_account": EXAMPLE_ACCOUNT}],
            "summary": {"total": 1, "successful": 1, "failed": 0},
        },
    )
    def post(self, request: Request) -> Response:
        """Each row as if it came alone: one that is refused, with its `error`, blocks no other."""
        given = self.body(request, serializers.NewEmailAccountsSerializer)["accounts"]
        wishes = [
            accounts.NewMailbox(**serializers.NewEmailAccountSerializer.arguments(row))
            for row in given
        ]
        found = accounts.create_mailboxes(self.actor, wishes)
        results = [self._result(one) for one in found]
        successful = sum(result["success"] for result in results)
        summary = {
            "total": len(results),
            "successful": successful,
            "failed": len(results) - successful,
        }
        return Response({"success": summary["failed"] == 0, "results": results, "summary": summary})

    def _result(self, found: Credential | MPanelError) -> dict[str, Any]:
        if isinstance(found, MPanelError):
            body = error_body(found.status, found.code, found.message, found.details)
            return {"success": False, "error": body["error"]}
        return {"success": True, "email_account": self._account(found)}


class OneEmailAccountView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "Get an e-mail account",
        tag=ACCOUNTS,
        answers=serializers.EmailAccountSerializer,
        errors=(404,),
        example={
            **EXAMPLE_INBOX,
            "first_name": "Anna",
            "last_name": "Schmidt",
            "error_code": "",
            "error_message": "",
        },
    )
    def get(self, request: Request, account_id: UUID) -> Response:
        """How far it is, and why its login could not be proved, where it could not."""
        mailbox = selectors.get_mailbox(self.actor, account_id)
        names = ("first_name", "last_name", "error_code", "error_message")
        sent = measures.of_sending().sent_today([mailbox.pk]).get(mailbox.pk, 0)
        (limit,) = measures.of_sending().limits_today([mailbox])
        return Response(
            {**_inbox(mailbox, sent, limit), **{name: getattr(mailbox, name) for name in names}}
        )


class EmailAccountCredentialsView(ApiView):
    scopes = {"GET": "mailboxes:reveal"}
    token_only = True

    @operation(
        "Get an e-mail account's credentials",
        tag=ACCOUNTS,
        answers=serializers.EmailCredentialsSerializer,
        errors=(404,),
        example=EXAMPLE_CREDENTIALS,
    )
    def get(self, request: Request, account_id: UUID) -> Response:
        """Recorded in the audit log. For access tokens, and keys with the scope mailboxes:reveal;
        in the browser a one-time code is asked for instead."""
        credential = accounts.reveal_credentials(self.actor, account_id)
        return Response(serializers.credentials_of(credential))


def _inbox(row: selectors.InboxRow | Mailbox, sent: int, limit: int | None) -> dict[str, Any]:
    # By hand: this list has no pages, and a serializer would take longer than its query.
    return {
        "id": str(row.id),
        "email": row.address,
        "domain": row.address.rpartition("@")[2],
        "status": row.status,
        "health_score": row.health_score,
        "daily_sent": None if limit is None else sent,
        "daily_limit": limit,
        "created_at": row.created_at.isoformat().replace("+00:00", "Z"),
    }


def _csv(rows: Sequence[tuple[UUID, str, str]], *, hidden: bool, columns: tuple[str, ...]) -> str:
    """Domain, address and password of each."""
    logins = logins_of(domain_id for domain_id, *_ in rows)
    return credentials_csv(
        (
            CredentialRow(address, logins[domain_id], password)
            for domain_id, address, password in rows
        ),
        hidden=hidden,
        columns=columns,
    )
