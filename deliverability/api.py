"""JSON about how much a mailbox may send and has sent."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from deliverability import serializers, services
from deliverability.selectors import sending_of
from mpanel.core.api.serializers import Serializer
from mpanel.core.api.views import ApiView, operation

SENDING = "Sending"
EXAMPLE = {
    "dailySent": 12,
    "dailyLimit": 25,
    "fullLimit": 40,
    "isUsualLimit": False,
    "warmup": {"since": "2026-11-17", "start": 5, "step": 5, "reachesLimitOn": "2026-11-24"},
    "pausedAt": None,
    "pausedReason": "",
    "days": [
        {
            "date": "2026-11-21",
            "sent": 12,
            "delivered": 10,
            "deferred": 1,
            "bounced": 1,
            "complaints": 0,
        }
    ],
}


class MailboxSendingView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "Get what a mailbox sends",
        tag=SENDING,
        answers=serializers.SendingSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, mailbox_id: UUID) -> Response:
        """Today's use of its limit, its warm-up, and the last thirty days."""
        return Response(serializers.sending_as_json(sending_of(self.actor, mailbox_id)))


class MailboxLimitsView(ApiView):
    scopes = {"PUT": "mailboxes:write"}

    @operation(
        "Set a mailbox's limits",
        tag=SENDING,
        takes=serializers.NewLimitsSerializer,
        answers=serializers.SendingSerializer,
        errors=(404, 409),
        request_example={"dailyLimit": 40, "warmup": {"start": 5, "step": 5}},
        example=EXAMPLE,
    )
    def put(self, request: Request, mailbox_id: UUID) -> Response:
        """In force for the next message. A warm-up with the same numbers goes on; with others it
        begins anew today, and without one the whole limit holds. 409 MAILBOX_NOT_ACTIVE for a
        warm-up of a mailbox that does not work."""
        given = self.body(request, serializers.NewLimitsSerializer)
        services.change_limits(
            self.actor, [mailbox_id], **serializers.NewLimitsSerializer.arguments(given)
        )
        return Response(serializers.sending_as_json(sending_of(self.actor, mailbox_id)))


class MailboxResumeView(ApiView):
    scopes = {"POST": "mailboxes:write"}

    @operation(
        "Resume the sending of a mailbox",
        tag=SENDING,
        answers=serializers.SendingSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def post(self, request: Request, mailbox_id: UUID) -> Response:
        """After it was paused for the reason in `pausedReason`. Twice is harmless."""
        self.body(request, Serializer)
        services.resume_sending(self.actor, mailbox_id)
        return Response(serializers.sending_as_json(sending_of(self.actor, mailbox_id)))
