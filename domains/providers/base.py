"""The registrar port: what mPanel asks of whoever sells domains."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from mpanel.core.money import Money
from mpanel.core.registry import CredentialField


@dataclass(frozen=True)
class Contact:
    """Who a domain is registered for: personal data, so nothing here prints it.

    `country`: two capitals (ISO 3166). `phone`: `+<country>.<number>`, digits only.
    """

    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    email: str = field(repr=False)
    phone: str = field(repr=False)
    address1: str = field(repr=False)
    city: str = field(repr=False)
    postal_code: str = field(repr=False)
    country: str = field(repr=False)
    state: str = field(default="", repr=False)
    address2: str = field(default="", repr=False)
    organization: str = field(default="", repr=False)


@dataclass(frozen=True)
class Offer:
    """Whether a domain can be registered now, and what all the years asked for cost together.

    `price` is None where the registrar names none; then it is not for sale here. A premium name
    has a price of its own, whose parts (`premium_price`, `early_access_fee`) are repeated when it
    is bought.
    """

    name: str
    is_available: bool
    price: Money | None = None
    is_premium: bool = False
    premium_price: Money | None = None
    early_access_fee: Money | None = None


@dataclass(frozen=True)
class Order:
    """What the registrar answered to a purchase; `is_registered` is False while a registry works.

    `ids`: the registrar's own, by its names for them.
    """

    is_registered: bool
    charged: Money | None
    ids: dict[str, str]


@dataclass(frozen=True)
class RegisteredDomain:
    """A domain in the registrar's account. `nameservers` are lower-case and sorted.

    `created_at` and `expires_at` are None where the registrar does not say.
    """

    name: str
    id: str
    nameservers: tuple[str, ...]
    expires_at: datetime | None
    created_at: datetime | None = None


class Registrar(ABC):
    """One account at one registrar. Names are in ASCII (punycode).

    Every method blocks for about `timeout` seconds at most, however many HTTP calls it makes, and
    raises `ProviderError` where the registrar fails: `retryable` tells whether the same call may
    succeed later, `ambiguous` that a write may have taken effect. Nothing is retried here.
    """

    key: ClassVar[str]
    label: ClassVar[str]
    credential_fields: ClassVar[tuple[CredentialField, ...]]

    @abstractmethod
    def __init__(self, credentials: Mapping[str, str], *, base_url: str, timeout: float) -> None:
        """`credentials` by the names of `credential_fields`; `timeout` in seconds per method."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    def check_connection(self) -> str:
        """Prove that the credentials work. Returns a sentence that names the account."""

    @abstractmethod
    def check(self, names: Sequence[str], *, years: int = 1) -> list[Offer]:
        """An offer for each name, in their order. Raises `TLD_UNSUPPORTED` where none is made."""

    @abstractmethod
    def balance(self) -> Money:
        """What the account has to spend."""

    @abstractmethod
    def register(
        self, offer: Offer, *, years: int, contact: Contact, nameservers: Sequence[str]
    ) -> Order:
        """Buy a domain that was offered; without nameservers it is parked. Costs money.

        `DOMAIN_UNAVAILABLE`, `PAYMENT_FAILED`, `PRICE_CHANGED` and `CONTACT_REFUSED` mean that
        nothing was bought.
        """

    @abstractmethod
    def info(self, name: str) -> RegisteredDomain | None:
        """The domain, if this account owns it; None where it does not."""

    @abstractmethod
    def renews_itself(self, name: str) -> bool | None:
        """Whether the registrar renews an owned domain by itself; None where it does not say."""

    @abstractmethod
    def set_nameservers(self, name: str, nameservers: Sequence[str]) -> None:
        """Delegate an owned domain to these nameservers, in place of all others."""
