"""Instantly over its API v2: https://developer.instantly.ai/.

An account is named by its e-mail address; warm-up is switched by background jobs of the vendor's,
so what was asked for is seen a little later.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

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
CUSTOM = 1  # provider_code of an account that is reached over IMAP and SMTP
PAUSED = 2  # status; below zero: errors, -1 that of logging in
STEEPEST = 4  # the vendor's largest increment of warm-up a day (seen 2026-11)
REFUSED = (
    LOGIN_REFUSED,
    "Instantly could not log in to this mailbox. Check that it works, then try again.",
)
GONE = (SENDER_GONE, "The mailbox is no longer at Instantly. Connect it again.")
NOT_THERE = (NO_CAMPAIGN, "There is no such campaign at Instantly.")
STATUSES = {0: "draft", 1: "active", 2: "paused", 3: "completed", 4: "active"}


@provider("outreach")
class Instantly(OutreachProvider):
    """One Instantly workspace. `save_timeout`: seconds for handing a mailbox over."""

    key: ClassVar[str] = "instantly"
    label: ClassVar[str] = "Instantly"
    error_code: ClassVar[str] = "INSTANTLY_API_ERROR"
    # 6,000 requests a minute per workspace (seen 2026-11); we are not its only caller.
    interval: ClassVar[float] = 0.05
    days_at_once: ClassVar[int] = 100
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            "api_key",
            "API key",
            secret=True,
            help="A v2 key with the scopes accounts:all and campaigns:all, in Instantly under "
            "Settings, Integrations.",
        ),
    )
    # The sample file behind Add New, Any Provider, Bulk import (seen 2026-11).
    import_columns: ClassVar[tuple[str, ...]] = (
        "Email",
        "First Name",
        "Last Name",
        "IMAP Username",
        "IMAP Password",
        "IMAP Host",
        "IMAP Port",
        "SMTP Username",
        "SMTP Password",
        "SMTP Host",
        "SMTP Port",
        "Daily Limit",
        "Warmup Enabled",
        "Warmup Limit",
        "Warmup Increment",
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
            f"{base_url.rstrip('/')}/api/v2",
            timeout=timeout,
            headers={"Authorization": f"Bearer {credentials['api_key']}"},
        )
        self._save_timeout = save_timeout

    def check_connection(self) -> str:
        number = len(self.campaigns())
        return f"Connected to Instantly, with {number} campaign{'' if number == 1 else 's'}."

    def find_senders(self, emails: Collection[str]) -> dict[str, RemoteSender]:
        missing, found = set(emails), dict[str, RemoteSender]()
        for row in self._items("/accounts"):
            sender = _sender(row)
            if sender.email in missing:
                missing.discard(sender.email)
                found[sender.email] = sender
            if not missing:
                break
        return found

    def save_sender(
        self, login: SenderLogin, warmup: WarmupSettings, *, known: RemoteSender | None = None
    ) -> RemoteSender:
        if known and known.logs_in:
            # It works there: a password of an account cannot be changed over the API.
            if not known.is_active:
                self._api.call("POST", f"{_account(known.id)}/resume", body={})
            return known
        if known:
            self._delete(known.id)
        answer = self._api.call(
            "POST",
            "/accounts",
            timeout=self._save_timeout,
            body={
                "email": login.email,
                "first_name": login.first_name or login.name,
                "last_name": login.last_name,
                "provider_code": CUSTOM,
                "imap_username": login.email,
                "imap_password": login.password,
                "imap_host": login.settings.imap_host,
                "imap_port": login.settings.imap_port,
                "smtp_username": login.email,
                "smtp_password": login.password,
                "smtp_host": login.settings.smtp_host,
                "smtp_port": login.settings.smtp_port,
            },
        )
        if not isinstance(answer, dict) or not answer.get("email"):
            raise self._api.unreadable(is_write=True)
        sender = _sender(answer)
        if not sender.logs_in:
            self._delete(sender.id)
            raise ProviderError(*REFUSED, retryable=False)
        return sender

    def set_warmup(self, sender_id: str, warmup: WarmupSettings) -> None:
        steps = str(min(STEEPEST, warmup.daily_rampup)) if warmup.daily_rampup else "disabled"
        self._api.call(
            "PATCH",
            _account(sender_id),
            body={
                "daily_limit": warmup.max_email_per_day,
                "warmup": {"limit": warmup.total_per_day, "increment": steps},
            },
            refusals={404: GONE},
        )
        verb = "enable" if warmup.enabled else "disable"
        self._api.call("POST", f"/accounts/warmup/{verb}", body={"emails": [sender_id]})

    def stop_sender(self, sender_id: str) -> None:
        try:
            self._api.call("POST", f"{_account(sender_id)}/pause", body={}, refusals={404: GONE})
        except ProviderError as error:
            if error.error_code != SENDER_GONE:
                raise
        else:
            self._api.call("POST", "/accounts/warmup/disable", body={"emails": [sender_id]})

    def campaigns(self) -> list[Campaign]:
        return [
            Campaign(
                str(row.get("id")),
                str(row.get("name") or "Untitled")[:200],
                STATUSES.get(row.get("status", -1), "other"),
            )
            for row in self._items("/campaigns")
        ]

    def assigned_senders(self, campaign_id: str) -> frozenset[str]:
        answer = self._api.call("GET", _campaign(campaign_id), refusals={404: NOT_THERE})
        if not isinstance(answer, dict):
            raise self._api.unreadable()
        return frozenset(str(email).lower() for email in answer.get("email_list") or [])

    def assign_to_campaign(self, campaign_id: str, sender_ids: Collection[str]) -> None:
        # A campaign's senders can only be replaced as a whole. A change that somebody makes in
        # Instantly between our two calls is lost; jobs of one key never run at once.
        before = self.assigned_senders(campaign_id)
        if not before >= set(sender_ids):
            self._seat(campaign_id, before | set(sender_ids))

    def remove_from_campaign(self, campaign_id: str, sender_ids: Collection[str]) -> None:
        try:
            before = self.assigned_senders(campaign_id)
            if before & set(sender_ids):
                self._seat(campaign_id, before - set(sender_ids))
        except ProviderError as error:
            if error.error_code != NO_CAMPAIGN:
                raise

    def warmup_days(self, sender_ids: Sequence[str]) -> dict[str, list[WarmupDayCount]]:
        # A POST that changes nothing.
        answer = self._api.call(
            "POST", "/accounts/warmup-analytics", body={"emails": list(sender_ids)}
        )
        by_email = answer.get("email_date_data") if isinstance(answer, dict) else None
        if not isinstance(by_email, dict):
            raise self._api.unreadable()
        found = {
            str(email).lower(): _days(rows)
            for email, rows in by_email.items()
            if isinstance(rows, dict)
        }
        return {one: found[one] for one in sender_ids if one in found}

    @classmethod
    def import_row(cls, login: SenderLogin, warmup: WarmupSettings) -> tuple[str, ...]:
        imap = (login.settings.imap_host or "", str(login.settings.imap_port or ""))
        smtp = (login.settings.smtp_host, str(login.settings.smtp_port))
        return (
            login.email,
            login.first_name or login.name,
            login.last_name,
            *(login.email, login.password, *imap),
            *(login.email, login.password, *smtp),
            str(warmup.max_email_per_day),
            "TRUE" if warmup.enabled else "FALSE",
            str(warmup.total_per_day),
            str(min(STEEPEST, warmup.daily_rampup)),
        )

    def _delete(self, sender_id: str) -> None:
        try:
            self._api.call("DELETE", _account(sender_id), refusals={404: GONE})
        except ProviderError as error:
            if error.error_code != SENDER_GONE:
                raise

    def _seat(self, campaign_id: str, emails: Collection[str]) -> None:
        body = {"email_list": sorted(emails)}
        self._api.call("PATCH", _campaign(campaign_id), body=body, refusals={404: NOT_THERE})

    def _items(self, path: str) -> Iterator[dict[str, Any]]:
        """The items of a list, page after page."""
        query: dict[str, str | int] = {"limit": PAGE}
        for _ in range(MOST_PAGES):
            answer = self._api.call("GET", path, query=query)
            found = answer.get("items") if isinstance(answer, dict) else None
            if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
                raise self._api.unreadable()
            yield from found
            after = answer.get("next_starting_after")
            if not after or not found:
                break
            query["starting_after"] = str(after)


def _account(email: str) -> str:
    return f"/accounts/{quote(email, safe='')}"


def _campaign(campaign_id: str) -> str:
    return f"/campaigns/{quote(campaign_id, safe='')}"


def _sender(row: Mapping[str, Any]) -> RemoteSender:
    status = row.get("status")
    email = str(row.get("email") or "").lower()
    daily = row.get("daily_limit")
    return RemoteSender(
        id=email,
        email=email,
        logs_in=status != -1,
        is_active=status != PAUSED,
        warmup_enabled=row.get("warmup_status") == 1,
        max_email_per_day=None if daily is None else whole(daily),
        reputation=percent(row.get("stat_warmup_score")),
    )


def _days(rows: Mapping[str, Any]) -> list[WarmupDayCount]:
    days = [
        WarmupDayCount(
            date=day,
            sent=whole(row.get("sent")),
            delivered=None if row.get("landed_inbox") is None else whole(row["landed_inbox"]),
        )
        for text, row in rows.items()
        if isinstance(row, Mapping) and (day := day_of(text))
    ]
    return sorted(days, key=lambda day: day.date)[-7:]
