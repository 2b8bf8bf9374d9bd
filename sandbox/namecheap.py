"""Namecheap's XML API over HTTP: https://www.namecheap.com/support/api/methods/.

One path, `/xml.response`, for every command, as a form or a query; errors come with HTTP 200. What
is bought here is registered in the sandbox's registry and delegated at once.
"""

import ipaddress
import json
import re
import sqlite3
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, SubElement, tostring

import dns.exception
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .faults import Fault
from .internet import PARKING
from .records import hostname
from .registry import Registry
from .store import Store

PATH = "/xml.response"
NAMESPACE = "http://api.namecheap.com/xml.response"
DEMO_USER = "mpanel"
KEY_PREFIX = "sandbox-"  # the key of the account `ada` is `sandbox-ada`
WHITELISTED = "127.0.0.1"
RATE_LIMIT = 50  # calls per account and minute
RATE_WINDOW = 60.0
FIRST_BALANCE = 100_000  # cents
ICANN_FEE = 18
PRICES = {"com": 1028, "net": 1198, "org": 748, "io": 3498, "test": 980}
OTHER_PRICE = 1288
PREMIUM_PRICE = 49_900
YEAR = 365 * 24 * 3600
SLOW_REGISTRY = 1.0  # seconds that names beginning with "slow" take to be registered
MOST_CHECKED = 50
LONGEST_BODY = 1_000_000
ROLES = {
    "Registrant": 2010324,
    "Tech": 2010325,
    "Admin": 2010326,
    "AuxBilling": 2010327,
}
REQUIRED = (
    "FirstName",
    "LastName",
    "Address1",
    "City",
    "StateProvince",
    "PostalCode",
    "Country",
    "Phone",
    "EmailAddress",
)
# Endings that need attributes of their own, which nobody can give here.
WITH_ATTRIBUTES = frozenset({"us", "ca", "eu", "co.uk"})
_PHONE = re.compile(r"\+[0-9]{1,3}\.[0-9]{4,12}")

Fields = Mapping[str, str]


class NamecheapError(Exception):
    """An answer with `Status="ERROR"`."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


class TooFast(Exception):
    """More calls than the limit allows: HTTP 405, and nothing is done."""


class NamecheapShop:
    """The accounts, their balances and their domains."""

    def __init__(self, store: Store, registry: Registry, *, rate_limit: int) -> None:
        self._store = store
        self._registry = registry
        self._limit = rate_limit
        self._calls: dict[str, deque[float]] = {}

    # Accounts

    def enter(self, fields: Fields) -> str:
        """Whose account it is. Raises `NamecheapError` for those who may not in, and `TooFast`."""
        user, key = fields.get("ApiUser", ""), fields.get("ApiKey", "")
        if not user or key != f"{KEY_PREFIX}{user}" or fields.get("UserName", "") != user:
            raise NamecheapError(1011102, "API Key is invalid or API access has not been enabled")
        try:
            address = ipaddress.IPv4Address(fields.get("ClientIp", ""))
        except ValueError as error:
            raise NamecheapError(1011105, "Parameter ClientIP is invalid") from error
        if str(address) != WHITELISTED:
            raise NamecheapError(1011150, f"Invalid request IP: {address}")
        self._count(user)
        self._store.write(
            "INSERT INTO namecheap_account VALUES (?, ?) ON CONFLICT DO NOTHING",
            user,
            FIRST_BALANCE,
        )
        return user

    def _count(self, user: str) -> None:
        if not self._limit:
            return
        now = time.monotonic()
        calls = self._calls.setdefault(user, deque())
        while calls and calls[0] <= now - RATE_WINDOW:
            calls.popleft()
        if len(calls) >= self._limit:
            raise TooFast
        calls.append(now)

    def balance(self, user: str) -> int:
        """In cents."""
        found = self._store.value("SELECT balance FROM namecheap_account WHERE name = ?", user)
        return FIRST_BALANCE if found is None else int(found)

    def set_balance(self, user: str, cents: int) -> None:
        self._store.write(
            "INSERT INTO namecheap_account VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET balance = excluded.balance",
            user,
            cents,
        )

    # Prices

    def price(self, ending: str) -> int:
        """Cents a year for an ordinary name, without ICANN's fee."""
        found = self._store.value("SELECT cents FROM namecheap_price WHERE ending = ?", ending)
        return int(found) if found is not None else PRICES.get(ending, OTHER_PRICE)

    def set_price(self, ending: str, cents: int) -> None:
        self._store.write(
            "INSERT INTO namecheap_price VALUES (?, ?)"
            " ON CONFLICT (ending) DO UPDATE SET cents = excluded.cents",
            ending,
            cents,
        )

    # Domains

    def is_available(self, name: str) -> bool:
        """Names that begin with "taken" never are; others until anybody registers them."""
        known = self._row(name) or self._registry.registration(name)
        return known is None and not name.startswith("taken")

    def buy(
        self, user: str, name: str, *, years: int, cents: int, nameservers: list[str]
    ) -> sqlite3.Row:
        """Charge the account and register the domain, both or neither."""
        now = time.time()
        ready = now + (SLOW_REGISTRY if name.startswith("slow") else 0)
        with self._store.transaction():
            if self.balance(user) < cents:
                raise NamecheapError(2528166, "Order creation failed: Insufficient funds")
            self._store.write(
                "UPDATE namecheap_account SET balance = balance - ? WHERE name = ?", cents, user
            )
            self._store.write(
                "INSERT INTO namecheap_domain VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                name,
                user,
                uuid.uuid4().int % 10**8,
                now,
                ready,
                now + years * YEAR,
                cents,
                json.dumps(nameservers),
            )
        self._registry.set_nameservers(name, nameservers)
        row = self._row(name)
        assert row is not None
        return row

    def owned(self, user: str, name: str) -> sqlite3.Row:
        """The domain in this account. Raises `NamecheapError` as for one that is elsewhere."""
        row = self._row(name)
        if row is None or row["ready_on"] > time.time():
            raise NamecheapError(2019166, "Domain not found")
        if row["account"] != user:
            raise NamecheapError(2016166, "Domain is not associated with your account")
        return row

    def domains(self, user: str = "") -> list[sqlite3.Row]:
        """The registered domains of an account, or all, by name."""
        return self._store.rows(
            "SELECT * FROM namecheap_domain WHERE ? IN ('', account) AND ready_on <= ?"
            " ORDER BY domain",
            user,
            time.time(),
        )

    def delegate(self, name: str, nameservers: list[str]) -> None:
        self._store.write(
            "UPDATE namecheap_domain SET nameservers = ? WHERE domain = ?",
            json.dumps(nameservers),
            name,
        )
        self._registry.set_nameservers(name, nameservers)

    def _row(self, name: str) -> sqlite3.Row | None:
        return self._store.row("SELECT * FROM namecheap_domain WHERE domain = ?", name)

    def reset(self) -> None:
        self._calls.clear()


class NamecheapApi:
    """The commands. Serves requests whose path is a slash and a command (see `ByCommand`)."""

    def __init__(self, shop: NamecheapShop) -> None:
        self._shop = shop
        self._commands: dict[str, Callable[[str, Fields, Element], None]] = {
            "namecheap.domains.check": self.check,
            "namecheap.domains.create": self.create,
            "namecheap.domains.getinfo": self.get_info,
            "namecheap.domains.getlist": self.get_list,
            "namecheap.domains.dns.setcustom": self.set_custom,
            "namecheap.users.getbalances": self.get_balances,
            "namecheap.users.getpricing": self.get_pricing,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        fields = dict(request.query_params)
        fields |= dict(parse_qsl((await request.body()).decode(errors="replace")))
        await self._answer(fields)(scope, receive, send)

    def _answer(self, fields: Fields) -> Response:
        command = fields.get("Command", "")
        result = Element("CommandResponse", Type=command)
        try:
            user = self._shop.enter(fields)
            work = self._commands.get(command.lower())
            if work is None:
                raise NamecheapError(1010104, "Parameter Command is missing or unknown")
            work(user, fields, result)
        except TooFast:
            return Response("Too many requests", 405, media_type="text/plain")
        except NamecheapError as error:
            return _envelope(command, error=error)
        return _envelope(command, result=result)

    def check(self, user: str, fields: Fields, result: Element) -> None:
        names = [name.strip().lower() for name in fields.get("DomainList", "").split(",")]
        if len(names) > MOST_CHECKED:
            raise NamecheapError(2011169, f"Only {MOST_CHECKED} domains are allowed in one check")
        for name in names:
            number, text = "0", ""
            if "." not in name or not name.isascii():
                number, text = "2030280", "TLD is not supported in API"
            premium = _is_premium(name)
            SubElement(
                result,
                "DomainCheckResult",
                Domain=name,
                Available=_bool(number == "0" and self._shop.is_available(name)),
                ErrorNo=number,
                Description=text,
                IsPremiumName=_bool(premium),
                PremiumRegistrationPrice=_dollars(PREMIUM_PRICE if premium else 0),
                PremiumRenewalPrice=_dollars(PREMIUM_PRICE if premium else 0),
                PremiumRestorePrice="0",
                PremiumTransferPrice="0",
                IcannFee=_dollars(ICANN_FEE if premium else 0),
                EapFee="0.0",
            )

    def create(self, user: str, fields: Fields, result: Element) -> None:
        name = fields.get("DomainName", "").lower()
        label, _, ending = name.partition(".")
        years = _years(fields)
        if not label or not ending or not name.isascii():
            raise NamecheapError(2030280, "TLD is not supported in API")
        if ending in WITH_ATTRIBUTES:
            raise NamecheapError(2011322, "Extended attributes are not valid")
        if label.startswith("xn--") and not fields.get("IdnCode"):
            raise NamecheapError(2030166, "IDN domains need their language code")
        _check_contacts(fields)
        nameservers = _nameservers(fields.get("Nameservers", "")) or list(PARKING)
        if not self._shop.is_available(name):
            raise NamecheapError(3019166, "Domain not available")
        if _is_premium(name):
            agreed = _cents(fields.get("PremiumPrice", ""))
            if fields.get("IsPremiumDomain") != "true" or agreed != PREMIUM_PRICE or years != 1:
                raise NamecheapError(2515610, "Prices do not match")
            cents = PREMIUM_PRICE + ICANN_FEE
        else:
            cents = (self._shop.price(ending) + ICANN_FEE) * years
        row = self._shop.buy(user, name, years=years, cents=cents, nameservers=nameservers)
        SubElement(
            result,
            "DomainCreateResult",
            Domain=name,
            Registered="true",
            ChargedAmount=_dollars(cents),
            DomainID=str(row["id"]),
            OrderID=str(row["id"] + 1),
            TransactionID=str(row["id"] + 2),
            WhoisguardEnable="true",
            NonRealTimeDomain=_bool(row["ready_on"] > time.time()),
        )

    def get_info(self, user: str, fields: Fields, result: Element) -> None:
        row = self._shop.owned(user, fields.get("DomainName", "").lower())
        nameservers = json.loads(row["nameservers"])
        info = SubElement(
            result,
            "DomainGetInfoResult",
            Status="Ok" if row["expires_on"] > time.time() else "Expired",
            ID=str(row["id"]),
            DomainName=row["domain"],
            OwnerName=user,
            IsOwner="true",
            IsPremium=_bool(_is_premium(row["domain"])),
        )
        details = SubElement(info, "DomainDetails")
        SubElement(details, "CreatedDate").text = _date(row["created_on"])
        SubElement(details, "ExpiredDate").text = _date(row["expires_on"])
        SubElement(details, "NumYears").text = "0"
        SubElement(info, "LockDetails")
        SubElement(info, "Whoisguard", Enabled="True")
        parked = tuple(nameservers) == PARKING
        servers = SubElement(
            info,
            "DnsDetails",
            ProviderType="FREE" if parked else "CUSTOM",
            IsUsingOurDNS=_bool(parked),
        )
        for nameserver in nameservers:
            SubElement(servers, "Nameserver").text = nameserver

    def get_list(self, user: str, fields: Fields, result: Element) -> None:
        page, size = _page(fields, "Page", 1), _page(fields, "PageSize", 20)
        if not 10 <= size <= 100:
            raise NamecheapError(2050900, "PageSize must lie between 10 and 100")
        wanted = fields.get("SearchTerm", "").lower()
        found = [row for row in self._shop.domains(user) if wanted in row["domain"]]
        listed = SubElement(result, "DomainGetListResult")
        for row in found[(page - 1) * size : page * size]:
            SubElement(
                listed,
                "Domain",
                ID=str(row["id"]),
                Name=row["domain"],
                User=user,
                Created=_date(row["created_on"]),
                Expires=_date(row["expires_on"]),
                IsExpired=_bool(row["expires_on"] < time.time()),
                IsLocked="false",
                AutoRenew="true",
                WhoisGuard="ENABLED",
            )
        paging = SubElement(result, "Paging")
        SubElement(paging, "TotalItems").text = str(len(found))
        SubElement(paging, "CurrentPage").text = str(page)
        SubElement(paging, "PageSize").text = str(size)

    def set_custom(self, user: str, fields: Fields, result: Element) -> None:
        name = f"{fields.get('SLD', '')}.{fields.get('TLD', '')}".lower()
        row = self._shop.owned(user, name)
        nameservers = _nameservers(fields.get("Nameservers", ""))
        if not nameservers:
            raise NamecheapError(2011168, "Nameservers are missing")
        self._shop.delegate(row["domain"], nameservers)
        SubElement(result, "DomainDNSSetCustomResult", Domain=name, Updated="true")

    def get_balances(self, user: str, fields: Fields, result: Element) -> None:
        balance = _dollars(self._shop.balance(user))
        SubElement(
            result,
            "UserGetBalancesResult",
            Currency="USD",
            AvailableBalance=balance,
            AccountBalance=balance,
            EarnedAmount="0.00",
            WithdrawableAmount="0.00",
            FundsRequiredForAutoRenew="0.00",
        )

    def get_pricing(self, user: str, fields: Fields, result: Element) -> None:
        ending = fields.get("ProductName", "com").lower()
        price = _dollars(self._shop.price(ending))
        prices = SubElement(result, "UserGetPricingResult")
        kind = SubElement(prices, "ProductType", Name="domains")
        action = fields.get("ActionName", "REGISTER").lower()
        product = SubElement(
            SubElement(kind, "ProductCategory", Name=action), "Product", Name=ending
        )
        for years in range(1, 11):
            SubElement(
                product,
                "Price",
                Duration=str(years),
                DurationType="YEAR",
                Price=price,
                PricingType="MULTIPLE",
                AdditionalCost=_dollars(ICANN_FEE),
                RegularPrice=price,
                RegularPriceType="MULTIPLE",
                YourPrice=price,
                YourPriceType="MULTIPLE",
                YourAdditonalCost=_dollars(ICANN_FEE),
                YourAdditonalCostType="MULTIPLE",
                PromotionPrice="0.0",
                Currency="USD",
            )


class ByCommand:
    """Gives every call the path of its command, by which it is counted and made to fail."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more and len(body) < LONGEST_BODY:
            message = await receive()
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
        given = [*parse_qsl(scope["query_string"].decode()), *parse_qsl(body.decode("latin-1"))]
        command = next((value for name, value in given if name == "Command"), "")
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app({**scope, "path": f"{PATH}/{command}"}, again, send)


def failing(fault: Fault) -> ASGIApp:
    """A failure in Namecheap's words: 405 for too many calls, pages of its edge for the rest."""
    if fault.kind == "rate_limit":
        return Response("Too many requests", 405, media_type="text/plain")
    status = fault.status or 500
    if status == 200:
        return _envelope("", error=NamecheapError(3050900, "Unknown response from provider"))
    return Response(f"<html><title>{status}</title></html>", status, media_type="text/html")


def _envelope(
    command: str, *, result: Element | None = None, error: NamecheapError | None = None
) -> Response:
    root = Element("ApiResponse", Status="ERROR" if error else "OK", xmlns=NAMESPACE)
    errors = SubElement(root, "Errors")
    if error:
        SubElement(errors, "Error", Number=str(error.number)).text = error.text
    SubElement(root, "Warnings")
    SubElement(root, "RequestedCommand").text = command.lower()
    if result is not None:
        root.append(result)
    SubElement(root, "Server").text = "SANDBOX-01"
    SubElement(root, "GMTTimeDifference").text = "--5:00"
    SubElement(root, "ExecutionTime").text = "0.01"
    content = b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root)
    return Response(content, media_type="text/xml; charset=utf-8")


def _check_contacts(fields: Fields) -> None:
    for role, number in ROLES.items():
        for name in REQUIRED:
            if not fields.get(f"{role}{name}"):
                raise NamecheapError(number, f"Parameter {role}{name} is missing")
        if not _PHONE.fullmatch(fields[f"{role}Phone"]):
            raise NamecheapError(2015182, f"{role}Phone is not valid; use +NNN.NNNNNNNNNN")
        if not re.fullmatch("[A-Z]{2}", fields[f"{role}Country"]):
            raise NamecheapError(2005, f"{role}Country is not valid")


def _nameservers(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        found = [hostname(name) for name in names]
    except (ValueError, dns.exception.DNSException) as error:
        raise NamecheapError(2011168, "Nameservers are not valid") from error
    if len(found) == 1 or any("." not in name for name in found):
        raise NamecheapError(2011168, "Nameservers are not valid")
    return found


def _years(fields: Fields) -> int:
    years = _page(fields, "Years", 0)
    if not 1 <= years <= 10:
        raise NamecheapError(2015167, "Years must lie between 1 and 10")
    return years


def _page(fields: Fields, name: str, default: int) -> int:
    text = fields.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 6 else default


def _is_premium(name: str) -> bool:
    return name.startswith("premium")


def _cents(text: str) -> int | None:
    try:
        return int(Decimal(text) * 100)
    except (InvalidOperation, OverflowError, ValueError):
        return None


def _dollars(cents: int) -> str:
    return f"{cents / 100:.2f}"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%m/%d/%Y")


def as_json(row: sqlite3.Row) -> dict[str, Any]:
    """A bought domain for the control room."""
    return {
        "domain": row["domain"],
        "account": row["account"],
        "nameservers": json.loads(row["nameservers"]),
        "charged": row["charged"],
        "expires": _date(row["expires_on"]),
    }
