"""Smartlead over its API v1: https://api.smartlead.ai/.

The key stands in every address, so it is added below httpx's client (`JsonApi`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from mpanel.core.errors import ProviderError
from mpanel.core.registry import CredentialField, provider
from outreach.providers.base import (
    LOGIN_REFUSED,
    NO_CAMPAIGN,
    SENDER_GONE,
    Campaign,
    JsonApi,
    OutreachProvider,
    RemoteSender,
    SenderLogin,
    WarmupDayCount,
    WarmupSettings,
    day_of,
    percent,
    whole,
)

PAGE = 100
MOST_PAGES = 500
REPLY_RATE = 30  # percent of warm-up mail that is answered, as the vendor's guide advises
REFUSED = (
    LOGIN_REFUSED,
    "Smartlead could not log in to this mailbox. Check that it works, then try again.",
)
GONE = (SENDER_GONE, "The mailbox is no longer at Smartlead. Connect it again.")
NOT_THERE = (NO_CAMPAIGN, "There is no such campaign at Smartlead.")
STATUSES = {
    "DRAFTED": "draft",
    "ACTIVE": "active",
    "PAUSED": "paused",
    "STOPPED": "stopped",
    "COMPLETED": "completed",
}


@provider("outreach")
class Smartlead(OutreachProvider):
    """One Smartlead account. `save_timeout`: seconds for handing a mailbox over."""

    key: ClassVar[str] = "smartlead"
    label: ClassVar[str] = "Smartlead"
    error_code: ClassVar[str] = "SMARTLEAD_API_ERROR"
    # 60 requests a minute per key on the smallest plan (seen 2026-11).
    interval: ClassVar[float] = 1.0
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            "api_key", "API key", secret=True, help="In Smartlead under Settings, API Key."
        ),
    )
    # The sample file behind Email Accounts, Add Account(s), Bulk upload SMTP (seen 2026-11).
    import_columns: ClassVar[tuple[str, ...]] = (
        "from_name",
        "from_email",
        "user_name",
        "password",
        "smtp_host",
        "smtp_port",
        "imap_host",
        "imap_port",
        "max_email_per_day",
        "custom_tracking_url",
        "warmup_enabled",
        "total_warmup_per_day",
        "daily_rampup",
        "reply_rate_percentage",
        "bcc",
        "signature",
        "different_reply_to_address",
        "imap_user_name",
        "imap_password",
    )

    def __init__(
        self,
        credentials: Mapping[str, str],
        *,
        base_url: str,
        timeout: float,
        save_timeout: float = 60.0,
    ) -> None:
        self._api = JsonApi(
            self.label,
            self.error_code,
            base_url,
            timeout=timeout,
            params={"api_key": credentials["api_key"]},
        )
        self._save_timeout = save_timeout

    def check_connection(self) -> str:
        number = len(self.campaigns())
        return f"Connected to Smartlead, with {number} campaign{'' if number == 1 else 's'}."

    def find_senders(self, emails: Collection[str]) -> dict[str, RemoteSender]:
        missing, found = set(emails), dict[str, RemoteSender]()
        for page in range(MOST_PAGES):
            if not missing:
                break
            query = {"offset": page * PAGE, "limit": PAGE}
            rows = self._rows(self._api.call("GET", "/email-accounts/", query=query))
            for row in rows:
                sender = _sender(row)
                if sender.email in missing:
                    missing.discard(sender.email)
                    found[sender.email] = sender
            if len(rows) < PAGE:
                break
        return found

    def save_sender(
        self, login: SenderLogin, warmup: WarmupSettings, *, known: RemoteSender | None = None
    ) -> RemoteSender:
        body = {
            "from_name": login.name,
            "from_email": login.email,
            "user_name": login.email,
            "password": login.password,
            "smtp_host": login.settings.smtp_host,
            "smtp_port": login.settings.smtp_port,
            "imap_host": login.settings.imap_host,
            "imap_port": login.settings.imap_port,
            "max_email_per_day": warmup.max_email_per_day,
            "warmup_enabled": warmup.enabled,
            "total_warmup_per_day": warmup.total_per_day,
            "daily_rampup": warmup.daily_rampup,
            "reply_rate_percentage": REPLY_RATE,
            "type": "SMTP",
            **({"id": int(known.id)} if known else {}),
        }
        # A login that fails is answered 406, or 200 with a flag that says so (both seen 2026).
        answer = self._api.call(
            "POST",
            "/email-accounts/save",
            body=body,
            timeout=self._save_timeout,
            refusals={406: REFUSED},
        )
        if not isinstance(answer, dict):
            raise self._api.unreadable(is_write=True)
        inner = answer.get("data")
        row: dict[str, Any] = inner if isinstance(inner, dict) else answer
        # Older answers have the id elsewhere, under another name.
        number = row.get("id") or answer.get("id") or answer.get("emailAccountId")
        if row.get("is_smtp_success") is False or row.get("is_imap_success") is False:
            raise ProviderError(*REFUSED, retryable=False)
        if not number:
            raise self._api.unreadable(is_write=True)
        return _sender({"from_email": login.email, **row, "id": number})

    def set_warmup(self, sender_id: str, warmup: WarmupSettings) -> None:
        self._api.call(
            "POST",
            f"/email-accounts/{int(sender_id)}/warmup",
            body={
                "warmup_enabled": warmup.enabled,
                "total_warmup_per_day": warmup.total_per_day,
                "daily_rampup": warmup.daily_rampup,
                "reply_rate_percentage": REPLY_RATE,
            },
            refusals={404: GONE},
        )

    def stop_sender(self, sender_id: str) -> None:
        # An account without campaigns and without warm-up sends nothing; deleting it would delete
        # its history.
        try:
            self._api.call(
                "POST",
                f"/email-accounts/{int(sender_id)}/warmup",
                body={"warmup_enabled": False},
                refusals={404: GONE},
            )
        except ProviderError as error:
            if error.error_code != SENDER_GONE:
                raise

    def campaigns(self) -> list[Campaign]:
        rows = self._rows(self._api.call("GET", "/campaigns"))
        return [
            Campaign(
                str(row.get("id")),
                str(row.get("name") or "Untitled")[:200],
                STATUSES.get(str(row.get("status")), "other"),
            )
            for row in rows
        ]

    def assigned_senders(self, campaign_id: str) -> frozenset[str]:
        path = _seats_path(campaign_id)
        rows = self._rows(self._api.call("GET", path, refusals={404: NOT_THERE}))
        return frozenset(str(row.get("id")) for row in rows)

    def assign_to_campaign(self, campaign_id: str, sender_ids: Collection[str]) -> None:
        self._seat("POST", campaign_id, sender_ids)

    def remove_from_campaign(self, campaign_id: str, sender_ids: Collection[str]) -> None:
        try:
            self._seat("DELETE", campaign_id, sender_ids)
        except ProviderError as error:
            if error.error_code != NO_CAMPAIGN:
                raise

    def warmup_days(self, sender_ids: Sequence[str]) -> dict[str, list[WarmupDayCount]]:
        (sender_id,) = sender_ids
        path = f"/email-accounts/{int(sender_id)}/warmup-stats"
        try:
            answer = self._api.call("GET", path, refusals={404: GONE})
        except ProviderError as error:
            if error.error_code == SENDER_GONE:
                return {}
            raise
        if not isinstance(answer, dict):
            raise self._api.unreadable()
        # Counts come as texts. What was delivered or bounced on a day is not told.
        days = [
            WarmupDayCount(
                date=day,
                sent=whole(row.get("sent_count")),
                replied=whole(row.get("reply_count")),
                saved_from_spam=whole(row.get("save_from_spam_count")),
            )
            for row in self._rows(answer.get("stats_by_date") or [])
            if (day := day_of(row.get("date")))
        ]
        return {sender_id: sorted(days, key=lambda day: day.date)}

    @classmethod
    def import_row(cls, login: SenderLogin, warmup: WarmupSettings) -> tuple[str, ...]:
        cells = {
            "from_name": login.name,
            "from_email": login.email,
            "user_name": login.email,
            "password": login.password,
            "smtp_host": login.settings.smtp_host,
            "smtp_port": str(login.settings.smtp_port),
            "imap_host": login.settings.imap_host or "",
            "imap_port": str(login.settings.imap_port or ""),
            "max_email_per_day": str(warmup.max_email_per_day),
            "warmup_enabled": "TRUE" if warmup.enabled else "FALSE",
            "total_warmup_per_day": str(warmup.total_per_day),
            "daily_rampup": str(warmup.daily_rampup),
            "reply_rate_percentage": str(REPLY_RATE),
            "imap_user_name": login.email,
            "imap_password": login.password,
        }
        return tuple(cells.get(name, "") for name in cls.import_columns)

    def _seat(self, method: str, campaign_id: str, sender_ids: Collection[str]) -> None:
        # Leaving is a DELETE with a body.
        self._api.call(
            method,
            _seats_path(campaign_id),
            body={"email_account_ids": sorted(int(one) for one in sender_ids)},
            refusals={404: NOT_THERE},
        )

    def _rows(self, answer: Any) -> list[dict[str, Any]]:
        """A list of objects, bare or under `data`."""
        rows = answer.get("data") if isinstance(answer, dict) else answer
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._api.unreadable()
        return rows


def _seats_path(campaign_id: str) -> str:
    if not campaign_id.isascii() or not campaign_id.isdigit():
        raise ProviderError(*NOT_THERE, retryable=False)
    return f"/campaigns/{campaign_id}/email-accounts"


def _sender(row: Mapping[str, Any]) -> RemoteSender:
    details = row.get("warmup_details")
    warmup: Mapping[str, Any] = details if isinstance(details, Mapping) else {}
    daily = row.get("message_per_day", row.get("max_email_per_day"))
    is_warming = warmup.get("status") == "ACTIVE"
    return RemoteSender(
        id=str(row.get("id")),
        email=str(row.get("from_email") or "").lower(),
        logs_in=row.get("is_smtp_success") is not False and row.get("is_imap_success") is not False,
        is_active=is_warming,
        warmup_enabled=is_warming,
        max_email_per_day=None if daily is None else whole(daily),
        reputation=percent(warmup.get("warmup_reputation")),
    )
