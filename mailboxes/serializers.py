"""Serializers of mailboxes and their credentials."""

from typing import Any

from rest_framework import serializers

from mailboxes.models import Mailbox
from mailboxes.naming import CONVENTIONS, MAX_ADDRESSES, Persona
from mailboxes.services import Credential
from mailboxes.vendors import mail_provider_of
from mailservers.providers.base import LoginSettings
from mpanel.core.api.serializers import (
    ErrorDetailSerializer,
    Id,
    Serializer,
    Text,
    Whole,
    WholeListQuerySerializer,
)

# Those that source 1 names come first; a deleted one is not shown.
SHOWN_STATUSES = (
    Mailbox.ACTIVE,
    Mailbox.WARMING,
    Mailbox.SUSPENDED,
    Mailbox.PROVISIONING,
    Mailbox.FAILED,
    Mailbox.DELETING,
)
MOST_AT_ONCE = 5  # e-mail accounts of one batch call


# --- Coming in -------------------------------------------------------------------------------


class PersonaSerializer(Serializer):
    """A person for whom an inbox is made."""

    first_name = Text(max_length=60)
    last_name = Text(max_length=60)


class ProvisionSerializer(Serializer):
    """How many inboxes on which domain, and how they are named."""

    domain_id = Id()
    inbox_count = Whole(min_value=1, max_value=MAX_ADDRESSES)
    naming_convention = serializers.ChoiceField(
        choices=list(CONVENTIONS), default="firstname.lastname"
    )
    personas = serializers.ListField(
        child=PersonaSerializer(),
        required=False,
        default=list,
        max_length=MAX_ADDRESSES,
        help_text="Names of people; without, or beyond them, names of our own list are used.",
    )
    custom = serializers.ListField(
        child=Text(max_length=64),
        required=False,
        default=list,
        max_length=MAX_ADDRESSES,
        help_text="For the convention `custom`: the part before the @, `inbox_count` of them.",
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["custom"] and given["naming_convention"] != "custom":
            raise serializers.ValidationError(
                {"custom": ["A list needs the naming_convention custom."]}
            )
        return given

    @staticmethod
    def arguments(given: dict[str, Any]) -> dict[str, Any]:
        """What the services take: count, convention, personas, custom."""
        return {
            "count": given["inbox_count"],
            "convention": given["naming_convention"],
            "personas": [Persona(**person) for person in given["personas"]],
            "custom": [entry.lower() for entry in given["custom"]],
        }


class InboxQuerySerializer(WholeListQuerySerializer):
    """Which inboxes."""

    domain_id = serializers.UUIDField(required=False, default=None)
    status = serializers.ChoiceField(
        choices=list(SHOWN_STATUSES), required=False, default="", allow_blank=True
    )
    search = Text(max_length=254, required=False, default="", allow_blank=True)


class InboxFileQuerySerializer(Serializer):
    """Which inboxes' CSV."""

    domain_id = serializers.UUIDField(required=False, default=None)
    deployment_id = serializers.UUIDField(required=False, default=None)


class NewEmailAccountSerializer(Serializer):
    """One e-mail account."""

    domain_id = Id()
    username = Text(max_length=320, help_text="The part before the @.")
    first_name = Text(max_length=200)
    last_name = Text(max_length=200)
    password = Text(
        max_length=200,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text="12 to 72 printable ASCII characters; without it, one is made.",
    )
    organization_unit = Text(max_length=200, default="/")
    provider = Text(max_length=32, default="mailserver")

    @staticmethod
    def arguments(given: dict[str, Any]) -> dict[str, Any]:
        """What `NewMailbox` takes."""
        return {**given, "username": given["username"].lower()}


class NewEmailAccountsSerializer(Serializer):
    """Several e-mail accounts."""

    accounts = serializers.ListField(
        child=NewEmailAccountSerializer(), min_length=1, max_length=MOST_AT_ONCE
    )


# --- Going out -------------------------------------------------------------------------------


class ProvisionedSerializer(Serializer):
    """What was made. The passwords in `csv_data` are shown only once."""

    inboxes_created = serializers.IntegerField()
    domain = serializers.CharField()
    csv_data = serializers.CharField(help_text="email,username,password,smtp_host,smtp_port")
    deployment_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["provisioning"])
    next_steps = serializers.ListField(child=serializers.CharField())


class InboxSerializer(Serializer):
    """An inbox of the list. What is null is not measured."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    domain = serializers.CharField()
    status = serializers.ChoiceField(choices=list(SHOWN_STATUSES))
    health_score = serializers.IntegerField(
        allow_null=True, help_text="0 to 100; null until it is measured."
    )
    daily_sent = serializers.IntegerField(
        allow_null=True, help_text="Recipients of this day (UTC); null where a vendor counts."
    )
    daily_limit = serializers.IntegerField(
        allow_null=True, help_text="Of this day, the warm-up included; null where a vendor limits."
    )
    created_at = serializers.DateTimeField()


class StatusBreakdownSerializer(Serializer):
    """How many inboxes are in each status, whatever `status` was asked for."""

    active = serializers.IntegerField()
    warming = serializers.IntegerField()
    suspended = serializers.IntegerField()
    provisioning = serializers.IntegerField()
    failed = serializers.IntegerField()
    deleting = serializers.IntegerField()


class EmailAccountSerializer(InboxSerializer):
    """An e-mail account. The error is why its login could not be proved."""

    first_name = serializers.CharField()
    last_name = serializers.CharField()
    error_code = serializers.CharField()
    error_message = serializers.CharField()


class InboxListSerializer(Serializer):
    """The inboxes that were asked for: all, or a page of them. `total`: how many on all pages."""

    inboxes = InboxSerializer(many=True)
    total = serializers.IntegerField()
    status_breakdown = StatusBreakdownSerializer()


class LoginSerializer(Serializer):
    """How a program logs in."""

    host = serializers.CharField()
    port = serializers.IntegerField()
    username = serializers.CharField()
    password = serializers.CharField()
    use_tls = serializers.BooleanField()


class EmailCredentialsSerializer(Serializer):
    """A password, and where it is good. `imap` is null where the provider has none."""

    email = serializers.EmailField()
    password = serializers.CharField()
    smtp = LoginSerializer()
    imap = LoginSerializer(allow_null=True)


class CreatedEmailAccountSerializer(Serializer):
    """An e-mail account that was made. Its login works when the deployment has proved it."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    status = serializers.ChoiceField(choices=list(SHOWN_STATUSES))
    deployment_id = serializers.UUIDField()
    credentials = EmailCredentialsSerializer()


class EmailAccountResultSerializer(Serializer):
    """One row's outcome: the account, or why there is none."""

    success = serializers.BooleanField()
    email_account = CreatedEmailAccountSerializer(required=False)
    error = ErrorDetailSerializer(required=False)


class EmailAccountSummarySerializer(Serializer):
    """How many rows came to what."""

    total = serializers.IntegerField()
    successful = serializers.IntegerField()
    failed = serializers.IntegerField()


class EmailAccountResultsSerializer(Serializer):
    """The outcome of each row, in their order. `success`: all of them."""

    success = serializers.BooleanField()
    results = EmailAccountResultSerializer(many=True)
    summary = EmailAccountSummarySerializer()


def credentials_of(credential: Credential) -> dict[str, Any]:
    """A credential in the shape `EmailCredentials`."""
    login: LoginSettings = mail_provider_of(credential.mailbox).login_settings()
    email, password = credential.mailbox.address, credential.password

    def at(host: str, port: int) -> dict[str, Any]:
        # STARTTLS or TLS from the start: both ports know nothing else.
        return {
            "host": host,
            "port": port,
            "username": email,
            "password": password,
            "use_tls": True,
        }

    has_imap = login.imap_host is not None and login.imap_port is not None
    return {
        "email": email,
        "password": password,
        "smtp": at(login.smtp_host, login.smtp_port),
        "imap": at(login.imap_host or "", login.imap_port or 0) if has_imap else None,
    }
