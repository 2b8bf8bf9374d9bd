"""JSON about mailboxes at Smartlead and Instantly: connecting, warm-up, campaigns.

Both tools have the same operations; what differs stands in a view's `provider` and shape.
"""

from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.serializers import page_of, paged
from mpanel.core.api.views import ApiView, operation
from mpanel.core.api.waiting import PREFER, outside, wait
from outreach import selectors, serializers, services
from outreach.errors import refusal_of
from outreach.models import CampaignSeat, OutreachLink
from outreach.providers.base import Campaign

OUTREACH = "Outreach"
A_LINK = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b21"
AN_ACCOUNT = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b13"
A_JOB = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12"
EXAMPLE_WARMUP = {
    "warmup_enabled": True,
    "max_email_per_day": 50,
    "total_warmup_per_day": 40,
    "daily_rampup": 5,
}
EXAMPLE_SMARTLEAD = {
    "mapping": {
        "id": A_LINK,
        "email_account_id": AN_ACCOUNT,
        "smartlead_email_account_id": "48201",
        "smartlead_email": "anna@example.com",
    },
    "status": "connected",
    "warmup": EXAMPLE_WARMUP,
    "error_code": "",
    "error_message": "",
    "deployment_id": A_JOB,
}
EXAMPLE_INSTANTLY = {
    **EXAMPLE_SMARTLEAD,
    "mapping": {
        "id": A_LINK,
        "email_account_id": AN_ACCOUNT,
        "instantly_account_id": "anna@example.com",
        "instantly_email": "anna@example.com",
    },
}
EXAMPLE_CAMPAIGNS = {
    "items": [{"id": "3021", "name": "Founders in Europe", "status": "active"}],
    "total": 1,
    "page": 1,
    "page_size": 20,
}
EXAMPLE_SEATS = {
    "campaign_id": "3021",
    "campaign": "Founders in Europe",
    "items": [{"email_account_id": AN_ACCOUNT, "status": "joined"}],
    "deployment_id": A_JOB,
}


def under_way(example: dict[str, Any], status: str) -> dict[str, Any]:
    """The same connection before the tool has answered."""
    return {**example, "status": status}


class ConnectionView(ApiView):
    """A mailbox at one tool."""

    scopes = {"POST": "mailboxes:write", "DELETE": "mailboxes:write"}
    provider: ClassVar[str]

    def connect(self, request: Request, account_id: UUID) -> Response:
        given = self.body(request, serializers.ConnectAccountSerializer)
        link = services.connect_mailbox(
            self.actor,
            account_id,
            provider=self.provider,
            credential_id=given["credential_id"],
            warmup=serializers.ConnectAccountSerializer.arguments(given),
        )
        return self._answer(request, link, over=201, moving=OutreachLink.CONNECTING)

    def disconnect(self, request: Request, account_id: UUID) -> Response:
        (link,) = services.disconnect_mailboxes(
            self.actor, [selectors.get_account(self.actor, account_id).pk], provider=self.provider
        )
        return self._answer(request, link, over=200, moving=OutreachLink.DISCONNECTING)

    def _answer(self, request: Request, link: OutreachLink, *, over: int, moving: str) -> Response:
        """What came of it, where the caller waited for that; a failure is raised then."""
        workflow = (
            "outreach.connect" if moving == OutreachLink.CONNECTING else "outreach.disconnect"
        )
        job = selectors.jobs_of_link(self.actor, link, workflow)

        def is_over() -> bool:
            link.refresh_from_db(fields=["status", "remote_id", "error_code", "error_message"])
            return link.status != moving

        headers = wait(request, is_over)
        if link.status == OutreachLink.FAILED:
            raise refusal_of(link)
        answer = serializers.connection_of(link, job.pk if job else None)
        return Response(answer, 202 if link.status == moving else over, headers=headers)


class SmartleadView(ConnectionView):
    provider = "smartlead"

    @operation(
        "Connect an e-mail account to Smartlead",
        tag=OUTREACH,
        takes=serializers.ConnectAccountSerializer,
        answers=serializers.SmartleadConnectionSerializer,
        status=201,
        also={
            202: (
                serializers.SmartleadConnectionSerializer,
                under_way(EXAMPLE_SMARTLEAD, "connecting"),
            )
        },
        headers=[PREFER],
        errors=(402, 404, 502),
        request_example=EXAMPLE_WARMUP,
        example=EXAMPLE_SMARTLEAD,
    )
    def post(self, request: Request, account_id: UUID) -> Response:
        """A worker proves the login once more and hands the mailbox over: 202 until it has, and
        the deployment tells the rest; 201 for who waited. 404 ACCOUNT_NOT_FOUND; 409
        ACCOUNT_ALREADY_CONNECTED, MAILBOX_NOT_READY, CREDENTIALS_NOT_FOUND, OUTREACH_NOT_CONNECTED
        without a key, INVALID_CREDENTIALS where Smartlead cannot log in; 502 SMARTLEAD_API_ERROR
        or NETWORK_ERROR."""
        return self.connect(request, account_id)

    @operation(
        "Disconnect an e-mail account from Smartlead",
        tag=OUTREACH,
        answers=serializers.SmartleadConnectionSerializer,
        also={
            202: (
                serializers.SmartleadConnectionSerializer,
                under_way(EXAMPLE_SMARTLEAD, "disconnecting"),
            )
        },
        headers=[PREFER],
        errors=(404, 409, 502),
        example={**EXAMPLE_SMARTLEAD, "status": "disconnected"},
    )
    def delete(self, request: Request, account_id: UUID) -> Response:
        """It leaves all campaigns and its warm-up is switched off; Smartlead keeps the account
        with its history. 202 while a worker does so. 409 ACCOUNT_NOT_CONNECTED."""
        return self.disconnect(request, account_id)


class InstantlyView(ConnectionView):
    provider = "instantly"

    @operation(
        "Connect an e-mail account to Instantly",
        tag=OUTREACH,
        takes=serializers.ConnectAccountSerializer,
        answers=serializers.InstantlyConnectionSerializer,
        status=201,
        also={
            202: (
                serializers.InstantlyConnectionSerializer,
                under_way(EXAMPLE_INSTANTLY, "connecting"),
            )
        },
        headers=[PREFER],
        errors=(402, 404, 502),
        request_example=EXAMPLE_WARMUP,
        example=EXAMPLE_INSTANTLY,
    )
    def post(self, request: Request, account_id: UUID) -> Response:
        """As for Smartlead; 502 INSTANTLY_API_ERROR or NETWORK_ERROR."""
        return self.connect(request, account_id)

    @operation(
        "Disconnect an e-mail account from Instantly",
        tag=OUTREACH,
        answers=serializers.InstantlyConnectionSerializer,
        also={
            202: (
                serializers.InstantlyConnectionSerializer,
                under_way(EXAMPLE_INSTANTLY, "disconnecting"),
            )
        },
        headers=[PREFER],
        errors=(404, 409, 502),
        example={**EXAMPLE_INSTANTLY, "status": "disconnected"},
    )
    def delete(self, request: Request, account_id: UUID) -> Response:
        """It leaves all campaigns and is paused, without warm-up; Instantly keeps its history."""
        return self.disconnect(request, account_id)


class WarmupView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "Get warm-up statistics",
        tag=OUTREACH,
        query=serializers.WarmupQuerySerializer,
        answers=serializers.WarmupStatsSerializer,
        errors=(404,),
        example={
            "email_account_id": AN_ACCOUNT,
            "warmup_enabled": True,
            "stats": [
                {
                    "date": "2026-11-20",
                    "sent": 20,
                    "delivered": 19,
                    "bounced": None,
                    "replied": 6,
                    "deliverability_rate": 95.0,
                }
            ],
        },
    )
    def get(self, request: Request, account_id: UUID) -> Response:
        """The last seven days, as the outreach tool counted them; fetched once a day. No days
        where the mailbox was never connected. 404 ACCOUNT_NOT_FOUND."""
        query = self.query(request, serializers.WarmupQuerySerializer)
        stats = selectors.warmup_stats(self.actor, account_id, provider=query["provider"])
        return Response(serializers.stats_of(stats))


class CampaignsView(ApiView):
    scopes = {"GET": "mailboxes:read"}
    provider: ClassVar[str]

    def read(self, request: Request) -> Response:
        query = self.query(request, serializers.CampaignQuerySerializer)
        with outside(self.actor.tenant_id):
            found = services.read_campaigns(
                self.actor, provider=self.provider, credential_id=query["credential_id"]
            )
        return Response(page_of(found, query, serializers.CampaignSerializer))


class SmartleadCampaignsView(CampaignsView):
    provider = "smartlead"

    @operation(
        "List Smartlead's campaigns",
        tag=OUTREACH,
        query=serializers.CampaignQuerySerializer,
        answers=paged(serializers.CampaignSerializer),
        errors=(404, 409, 502),
        example=EXAMPLE_CAMPAIGNS,
    )
    def get(self, request: Request) -> Response:
        """Read from Smartlead now, for 5 seconds at most. 409 OUTREACH_NOT_CONNECTED without a
        key; 502 SMARTLEAD_API_ERROR or NETWORK_ERROR."""
        return self.read(request)


class InstantlyCampaignsView(CampaignsView):
    provider = "instantly"

    @operation(
        "List Instantly's campaigns",
        tag=OUTREACH,
        query=serializers.CampaignQuerySerializer,
        answers=paged(serializers.CampaignSerializer),
        errors=(404, 409, 502),
        example=EXAMPLE_CAMPAIGNS,
    )
    def get(self, request: Request) -> Response:
        """As for Smartlead; 502 INSTANTLY_API_ERROR or NETWORK_ERROR."""
        return self.read(request)


class CampaignAccountsView(ApiView):
    scopes = {"POST": "mailboxes:write"}
    provider: ClassVar[str]
    campaign: Campaign

    def prepare(self, request: Request, campaign_id: str) -> None:
        self.given = self.body(request, serializers.SeatAccountsSerializer)
        self.campaign = services.find_campaign(
            self.actor,
            self.given["ids"],
            campaign_id,
            provider=self.provider,
            credential_id=self.given["credential_id"],
        )

    def seat(self, request: Request) -> Response:
        seats = services.assign_campaign(
            self.actor, self.given["ids"], self.campaign, provider=self.provider
        )
        job = selectors.jobs_of_link(self.actor, seats[0].link, "outreach.assign")
        ids = [seat.pk for seat in seats]

        def all_joined() -> bool:
            found = CampaignSeat.objects.filter(pk__in=ids)
            return not found.filter(joined_at=None).exists()

        headers = wait(request, all_joined)
        joined = dict(CampaignSeat.objects.filter(pk__in=ids).values_list("pk", "joined_at"))
        rows = [
            {
                "email_account_id": str(seat.link.mailbox_id),
                "status": "joined" if joined.get(seat.pk) else "joining",
            }
            for seat in seats
        ]
        answer = {
            "campaign_id": self.campaign.id,
            "campaign": self.campaign.name,
            "items": rows,
            "deployment_id": str(job.pk) if job else None,
        }
        is_over = all(row["status"] == "joined" for row in rows)
        return Response(answer, 200 if is_over else 202, headers=headers)


class SmartleadCampaignAccountsView(CampaignAccountsView):
    provider = "smartlead"

    @operation(
        "Assign e-mail accounts to a Smartlead campaign",
        tag=OUTREACH,
        takes=serializers.SeatAccountsSerializer,
        answers=serializers.SeatsSerializer,
        also={
            202: (
                serializers.SeatsSerializer,
                {
                    **EXAMPLE_SEATS,
                    "items": [{"email_account_id": AN_ACCOUNT, "status": "joining"}],
                },
            )
        },
        headers=[PREFER],
        errors=(402, 404, 502),
        request_example={"email_account_id": AN_ACCOUNT},
        example=EXAMPLE_SEATS,
    )
    def post(self, request: Request, campaign_id: str) -> Response:
        """202 while a worker tells Smartlead. 404 CAMPAIGN_NOT_FOUND or ACCOUNT_NOT_FOUND; 409
        ACCOUNT_NOT_CONNECTED, or CAMPAIGNS_NOT_INCLUDED through the host's account; 502
        SMARTLEAD_API_ERROR or NETWORK_ERROR."""
        return self.seat(request)


class InstantlyCampaignAccountsView(CampaignAccountsView):
    provider = "instantly"

    @operation(
        "Assign e-mail accounts to an Instantly campaign",
        tag=OUTREACH,
        takes=serializers.SeatAccountsSerializer,
        answers=serializers.SeatsSerializer,
        also={
            202: (
                serializers.SeatsSerializer,
                {
                    **EXAMPLE_SEATS,
                    "items": [{"email_account_id": AN_ACCOUNT, "status": "joining"}],
                },
            )
        },
        headers=[PREFER],
        errors=(402, 404, 502),
        request_example={"email_account_id": AN_ACCOUNT},
        example=EXAMPLE_SEATS,
    )
    def post(self, request: Request, campaign_id: str) -> Response:
        """As for Smartlead; 502 INSTANTLY_API_ERROR or NETWORK_ERROR."""
        return self.seat(request)
