"""JSON about the health of mailboxes and of a domain's mail."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from deliverability.health import LABELS, parts_of
from domains.selectors import get_domain
from mailboxes import selectors
from mailboxes.models import Mailbox
from mailboxes.panel_api import EMAIL, MAILBOXES
from mailservers.models import MailDomain
from mpanel.core.api.serializers import CamelSerializer
from mpanel.core.api.views import ApiView, operation

EXAMPLE = {
    "score": 82,
    "measuredAt": "2026-11-21T10:00:00Z",
    "parts": [
        {
            "key": "bounces",
            "label": "Bounces",
            "weight": 25,
            "score": 60,
            "evidence": "4 of 100 recipients in 30 days bounced (4.0%).",
            "advice": "Take addresses that bounced off your lists, and verify lists before you "
            "send.",
        }
    ],
}


class HealthPartSerializer(CamelSerializer):
    """One part of a score; `score` is null where nobody knows, and then it does not count."""

    key = serializers.ChoiceField(choices=list(LABELS))
    label = serializers.CharField()  # type: ignore[assignment]  # a field of ours, not DRF's
    weight = serializers.IntegerField(help_text="Per cent of the whole, if all parts are known.")
    score = serializers.IntegerField(allow_null=True, help_text="0 to 100.")
    evidence = serializers.CharField(help_text="What the score is based on.")
    advice = serializers.CharField(help_text="How it gets better; empty where it cannot.")


class HealthReportSerializer(CamelSerializer):
    """How well mail is likely to arrive. `score` and `measured_at` are null until measured."""

    score = serializers.IntegerField(allow_null=True, help_text="0 to 100.")
    measured_at = serializers.DateTimeField(allow_null=True)
    parts = HealthPartSerializer(many=True)


class MailboxHealthView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "Get a mailbox's health",
        tag=MAILBOXES,
        answers=HealthReportSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, mailbox_id: UUID) -> Response:
        """The score and its parts, each with its evidence."""
        return Response(_report(selectors.get_mailbox(self.actor, mailbox_id)))


class MailDomainHealthView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "Get the health of a domain's mail",
        tag=EMAIL,
        answers=HealthReportSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """The score of all its mailboxes together and its parts, each with its evidence. Without
        parts where the domain has no mail here."""
        get_domain(self.actor, domain_id)
        place = selectors.place_of(self.actor, domain_id)
        return Response(_report(place or MailDomain()))


def _report(row: Mailbox | MailDomain) -> dict[str, Any]:
    parts = [
        {
            "key": part.key,
            "label": part.label,
            "weight": part.weight,
            "score": part.score,
            "evidence": part.evidence,
            "advice": part.advice,
        }
        for part in parts_of(row.health)
    ]
    shown = {"score": row.health_score, "measured_at": row.health_at, "parts": parts}
    return dict(HealthReportSerializer(shown).data)
