"""The accounts that the host includes: its own accounts at providers, which every tenant may use.

They stand in the settings alone. A tenant's `ProviderCredential` row only names one
(docs/decisions/0018), so a changed setting holds for every tenant from the next call on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from mpanel.core.errors import ProviderError

Values = dict[str, str]


class AccountNotIncluded(ProviderError):
    """The host no longer includes this account. Use a credential of your own, or ask the host."""

    def __init__(self) -> None:
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__("ACCOUNT_NOT_INCLUDED", message, retryable=False)


@dataclass(frozen=True)
class IncludedAccount:
    """A provider's account of the host. `read`: its values now; None where the host has none."""

    port: str
    provider: str
    label: str
    read: Callable[[], Values | None]


def _cloudflare() -> Values | None:
    if not settings.HOUSE_CLOUDFLARE_TOKEN:
        return None
    return {
        "api_token": settings.HOUSE_CLOUDFLARE_TOKEN,
        "account_id": settings.HOUSE_CLOUDFLARE_ACCOUNT,
    }


def _powerdns() -> Values | None:
    if not (settings.HOUSE_POWERDNS_KEY and settings.POWERDNS_BASE_URL):
        return None
    return {
        "api_key": settings.HOUSE_POWERDNS_KEY,
        "nameservers": settings.HOUSE_POWERDNS_NAMESERVERS,
    }


def _namecheap() -> Values | None:
    if not settings.HOUSE_NAMECHEAP_USER:
        return None
    return {
        "api_user": settings.HOUSE_NAMECHEAP_USER,
        "api_key": settings.HOUSE_NAMECHEAP_KEY,
        "client_ip": settings.HOUSE_NAMECHEAP_ADDRESS,
    }


def _google() -> Values | None:
    if not settings.HOUSE_GOOGLE_KEY_FILE:
        return None
    try:
        key = Path(settings.HOUSE_GOOGLE_KEY_FILE).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return {"service_account_json": key, "admin_email": settings.HOUSE_GOOGLE_ADMIN}


def _smartlead() -> Values | None:
    key = settings.HOUSE_SMARTLEAD_KEY
    return {"api_key": key} if key else None


def _instantly() -> Values | None:
    key = settings.HOUSE_INSTANTLY_KEY
    return {"api_key": key} if key else None


ACCOUNTS: dict[tuple[str, str], IncludedAccount] = {
    (account.port, account.provider): account
    for account in (
        IncludedAccount("dns", "cloudflare", "Included DNS", _cloudflare),
        IncludedAccount("dns", "powerdns", "Included PowerDNS", _powerdns),
        IncludedAccount("registrar", "namecheap", "Included registrar", _namecheap),
        IncludedAccount("mail", "google-workspace", "Included Google Workspace", _google),
        IncludedAccount("outreach", "smartlead", "Included Smartlead", _smartlead),
        IncludedAccount("outreach", "instantly", "Included Instantly", _instantly),
    )
}


def values_of(port: str, provider: str) -> Values:
    """What the settings say of an included account now. Raises `AccountNotIncluded`."""
    account = ACCOUNTS.get((port, provider))
    values = account.read() if account else None
    if values is None:
        raise AccountNotIncluded
    return values


def included() -> list[IncludedAccount]:
    """The accounts that the host includes now."""
    return [account for account in ACCOUNTS.values() if account.read() is not None]


def is_included(port: str, provider: str) -> bool:
    """Whether the host includes this account now."""
    account = ACCOUNTS.get((port, provider))
    return account is not None and account.read() is not None


def is_reserved(label: str) -> bool:
    """Whether a label names an included account, so that no customer may give it."""
    wanted = " ".join(label.split()).casefold()
    return any(account.label.casefold() == wanted for account in ACCOUNTS.values())
