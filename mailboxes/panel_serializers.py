"""Serializers of mailboxes, aliases and mail domains as the panel shows them (sources 2 and 5)."""

from datetime import datetime
from typing import Any

from django.db.models import F
from django.db.models.expressions import OrderBy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mailboxes.imports import MOST_ROWS
from mailboxes.models import Alias, Mailbox
from mailboxes.naming import MAX_LOCAL_PART, MAX_NAME, local_part_error, name_error
from mailboxes.serializers import SHOWN_STATUSES
from mailboxes.services import ACTIONS, MOST_AT_ONCE, QUOTAS_MB
from mailservers.models import MailDomain
from mpanel.core.api.serializers import (
    CamelPageQuerySerializer,
    CamelSerializer,
    Email,
    ErrorDetailSerializer,
    Id,
    Text,
    Whole,
)

ORDERS = {"email": "address", "createdAt": "id", "storedBytes": "stored_bytes"}


def order_by(order: str) -> tuple[OrderBy, OrderBy]:
    """What the panel calls an order, as columns; what nobody knows comes last."""
    column = ORDERS[order.removeprefix("-")]
    # An index is of use only where nothing is said of nulls.
    nulls_last = True if column == "stored_bytes" else None
    if order.startswith("-"):
        return F(column).desc(nulls_last=nulls_last), F("id").desc()
    return F(column).asc(nulls_last=nulls_last), F("id").asc()


class MailboxName(Text):
    """A person's name, or a part of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_NAME, allow_blank=True, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if problem := name_error(name):
            raise serializers.ValidationError(problem)
        return name


class MailboxPassword(Text):
    """12 to 72 printable ASCII characters."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "help_text", "12 to 72 printable ASCII characters; without it, one is made."
        )
        super().__init__(
            max_length=200, default="", allow_blank=True, trim_whitespace=False, **kwargs
        )


class MailboxQuota(Whole):
    """Megabytes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=QUOTAS_MB[0], max_value=QUOTAS_MB[-1], **kwargs)


# --- Coming in -------------------------------------------------------------------------------


class PanelMailboxQuerySerializer(CamelPageQuerySerializer):
    """Which mailboxes."""

    domain_id = serializers.UUIDField(required=False, default=None)
    customer_id = serializers.UUIDField(
        required=False, default=None, help_text="Your own customer; another's has none here."
    )
    status = serializers.ChoiceField(
        choices=list(SHOWN_STATUSES), required=False, default="", allow_blank=True
    )
    search = Text(max_length=254, required=False, default="", allow_blank=True)
    order = serializers.ChoiceField(
        choices=[sign + name for name in ORDERS for sign in ("", "-")], default="email"
    )


class NewPanelMailboxSerializer(CamelSerializer):
    """A mailbox: by its whole `email`, or by `domainId` and `localPart`."""

    email = Email(required=False)
    domain_id = Id(required=False)
    local_part = Text(max_length=MAX_LOCAL_PART, required=False)
    first_name = MailboxName(default="")
    last_name = MailboxName(default="")
    password = MailboxPassword()
    quota_mb = MailboxQuota(default=1024)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        by_email, by_parts = "email" in given, {"domain_id", "local_part"} <= set(given)
        if by_email == by_parts or (by_email and {"domain_id", "local_part"} & set(given)):
            raise serializers.ValidationError(
                {"email": ["Give either an email, or a domainId and a localPart."]}
            )
        name = "email" if by_email else "localPart"
        local_part = given["email"].rpartition("@")[0] if by_email else given["local_part"]
        if problem := local_part_error(local_part.lower()):
            raise serializers.ValidationError({name: [problem]})
        return given


class NewDomainMailboxSerializer(CamelSerializer):
    """A mailbox on a domain."""

    domain_id = Id()
    local_part = Text(max_length=MAX_LOCAL_PART)
    first_name = MailboxName(default="")
    last_name = MailboxName(default="")
    password = MailboxPassword()
    quota_mb = MailboxQuota(default=1024)

    def validate_localPart(self, given: str) -> str:  # noqa: N802  (the field's spoken name)
        if problem := local_part_error(given.lower()):
            raise serializers.ValidationError(problem)
        return given


class NewMailboxPasswordSerializer(CamelSerializer):
    """A new password."""

    password = MailboxPassword()


class NewMailboxQuotaSerializer(CamelSerializer):
    """A new quota."""

    quota_mb = MailboxQuota()


class PanelMailboxChangeSerializer(CamelSerializer):
    """What is to change; what is left out stays."""

    first_name = MailboxName(required=False)
    last_name = MailboxName(required=False)
    password = Text(
        max_length=200,
        required=False,
        trim_whitespace=False,
        help_text="12 to 72 printable ASCII characters. A key needs mailboxes:reveal for it.",
    )
    quota_mb = MailboxQuota(required=False)
    status = serializers.ChoiceField(choices=[Mailbox.ACTIVE, Mailbox.SUSPENDED], required=False)


class MailboxBulkSerializer(CamelSerializer):
    """What is done to which mailboxes."""

    action = serializers.ChoiceField(choices=list(ACTIONS))
    ids = serializers.ListField(child=Id(), min_length=1, max_length=MOST_AT_ONCE)
    quota_mb = MailboxQuota(required=False, help_text="For set-quota.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("quota_mb" in given) != (given["action"] == "set-quota"):
            raise serializers.ValidationError({"quotaMb": ["Give this for set-quota, only."]})
        return given


class MailboxRowSerializer(CamelSerializer):
    """One row of a list. What is wrong with its values is said in its own outcome."""

    email = Text(max_length=1000, allow_blank=True)
    first_name = Text(max_length=1000, default="", allow_blank=True)
    last_name = Text(max_length=1000, default="", allow_blank=True)
    password = Text(max_length=1000, default="", allow_blank=True, trim_whitespace=False)
    quota_mb = Whole(required=False, min_value=-(2**53), max_value=2**53)


class MailboxImportSerializer(CamelSerializer):
    """Either rows, or the text of a CSV file with a header."""

    rows = serializers.ListField(
        child=MailboxRowSerializer(), required=False, min_length=1, max_length=MOST_ROWS
    )
    csv = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=1_000_000,
        help_text="Columns: email, first_name, last_name, password, quota_mb.",
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("rows" in given) == ("csv" in given):
            raise serializers.ValidationError({"rows": ["Give either rows or csv."]})
        return given


class EmailDomainQuerySerializer(CamelPageQuerySerializer):
    """Which domains."""

    domain_id = serializers.UUIDField(required=False, default=None)
    customer_id = serializers.UUIDField(
        required=False, default=None, help_text="Your own customer; another's has none here."
    )
    search = Text(max_length=254, required=False, default="", allow_blank=True)


class NewEmailDomainSerializer(CamelSerializer):
    """How a domain's mail is to be handled."""

    domain_id = Id()
    plan_product_id = Text(
        max_length=64,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="The product that pays for it. Not used: mailboxes count against your plan.",
    )
    provider = Text(max_length=32, default="mailserver", help_text="Whose servers.")
    credential_id = Id(
        required=False, allow_null=True, default=None, help_text="Your account at the provider."
    )
    region = Text(
        max_length=32,
        default="",
        allow_blank=True,
        help_text="One of GET /api/email/regions; without it, the first.",
    )


class AliasQuerySerializer(CamelPageQuerySerializer):
    """Which aliases."""

    domain_id = serializers.UUIDField(required=False, default=None)
    mailbox_id = serializers.UUIDField(required=False, default=None)
    search = Text(max_length=254, required=False, default="", allow_blank=True)


class NewAliasSerializer(CamelSerializer):
    """A further address of a mailbox, on its domain."""

    mailbox_id = Id()
    local_part = Text(
        max_length=MAX_LOCAL_PART,
        allow_blank=True,
        help_text="The part before the @; `*` or nothing for all addresses that nobody has.",
    )

    def validate_localPart(self, given: str) -> str:  # noqa: N802  (the field's spoken name)
        if given not in {"", "*"} and (problem := local_part_error(given.lower())):
            raise serializers.ValidationError(problem)
        return given


# --- Going out -------------------------------------------------------------------------------


class MailTroubleSerializer(CamelSerializer):
    """What is wrong, and what a person can do."""

    code = serializers.CharField()
    message = serializers.CharField()


def _trouble(row: Mailbox | MailDomain) -> dict[str, str] | None:
    if not row.error_message:
        return None
    return {"code": row.error_code or "FAILED", "message": row.error_message}


class PanelMailboxSerializer(CamelSerializer):
    """A mailbox. `passwordPending`: its provider was not told the newest password yet."""

    id = serializers.UUIDField()
    tenant_id = serializers.UUIDField()
    domain_id = serializers.UUIDField()
    domain = serializers.CharField(source="domain.name")
    email = serializers.EmailField(source="address")
    local_part = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    provider = serializers.CharField()
    status = serializers.ChoiceField(choices=list(SHOWN_STATUSES))
    quota_mb = serializers.IntegerField()
    stored_bytes = serializers.IntegerField(
        allow_null=True, help_text="What it holds, as its quota counts it; null until measured."
    )
    storage_measured_at = serializers.SerializerMethodField(help_text="When that was; or null.")
    password_pending = serializers.BooleanField()
    health_score = serializers.IntegerField(allow_null=True, help_text="null until measured.")
    sending_paused = serializers.SerializerMethodField(help_text="Why sending stopped, or null.")
    error = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_storage_measured_at(self, row: Mailbox) -> datetime | None:
        return row.storage_at if row.stored_bytes is not None else None

    def get_sending_paused(self, row: Mailbox) -> str | None:
        return row.paused_reason if row.paused_at else None

    @extend_schema_field(MailTroubleSerializer(allow_null=True))
    def get_error(self, row: Mailbox) -> dict[str, str] | None:
        return _trouble(row)


class PanelMailboxMadeSerializer(PanelMailboxSerializer):
    """A mailbox that was made; its password is answered this one time."""

    generated_password = serializers.CharField()
    job_id = serializers.UUIDField(help_text="The job that sets it up and proves its login.")


class PanelMailboxPasswordSerializer(PanelMailboxSerializer):
    """A mailbox with its new password, which is answered this one time."""

    generated_password = serializers.CharField()


class MailboxOutcomeSerializer(CamelSerializer):
    """What came of one mailbox of a bulk action."""

    id = serializers.UUIDField()
    success = serializers.BooleanField()
    mailbox = PanelMailboxSerializer(required=False)
    generated_password = serializers.CharField(required=False, help_text="For reset-password.")
    error = ErrorDetailSerializer(required=False)


class MailboxRowOutcomeSerializer(CamelSerializer):
    """What came of one row; `row` counts from 1, without a header."""

    row = serializers.IntegerField()
    email = serializers.CharField()
    success = serializers.BooleanField()
    mailbox = PanelMailboxSerializer(required=False)
    generated_password = serializers.CharField(required=False)
    error = ErrorDetailSerializer(required=False)


class MailboxTallySerializer(CamelSerializer):
    """How many came to what."""

    total = serializers.IntegerField()
    successful = serializers.IntegerField()
    failed = serializers.IntegerField()


class MailboxOutcomesSerializer(CamelSerializer):
    """The outcome of each mailbox, in the order asked."""

    success = serializers.BooleanField(help_text="Whether all of them succeeded.")
    results = MailboxOutcomeSerializer(many=True)
    summary = MailboxTallySerializer()


class MailboxRowOutcomesSerializer(CamelSerializer):
    """The outcome of each row, in order."""

    success = serializers.BooleanField(help_text="Whether all of them succeeded.")
    results = MailboxRowOutcomeSerializer(many=True)
    summary = MailboxTallySerializer()


class EmailDomainSerializer(CamelSerializer):
    """How a domain's mail is handled. Region and host are null where a vendor holds it."""

    id = serializers.UUIDField()
    domain_id = serializers.UUIDField()
    domain = serializers.CharField(source="domain.name")
    provider = serializers.CharField()
    region = serializers.SerializerMethodField()
    region_label = serializers.SerializerMethodField()
    host = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=list(MailDomain.STATUSES))
    mailboxes = serializers.IntegerField(help_text="How many are on it.")
    health_score = serializers.IntegerField(allow_null=True, help_text="null until measured.")
    error = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_region(self, row: MailDomain) -> str | None:
        return row.server.region if row.server else None

    def get_region_label(self, row: MailDomain) -> str | None:
        return row.server.region_label if row.server else None

    def get_host(self, row: MailDomain) -> str | None:
        return row.server.host if row.server else None

    @extend_schema_field(MailTroubleSerializer(allow_null=True))
    def get_error(self, row: MailDomain) -> dict[str, str] | None:
        return _trouble(row)


class MailRegionSerializer(CamelSerializer):
    """Where new domains' mail can be placed."""

    region = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    provider = serializers.CharField()


class PanelAliasSerializer(CamelSerializer):
    """A further address of a mailbox."""

    id = serializers.UUIDField()
    address = serializers.CharField()
    local_part = serializers.CharField(help_text="Empty for a catch-all.")
    is_catch_all = serializers.BooleanField()
    domain_id = serializers.UUIDField()
    domain = serializers.CharField(source="domain.name")
    mailbox_id = serializers.UUIDField()
    mailbox = serializers.SerializerMethodField(help_text="Where its mail arrives.")
    created_at = serializers.DateTimeField()

    def get_mailbox(self, row: Alias) -> str:
        return row.mailbox.address
