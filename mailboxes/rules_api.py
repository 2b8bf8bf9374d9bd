"""JSON about forwarding and vacation notes of mailboxes (source 2's manner)."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mailboxes import selectors, services
from mailboxes.models import DeliveryRules
from mailboxes.panel_api import MAILBOXES
from mailboxes.services import MOST_SUBJECT, MOST_TEXT, Vacation
from mailservers.configuration import MOST_REDIRECTS
from mpanel.core.api.serializers import CamelSerializer, Email, Text, YesNo
from mpanel.core.api.views import ApiView, TokenNeeded, operation

EXAMPLE_VACATION = {
    "subject": "On holiday",
    "text": "I am back on Monday.",
    "startsOn": None,
    "endsOn": "2026-12-31",
}
EXAMPLE = {
    "forwardTo": ["ada@example.org"],
    "keepsCopy": True,
    "vacation": EXAMPLE_VACATION,
    "status": "pending",
    "error": None,
}


class VacationSerializer(CamelSerializer):
    """A note to who writes. Days are UTC; `endsOn` is the last one."""

    subject = Text(max_length=MOST_SUBJECT)
    text = Text(max_length=MOST_TEXT)
    starts_on = serializers.DateField(required=False, allow_null=True, default=None)
    ends_on = serializers.DateField(required=False, allow_null=True, default=None)


class NewMailboxRulesSerializer(CamelSerializer):
    """All of a mailbox's rules: what is left out ends."""

    forward_to = serializers.ListField(
        child=Email(), required=False, default=list, max_length=MOST_REDIRECTS
    )
    keeps_copy = YesNo(required=False, default=True)
    vacation = VacationSerializer(required=False, allow_null=True, default=None)
    replaces_script = YesNo(
        required=False,
        default=False,
        help_text="Consent to switch off a script that was made in a mail program.",
    )


class RulesErrorSerializer(CamelSerializer):
    """Why the rules are not in force."""

    code = serializers.CharField()
    message = serializers.CharField()


class MailboxRulesSerializer(CamelSerializer):
    """A mailbox's rules, and whether the mail server has them."""

    forward_to = serializers.ListField(child=serializers.CharField())
    keeps_copy = serializers.BooleanField()
    vacation = VacationSerializer(allow_null=True)
    status = serializers.ChoiceField(choices=["pending", "active", "failed"])
    error = RulesErrorSerializer(allow_null=True)


class MailboxRulesView(ApiView):
    scopes = {"GET": "mailboxes:read", "PUT": "mailboxes:write"}

    @operation(
        "Get a mailbox's forwarding and vacation note",
        tag=MAILBOXES,
        answers=MailboxRulesSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, mailbox_id: UUID) -> Response:
        """As they were set here; a script that a mail program made is not read."""
        mailbox = selectors.get_mailbox(self.actor, mailbox_id)
        return Response(_shown(selectors.rules_of(self.actor, mailbox)))

    @operation(
        "Set a mailbox's forwarding and vacation note",
        tag=MAILBOXES,
        takes=NewMailboxRulesSerializer,
        answers=MailboxRulesSerializer,
        errors=(404, 409),
        request_example={"forwardTo": ["ada@example.org"], "vacation": EXAMPLE_VACATION},
        example=EXAMPLE,
    )
    def put(self, request: Request, mailbox_id: UUID) -> Response:
        """A worker tells the mail server; `status` says how that went. `error` with
        OTHER_SCRIPT_ACTIVE or SCRIPT_WAS_EDITED: somebody wrote a script in a mail program; send
        `replacesScript` to switch it off. To forward to a new address, a key needs the scope
        mailboxes:reveal too, and the browser, whose page asks for a code, gets 403 TOKEN_NEEDED.
        409 MANAGED_ELSEWHERE or RULES_UNAVAILABLE."""
        given = self.body(request, NewMailboxRulesSerializer)
        note = given.pop("vacation")
        vacation = Vacation(**note) if note else None
        try:
            rules = services.set_rules(
                self.actor, mailbox_id, **given, vacation=vacation, asks_code=self.by_browser
            )
        except services.CodeNeeded as error:
            raise TokenNeeded from error
        return Response(_shown(rules))


def _shown(rules: DeliveryRules) -> dict[str, Any]:
    vacation = {
        "subject": rules.vacation_subject,
        "text": rules.vacation_text,
        "startsOn": rules.vacation_starts_on,
        "endsOn": rules.vacation_ends_on,
    }
    error = {"code": rules.error_code, "message": rules.error_message}
    return {
        "forwardTo": rules.forward_to,
        "keepsCopy": rules.keeps_copy,
        "vacation": vacation if rules.vacation_is_on else None,
        "status": "pending" if rules.is_pending else "failed" if rules.error_code else "active",
        "error": error if rules.error_code else None,
    }
