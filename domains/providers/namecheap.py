"""Namecheap over its XML API: https://www.namecheap.com/support/api/methods/.

Everything is POSTed, so that neither the key nor a registrant's data stands in a URL.
"""

import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar
from xml.etree import ElementTree

import httpx
import idna

from mpanel.core.authorities import certificate_authorities
from mpanel.core.errors import ProviderError
from mpanel.core.money import Money
from mpanel.core.registry import CredentialField, provider

from .base import Contact, Offer, Order, RegisteredDomain, Registrar

Element = ElementTree.Element

NAMESPACE = "{http://api.namecheap.com/xml.response}"
LONGEST_ANSWER = 4_000_000  # bytes
MOST_NAMES = 50  # per check
RATE_WINDOW = 60.0  # seconds; breaches are answered 405 before anything is done (seen 2026-08)
PREMIUM_CURRENCY = "USD"  # premium prices come without a currency (seen 2026-08)
ROLES = ("Registrant", "Tech", "Admin", "AuxBilling")
CONTACT_FIELDS = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "organization": "OrganizationName",
    "address1": "Address1",
    "address2": "Address2",
    "city": "City",
    "state": "StateProvince",
    "postal_code": "PostalCode",
    "country": "Country",
    "phone": "Phone",
    "email": "EmailAddress",
}

UNAVAILABLE = ("DOMAIN_UNAVAILABLE", "This domain is not available.")
NOT_HERE = ("NOT_IN_ACCOUNT", "The domain is not in this Namecheap account.")
CREDENTIALS = ("INVALID_CREDENTIALS", "Namecheap refused the API user or its key.")
BLOCKED = ("ACCOUNT_BLOCKED", "Namecheap has blocked this account or its API access.")
ADDRESS = (
    "ADDRESS_NOT_ALLOWED",
    "Namecheap does not accept calls from our address. Add it there under Whitelisted IPs.",
)
CONTACT = ("CONTACT_REFUSED", "Namecheap refused the contact: {text}")
UNSUPPORTED = ("TLD_UNSUPPORTED", "Namecheap does not sell this ending over its API: {text}")
PRICE = ("PRICE_CHANGED", "The price is not the one that was agreed: {text}")
NO_FUNDS = ("PAYMENT_FAILED", "The Namecheap account has not enough funds. Add funds, then retry.")

# Ours for Namecheap's, where a person must act: code and sentence.
REFUSALS = {
    1010101: CREDENTIALS,
    1010102: CREDENTIALS,
    1011102: CREDENTIALS,
    1011105: ADDRESS,
    1011150: ADDRESS,
    1017101: BLOCKED,
    1017105: BLOCKED,
    1017410: BLOCKED,
    1017411: BLOCKED,
    2005: CONTACT,
    **dict.fromkeys(range(2010323, 2010328), CONTACT),
    2015182: CONTACT,
    2011168: ("NAMESERVERS_REFUSED", "Namecheap refused the nameservers: {text}"),
    2011280: UNSUPPORTED,
    2011322: UNSUPPORTED,
    2030280: UNSUPPORTED,
    2015167: ("YEARS_REFUSED", "Namecheap does not register for so many years."),
    2015610: PRICE,
    2511623: PRICE,
    2515610: PRICE,
    2515623: PRICE,
    2016166: NOT_HERE,
    2019166: NOT_HERE,
    3016166: NOT_HERE,
    2020166: ("DOMAIN_EXPIRED", "The domain has expired. Reactivate it at Namecheap."),
    3019166: UNAVAILABLE,
    4011103: UNAVAILABLE,
    4019166: UNAVAILABLE,
}
ORDER_FAILED = 2528166  # also for insufficient funds, which have no number of their own
UNKNOWN_ERROR = 1050900

# The language of an IDN, which Namecheap wants to know, by what its letters give away.
SCRIPT_LANGUAGES = {
    "ARABIC": "ara",
    "CJK": "chi",
    "CYRILLIC": "rus",
    "DEVANAGARI": "hin",
    "GREEK": "gre",
    "HANGUL": "kor",
    "HEBREW": "heb",
    "HIRAGANA": "jpn",
    "KATAKANA": "jpn",
    "THAI": "tha",
}
LATIN_LANGUAGES = {"ñ": "spa", "ã": "por", "õ": "por", "å": "swe", "ø": "dan", "æ": "dan"} | {
    **dict.fromkeys("àâçèéêëîïôùûœ", "fre"),
    **dict.fromkeys("ąćęłńśźż", "pol"),
    **dict.fromkeys("ğış", "tur"),
    **dict.fromkeys("čďěňřšťůž", "cze"),
}


@provider("registrar")
class Namecheap(Registrar):
    """One Namecheap account, paid from its own balance."""

    key: ClassVar[str] = "namecheap"
    label: ClassVar[str] = "Namecheap"
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            "api_user", "API user", help="In Namecheap under Profile, Tools, API Access."
        ),
        CredentialField("api_key", "API key", secret=True),
        CredentialField(
            "username",
            "Username",
            required=False,
            help="Whose account it is, where that is not the API user.",
        ),
        CredentialField(
            "client_ip",
            "Our address",
            help="The IPv4 address that this server calls from; whitelist it at Namecheap.",
        ),
    )

    def __init__(self, credentials: Mapping[str, str], *, base_url: str, timeout: float) -> None:
        self._timeout = timeout
        self._url = base_url
        self._credentials = {
            "ApiUser": credentials["api_user"],
            "ApiKey": credentials["api_key"],
            "UserName": credentials.get("username") or credentials["api_user"],
            "ClientIp": credentials["client_ip"],
        }

    def check_connection(self) -> str:
        return (
            f"Connected to the Namecheap account {self._credentials['UserName']}, "
            f"with {self.balance()} to spend."
        )

    def check(self, names: Sequence[str], *, years: int = 1) -> list[Offer]:
        with _Session(self) as session:
            found: dict[str, Offer] = {}
            for start in range(0, len(names), MOST_NAMES):
                listed = ",".join(names[start : start + MOST_NAMES])
                answer = session.call("domains.check", DomainList=listed)
                for row in _all(answer, "DomainCheckResult"):
                    offer = _offer(row, years)
                    found[offer.name] = offer
            if missing := [name for name in names if name not in found]:
                raise _unusable(f"no answer about {missing[0]}", is_write=False)
            prices: dict[str, Money | None] = {}
            for name, offer in found.items():
                if offer.is_available and not offer.is_premium:
                    ending = name.partition(".")[2]
                    if ending not in prices:
                        prices[ending] = _price(session, ending, years)
                    found[name] = Offer(name, is_available=True, price=prices[ending])
            return [found[name] for name in names]

    def balance(self) -> Money:
        with _Session(self) as session:
            row = _one(session.call("users.getBalances"), "UserGetBalancesResult")
            return _money(row, "AvailableBalance", row.get("Currency", ""))

    def register(
        self, offer: Offer, *, years: int, contact: Contact, nameservers: Sequence[str]
    ) -> Order:
        fields = {
            "DomainName": offer.name,
            "Years": str(years),
            "AddFreeWhoisguard": "yes",
            "WGEnabled": "yes",
            **_contacts(contact),
        }
        if nameservers:
            fields["Nameservers"] = ",".join(nameservers)
        if language := idn_language(offer.name):
            fields["IdnCode"] = language
        if offer.is_premium:
            assert offer.premium_price is not None
            fee = offer.early_access_fee
            fields["IsPremiumDomain"] = "true"
            fields["PremiumPrice"] = str(offer.premium_price.decimal)
            fields["EapFee"] = str(fee.decimal if fee else 0)
        with _Session(self) as session:
            answer = session.call("domains.create", is_write=True, **fields)
            row = _one(answer, "DomainCreateResult", is_write=True)
            if not _is_true(row, "Registered"):
                raise ProviderError(
                    "NOT_CONFIRMED",
                    "Namecheap did not confirm the registration.",
                    retryable=True,
                    ambiguous=True,
                )
            currency = offer.price.currency if offer.price else PREMIUM_CURRENCY
            return Order(
                is_registered=not _is_true(row, "NonRealTimeDomain"),
                charged=_charged(row, currency),
                ids={
                    name: value
                    for name in ("DomainID", "OrderID", "TransactionID")
                    if (value := row.get(name))
                },
            )

    def info(self, name: str) -> RegisteredDomain | None:
        with _Session(self) as session:
            try:
                answer = session.call("domains.getInfo", DomainName=name)
            except ProviderError as error:
                if error.error_code == "NOT_IN_ACCOUNT":
                    return None
                raise
            row = _one(answer, "DomainGetInfoResult")
            if not _is_true(row, "IsOwner"):
                return None
            servers = (server.text or "" for server in _all(row, "Nameserver"))
            details = f"{NAMESPACE}DomainDetails/{NAMESPACE}"
            return RegisteredDomain(
                name=name,
                id=row.get("ID", ""),
                nameservers=tuple(sorted(server.strip().lower() for server in servers)),
                expires_at=_date(row.findtext(f"{details}ExpiredDate")),
                created_at=_date(row.findtext(f"{details}CreatedDate")),
            )

    def renews_itself(self, name: str) -> bool | None:
        with _Session(self) as session:
            answer = session.call("domains.getList", SearchTerm=name, PageSize="100")
            for row in _all(answer, "Domain"):
                if row.get("Name", "").lower() == name and row.get("AutoRenew"):
                    return _is_true(row, "AutoRenew")
            return None

    def set_nameservers(self, name: str, nameservers: Sequence[str]) -> None:
        label, _, ending = name.partition(".")
        with _Session(self) as session:
            answer = session.call(
                "domains.dns.setCustom",
                is_write=True,
                SLD=label,
                TLD=ending,
                Nameservers=",".join(nameservers),
            )
            row = _one(answer, "DomainDNSSetCustomResult", is_write=True)
            if not _is_true(row, "Updated"):
                raise ProviderError(
                    "NOT_CONFIRMED",
                    "Namecheap did not confirm the nameservers.",
                    retryable=True,
                    ambiguous=True,
                )


class _Session:
    """The HTTP calls of one method, which share its time."""

    def __init__(self, registrar: Namecheap) -> None:
        self._registrar = registrar
        self._ends = time.monotonic() + registrar._timeout
        self._client = httpx.Client(follow_redirects=False, verify=certificate_authorities())

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def call(self, command: str, *, is_write: bool = False, **fields: str) -> Element:
        """Call a command. Raises `ProviderError` for all that can go wrong on the way."""
        form = {**self._registrar._credentials, "Command": f"namecheap.{command}", **fields}
        left = max(0.05, self._ends - time.monotonic())
        try:
            answer = self._client.post(self._registrar._url, data=form, timeout=left)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _unreachable(error, ambiguous=False) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            # Without the cause: its request holds the key.
            raise _unreachable(error, ambiguous=is_write) from None
        _check_status(answer, is_write=is_write)
        root = _parsed(answer, is_write=is_write)
        if root.get("Status") != "OK":
            raise _refusal(root, is_write=is_write)
        return root


def _unreachable(error: Exception, *, ambiguous: bool) -> ProviderError:
    timed_out = isinstance(error, httpx.TimeoutException)
    return ProviderError(
        "TIMEOUT" if timed_out else "UNREACHABLE",
        "Namecheap did not answer in time." if timed_out else "Namecheap is not reachable.",
        retryable=True,
        ambiguous=ambiguous,
    )


def _check_status(answer: httpx.Response, *, is_write: bool) -> None:
    """Errors of the API come with 200; any other status is from what stands before it."""
    if answer.status_code == 405:
        message = "Namecheap asks to send fewer requests."
        raise ProviderError("RATE_LIMITED", message, retryable=True, retry_after=RATE_WINDOW)
    if answer.status_code >= 500:
        message = "Namecheap has a problem of its own."
        raise ProviderError("UNAVAILABLE", message, retryable=True, ambiguous=is_write)
    if answer.status_code != 200:
        message = f"Namecheap refused the call with status {answer.status_code}."
        raise ProviderError("REFUSED", message, retryable=False)


def _parsed(answer: httpx.Response, *, is_write: bool) -> Element:
    """The envelope. A document type is refused unread: only it could declare entities."""
    try:
        text = answer.content.decode("utf-8-sig")
        if len(text) > LONGEST_ANSWER or "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("not the answer of an API")
        root = ElementTree.fromstring(text)  # noqa: S314 - a string, without a document type
    except (ValueError, ElementTree.ParseError):
        raise _unusable("no XML", is_write=is_write) from None
    if root.tag != f"{NAMESPACE}ApiResponse":
        raise _unusable("no envelope", is_write=is_write)
    return root


def _unusable(why: str, *, is_write: bool) -> ProviderError:
    message = f"Namecheap gave an answer that could not be understood ({why})."
    return ProviderError("BAD_ANSWER", message, retryable=True, ambiguous=is_write)


def _refusal(root: Element, *, is_write: bool) -> ProviderError:
    """The first error with a meaning to us; else one of the registry's, whose outcome is open."""
    errors = [
        (_number(row.get("Number")), " ".join((row.text or "").split())[:300])
        for row in _all(root, "Error")
    ]
    if not errors:
        return _unusable("an error without a number", is_write=is_write)
    for number, text in errors:
        if number == ORDER_FAILED:
            if any(word in text.lower() for word in ("fund", "balance")):
                return ProviderError(*NO_FUNDS, retryable=False)
            return ProviderError(
                "ORDER_FAILED", f"Namecheap could not take the order: {text}", retryable=False
            )
        if number in REFUSALS:
            code, sentence = REFUSALS[number]
            return ProviderError(code, sentence.format(text=text), retryable=False)
    number, text = errors[0]
    if number == UNKNOWN_ERROR or str(number)[0] in "345":
        message = f"Namecheap could not say how it ended: {text}"
        return ProviderError("UNAVAILABLE", message, retryable=True, ambiguous=is_write)
    return ProviderError("REFUSED", f"Namecheap refused: {text or number}", retryable=False)


def _number(text: str | None) -> int:
    try:
        return int(text or "")
    except ValueError:
        return UNKNOWN_ERROR


def _all(root: Element, name: str) -> Iterator[Element]:
    return root.iter(f"{NAMESPACE}{name}")


def _one(root: Element, name: str, *, is_write: bool = False) -> Element:
    for found in _all(root, name):
        return found
    raise _unusable(f"no {name}", is_write=is_write)


def _is_true(row: Element, name: str) -> bool:
    return row.get(name, "").strip().lower() == "true"


def _decimal(row: Element, *names: str) -> Decimal:
    """The first of these attributes; empty or absent ones count as 0. Raises `ProviderError`."""
    text = next((value for name in names if (value := row.get(name, "").strip())), "0")
    try:
        amount = Decimal(text)
        if not amount.is_finite() or amount < 0:
            raise ValueError(text)
    except (ArithmeticError, ValueError):
        raise _unusable(f"{names[0]} is no amount", is_write=False) from None
    return amount


def _money(row: Element, name: str, currency: str) -> Money:
    if not row.get(name) or not currency:
        raise _unusable(f"no {name}", is_write=False)
    return Money.of(_decimal(row, name), currency)


def _charged(row: Element, currency: str) -> Money | None:
    """What a purchase cost. It is made by now, so an odd amount is no failure."""
    try:
        return Money.of(row.get("ChargedAmount", ""), currency)
    except ValueError:
        return None


def _offer(row: Element, years: int) -> Offer:
    """A row of domains.check; the price of an ordinary name is asked for elsewhere."""
    name = row.get("Domain", "").lower()
    number = row.get("ErrorNo", "0").strip() or "0"
    if number != "0":
        text = row.get("Description", "") or f"error {number}"
        code, sentence = REFUSALS.get(_number(number), ("REFUSED", "Namecheap refused: {text}"))
        raise ProviderError(code, sentence.format(text=text), retryable=False)
    available = _is_true(row, "Available")
    if not available or not _is_true(row, "IsPremiumName"):
        return Offer(name, available)
    premium = _decimal(row, "PremiumRegistrationPrice")
    fee = _decimal(row, "EapFee")
    total = premium + fee + _decimal(row, "IcannFee") * years
    return Offer(
        name,
        is_available=True,
        # Prices of premium names for several years are not told (seen 2026-08).
        price=Money.of(total, PREMIUM_CURRENCY) if premium and years == 1 else None,
        is_premium=True,
        premium_price=Money.of(premium, PREMIUM_CURRENCY),
        early_access_fee=Money.of(fee, PREMIUM_CURRENCY),
    )


def _price(session: _Session, ending: str, years: int) -> Money | None:
    """What the account pays to register an ordinary name below `ending`, with ICANN's fee.

    Prices and fees are for each year unless their type is ABSOLUTE (seen 2026-11).
    """
    answer = session.call(
        "users.getPricing", ProductType="DOMAIN", ActionName="REGISTER", ProductName=ending.upper()
    )
    for category in _all(answer, "ProductCategory"):
        if category.get("Name", "").lower() not in {"register", ""}:
            continue
        for product in _all(category, "Product"):
            if product.get("Name", "").lower() != ending:
                continue
            for row in _all(product, "Price"):
                if row.get("Duration") == str(years) and row.get("DurationType") == "YEAR":
                    return _price_of(row, years)
    return None


def _price_of(row: Element, years: int) -> Money | None:
    price = _decimal(row, "YourPrice", "Price")
    # The misspelt name is theirs.
    fee = _decimal(row, "YourAdditonalCost", "AdditionalCost")
    if row.get("YourPriceType", "MULTIPLE") != "ABSOLUTE":
        price *= years
    if row.get("YourAdditonalCostType", "MULTIPLE") != "ABSOLUTE":
        fee *= years
    return Money.of(price + fee, row.get("Currency") or PREMIUM_CURRENCY) if price else None


def _contacts(contact: Contact) -> dict[str, str]:
    """The one contact in all four roles."""
    values = {CONTACT_FIELDS[name]: value for name, value in asdict(contact).items() if value}
    # Required, also where a country has no states.
    values.setdefault("StateProvince", contact.city)
    return {f"{role}{name}": value for role in ROLES for name, value in values.items()}


def _date(text: str | None) -> datetime | None:
    """MM/DD/YYYY, sometimes with a time behind it (seen 2026-08)."""
    try:
        return datetime.strptime((text or "").split()[0], "%m/%d/%Y").replace(tzinfo=UTC)
    except (IndexError, ValueError):
        return None


def idn_language(name: str) -> str:
    """The language code (ISO 639-2) for an internationalised name; "" for an ordinary one."""
    label = name.partition(".")[0]
    if not label.startswith("xn--"):
        return ""
    letters = [letter for letter in idna.decode(label) if not letter.isascii()]
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in letters}
    # Kana or Hangul tell more than the Chinese characters beside them.
    for script in ("HIRAGANA", "KATAKANA", "HANGUL", *sorted(scripts)):
        if script in scripts and script in SCRIPT_LANGUAGES:
            return SCRIPT_LANGUAGES[script]
    return next((LATIN_LANGUAGES[x] for x in letters if x in LATIN_LANGUAGES), "ger")
