"""The contract of the registrar port, run against every provider; then what is Namecheap's own.

A provider joins with one entry in `BACKENDS`: a context manager that starts what stands for the
vendor and yields a bench with the provider on it.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from domains.providers.base import Contact, Offer, Registrar
from domains.providers.namecheap import Namecheap, idn_language
from mpanel.core import registry
from mpanel.core.errors import ProviderError
from mpanel.core.money import Money
from tests.sandboxes import RunningSandbox, wait_until

KEY = "sandbox-ada"
CREDENTIALS = {"api_user": "ada", "api_key": KEY, "username": "", "client_ip": "127.0.0.1"}
NAMESERVERS = ("ns1.elsewhere.test", "ns2.elsewhere.test")
ADA = Contact(
    first_name="Ada",
    last_name="Byron",
    email="ada@people.test",
    phone="+44.2079460000",
    address1="12 St James's Square",
    city="London",
    postal_code="SW1Y 4JH",
    country="GB",
)


@dataclass(frozen=True)
class Bench:
    """A provider, and how its world is set: the price of .test in cents, and the balance."""

    provider: Registrar
    set_price: Callable[[int], object]
    set_balance: Callable[[int], object]


def namecheap_at(url: str, timeout: float = 5.0) -> Namecheap:
    return Namecheap(CREDENTIALS, base_url=url, timeout=timeout)


@contextlib.contextmanager
def namecheap_on_sandbox(state: Path) -> Iterator[Bench]:
    with RunningSandbox(state) as sandbox:
        yield Bench(
            namecheap_at(sandbox.namecheap_url),
            set_price=lambda cents: sandbox.namecheap(ending="test", price=cents),
            set_balance=lambda cents: sandbox.namecheap(account="ada", balance=cents),
        )


BACKENDS: dict[str, Callable[[Path], AbstractContextManager[Bench]]] = {
    "namecheap on the sandbox": namecheap_on_sandbox,
}
numbers = count(1)


@pytest.fixture(scope="module", params=BACKENDS)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    with BACKENDS[request.param](tmp_path_factory.mktemp("backend")) as opened:
        yield opened


@pytest.fixture
def bench(opened: Bench) -> Bench:
    opened.set_price(980)
    opened.set_balance(100_000)
    return opened


def fresh() -> str:
    return f"ada{next(numbers)}.test"


def offered(bench: Bench, name: str, years: int = 1) -> Offer:
    (offer,) = bench.provider.check([name], years=years)
    return offer


def bought(bench: Bench, name: str, nameservers: tuple[str, ...] = NAMESERVERS) -> None:
    offer = offered(bench, name)
    bench.provider.register(offer, years=1, contact=ADA, nameservers=nameservers)


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, bool, bool]:
    with pytest.raises(ProviderError) as raised:
        call(*args, **kwargs)
    error = raised.value
    assert KEY not in f"{error!r} {error.details}"
    return error.error_code, error.retryable, error.ambiguous


def test_the_connection_names_the_account(bench: Bench) -> None:
    assert "ada" in bench.provider.check_connection()


def test_nothing_secret_and_nothing_personal_is_printed(bench: Bench) -> None:
    assert KEY not in repr(bench.provider) + str(bench.provider)
    assert "Byron" not in repr(ADA)


def test_offers_come_in_the_order_asked(bench: Bench) -> None:
    free, other = fresh(), fresh()
    offers = bench.provider.check([free, "taken.test", other])
    assert [(offer.name, offer.is_available) for offer in offers] == [
        (free, True),
        ("taken.test", False),
        (other, True),
    ]
    assert offers[0].price == offers[2].price == Money(998, "USD")


def test_more_names_than_one_call_holds(bench: Bench) -> None:
    names = [f"many{number}.test" for number in range(60)]
    assert [offer.name for offer in bench.provider.check(names)] == names


def test_several_years_cost_as_much_as_is_charged(bench: Bench) -> None:
    name = fresh()
    offer = offered(bench, name, years=3)
    assert offer.price == Money(2994, "USD")
    order = bench.provider.register(offer, years=3, contact=ADA, nameservers=NAMESERVERS)
    assert order.charged == offer.price
    info = bench.provider.info(name)
    assert info is not None
    assert info.expires_at is not None
    assert 1090 < (info.expires_at - timezone.now()).days < 1100


def test_a_domain_is_registered_and_delegated(bench: Bench) -> None:
    name = fresh()
    assert bench.provider.info(name) is None
    before = bench.provider.balance()
    order = bench.provider.register(
        offered(bench, name), years=1, contact=ADA, nameservers=NAMESERVERS
    )
    assert order.is_registered
    assert order.ids
    info = bench.provider.info(name)
    assert info is not None
    assert (info.name, info.nameservers) == (name, NAMESERVERS)
    assert info.id
    assert bench.provider.renews_itself(name) is True
    assert order.charged is not None
    assert bench.provider.balance().amount == before.amount - order.charged.amount
    assert not offered(bench, name).is_available


def test_without_nameservers_it_is_parked_until_they_are_set(bench: Bench) -> None:
    name = fresh()
    bought(bench, name, nameservers=())
    for _ in range(2):
        bench.provider.set_nameservers(name, NAMESERVERS)
        info = bench.provider.info(name)
        assert info is not None
        assert info.nameservers == NAMESERVERS


def test_an_internationalised_name(bench: Bench) -> None:
    bought(bench, "xn--bcher-kva.test")
    assert bench.provider.info("xn--bcher-kva.test") is not None


def test_a_premium_name_is_bought_at_its_own_price(bench: Bench) -> None:
    offer = offered(bench, "premium.test")
    assert offer.is_premium
    assert offer.price == Money(49918, "USD")
    order = bench.provider.register(offer, years=1, contact=ADA, nameservers=NAMESERVERS)
    assert order.charged == offer.price


def test_a_slow_registry_is_waited_for(bench: Bench) -> None:
    offer = offered(bench, "slow.test")
    order = bench.provider.register(offer, years=1, contact=ADA, nameservers=())
    assert not order.is_registered
    assert bench.provider.info("slow.test") is None
    wait_until(lambda: bench.provider.info("slow.test") is not None)


@pytest.mark.parametrize("wrong", ["taken", "broke", "contact", "nameservers"])
def test_what_is_refused_costs_nothing(bench: Bench, wrong: str) -> None:
    name, contact, nameservers = fresh(), ADA, NAMESERVERS
    offer = offered(bench, name)
    match wrong:
        case "taken":
            offer, expected = replace(offer, name="taken.test"), "DOMAIN_UNAVAILABLE"
        case "broke":
            bench.set_balance(997)
            expected = "PAYMENT_FAILED"
        case "contact":
            contact, expected = replace(ADA, phone="12345"), "CONTACT_REFUSED"
        case _:
            nameservers, expected = ("not a name", "nor.this one"), "NAMESERVERS_REFUSED"
    before = bench.provider.balance()
    refused = outcome(
        bench.provider.register, offer, years=1, contact=contact, nameservers=nameservers
    )
    assert refused == (expected, False, False)
    assert bench.provider.balance() == before
    assert bench.provider.info(name) is None


def test_a_domain_that_is_not_ours(bench: Bench) -> None:
    assert bench.provider.info("taken.test") is None
    assert bench.provider.renews_itself("taken.test") is None
    refused = outcome(bench.provider.set_nameservers, "taken.test", NAMESERVERS)
    assert refused == ("NOT_IN_ACCOUNT", False, False)


def test_nothing_to_ask_asks_nothing() -> None:
    assert namecheap_at("http://127.0.0.1:9/").check([]) == []


# --- Namecheap: failures, once for reading and once for writing -----------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with RunningSandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    running.reset()
    return running


OFFER = Offer("example.test", is_available=True, price=Money(998, "USD"))


def buy(ada: Namecheap, offer: Offer = OFFER) -> Any:
    return ada.register(offer, years=1, contact=ADA, nameservers=NAMESERVERS)


def test_it_is_registered_with_its_fields() -> None:
    assert registry.get("registrar", "namecheap") is Namecheap
    secret = {field.name: field.secret for field in Namecheap.credential_fields}
    assert secret == {"api_user": False, "api_key": True, "username": False, "client_ip": False}


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"api_key": "wrong"}, "INVALID_CREDENTIALS"),
        ({"username": "cy"}, "INVALID_CREDENTIALS"),
        ({"client_ip": "192.0.2.1"}, "ADDRESS_NOT_ALLOWED"),
    ],
)
def test_wrong_credentials(sandbox: RunningSandbox, credentials: dict[str, str], code: str) -> None:
    given = {**CREDENTIALS, **credentials}
    stranger = Namecheap(given, base_url=sandbox.namecheap_url, timeout=5)
    assert outcome(stranger.check_connection) == (code, False, False)


@pytest.mark.parametrize(
    ("fault", "code", "ambiguous_write"),
    [
        ({"kind": "status", "status": 500}, "UNAVAILABLE", True),
        ({"kind": "status", "status": 200}, "UNAVAILABLE", True),  # 3050900, of the registry
        ({"kind": "rate_limit"}, "RATE_LIMITED", False),
        ({"kind": "drop_before"}, "UNREACHABLE", True),
        ({"kind": "timeout"}, "TIMEOUT", True),
    ],
)
def test_temporary_failures(
    sandbox: RunningSandbox, fault: dict[str, Any], code: str, ambiguous_write: bool
) -> None:
    ada = namecheap_at(sandbox.namecheap_url, timeout=0.5)
    for call, ambiguous in ((partial(ada.info, "example.test"), False), (partial(buy, ada), True)):
        sandbox.fault("namecheap", **fault)
        assert outcome(call) == (code, True, ambiguous and ambiguous_write)
    assert sandbox.namecheap()["domains"] == []


def test_what_was_never_sent_is_not_ambiguous() -> None:
    nobody = namecheap_at("http://127.0.0.1:9/xml.response")
    assert outcome(buy, nobody) == ("UNREACHABLE", True, False)


def test_a_purchase_whose_answer_was_lost_is_found_by_looking(sandbox: RunningSandbox) -> None:
    ada = namecheap_at(sandbox.namecheap_url)
    sandbox.fault("namecheap", "drop_after_commit")
    assert outcome(buy, ada) == ("UNREACHABLE", True, True)
    assert ada.info("example.test") is not None
    # Sent again, it is refused: nobody pays twice.
    assert outcome(buy, ada) == ("DOMAIN_UNAVAILABLE", False, False)
    assert ada.balance() == Money(99_002, "USD")


def test_a_method_of_many_calls_takes_no_longer_than_one(sandbox: RunningSandbox) -> None:
    ada = namecheap_at(sandbox.namecheap_url, timeout=0.6)
    sandbox.fault("namecheap", "delay", delay=0.4, times=None)
    assert outcome(ada.check, ["example.test"]) == ("TIMEOUT", True, False)


def test_how_long_to_wait_is_told(sandbox: RunningSandbox) -> None:
    sandbox.fault("namecheap", "rate_limit")
    with pytest.raises(ProviderError) as raised:
        namecheap_at(sandbox.namecheap_url).balance()
    assert raised.value.retry_after == 60


def test_neither_key_nor_person_is_logged_or_stands_in_a_url(
    sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ada = namecheap_at(sandbox.namecheap_url)
    buy(ada)
    sandbox.fault("namecheap", "drop_before")
    outcome(buy, ada)
    assert caplog.text
    for secret in (KEY, "Byron", "ada%40people.test"):
        assert secret not in caplog.text


# --- Answers that no sandbox gives ----------------------------------------------------------------


@dataclass
class Canned:
    """An HTTP server that gives every request the same answer."""

    status: int = 200
    body: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def __enter__(self) -> Namecheap:
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                canned.asked.append(parse_qs(form))
                body = canned.body.encode()
                self.send_response(canned.status)
                self.send_header("content-type", "text/xml")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve = partial(self.server.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()
        return namecheap_at(f"http://127.0.0.1:{self.server.server_port}/xml.response")

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def envelope(inner: str = "", *, error: tuple[int, str] | None = None) -> str:
    shown = f'<Error Number="{error[0]}">{error[1]}</Error>' if error else ""
    return (
        f'<ApiResponse Status="{"ERROR" if error else "OK"}" '
        f'xmlns="http://api.namecheap.com/xml.response"><Errors>{shown}</Errors>'
        f"<CommandResponse>{inner}</CommandResponse></ApiResponse>"
    )


BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>' + envelope("&c;")


@pytest.mark.parametrize(
    "body",
    ["", "no XML", "<html/>", "<ApiResponse/>", envelope(), BOMB, envelope()[:-3], "\x00"],
)
def test_an_answer_without_a_result_is_a_failure(body: str) -> None:
    with Canned(body=body) as ada:
        assert outcome(ada.info, "example.test") == ("BAD_ANSWER", True, False)
        assert outcome(ada.check, ["example.test"]) == ("BAD_ANSWER", True, False)
        assert outcome(ada.balance) == ("BAD_ANSWER", True, False)
        assert outcome(buy, ada) == ("BAD_ANSWER", True, True)
        renamed = partial(ada.set_nameservers, "example.test", NAMESERVERS)
        assert outcome(renamed) == ("BAD_ANSWER", True, True)


@pytest.mark.parametrize(
    ("number", "text", "expected"),
    [
        (1011150, "Invalid request IP", ("ADDRESS_NOT_ALLOWED", False, False)),
        (1017410, "Too many declined payments", ("ACCOUNT_BLOCKED", False, False)),
        (2015167, "Years", ("YEARS_REFUSED", False, False)),
        (2011322, "Extended attributes", ("TLD_UNSUPPORTED", False, False)),
        (2515610, "Prices do not match", ("PRICE_CHANGED", False, False)),
        (2528166, "Insufficient funds", ("PAYMENT_FAILED", False, False)),
        (2528166, "Order creation failed", ("ORDER_FAILED", False, False)),
        (2033409, "Order chargeable not found", ("REFUSED", False, False)),
        (4011103, "Domain not available", ("DOMAIN_UNAVAILABLE", False, False)),
        (3031510, "Error response from registry", ("UNAVAILABLE", True, True)),
        (4023166, "Failed to add", ("UNAVAILABLE", True, True)),
        (5050900, "Unknown exception", ("UNAVAILABLE", True, True)),
        (1050900, "Unknown error", ("UNAVAILABLE", True, True)),
    ],
)
def test_numbers_become_ours(number: int, text: str, expected: tuple[str, bool, bool]) -> None:
    with Canned(body=envelope(error=(number, text))) as ada:
        assert outcome(buy, ada) == expected


def test_other_statuses_are_refusals() -> None:
    with Canned(status=403, body="<html>Attention required</html>") as ada:
        assert outcome(buy, ada) == ("REFUSED", False, False)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ('YourPriceType="MULTIPLE" YourAdditonalCostType="MULTIPLE"', 2613),
        ('YourPriceType="ABSOLUTE" YourAdditonalCostType="MULTIPLE"', 1325),
        ('YourPriceType="ABSOLUTE" YourAdditonalCostType="ABSOLUTE"', 1307),
        ("", 2613),
    ],
)
def test_prices_of_several_years_by_their_type(types: str, expected: int) -> None:
    body = envelope(
        '<DomainCheckResult Domain="example.com" Available="true" ErrorNo="0"/>'
        '<ProductCategory Name="renew"><Product Name="com">'
        '<Price Duration="2" DurationType="YEAR" Price="1"/></Product></ProductCategory>'
        '<ProductCategory Name="register"><Product Name="com">'
        '<Price Duration="1" DurationType="YEAR" Price="9"/>'
        f'<Price Duration="2" DurationType="YEAR" Price="99" YourPrice="12.885" {types} '
        'YourAdditonalCost="0.18" Currency="USD"/></Product></ProductCategory>'
    )
    with Canned(body=body) as ada:
        (offer,) = ada.check(["example.com"], years=2)
        assert offer.price == Money(expected, "USD")


@pytest.mark.parametrize("price", ["", "0.0", "NaN", "-5", "many"])
def test_no_price_is_not_for_free(price: str) -> None:
    body = envelope(
        '<DomainCheckResult Domain="example.com" Available="true" ErrorNo="0"/>'
        '<ProductCategory Name="register"><Product Name="com">'
        f'<Price Duration="1" DurationType="YEAR" Price="" YourPrice="{price}" Currency="USD"/>'
        "</Product></ProductCategory>"
    )
    with Canned(body=body) as ada:
        if price in {"", "0.0"}:
            assert ada.check(["example.com"])[0].price is None
        else:
            assert outcome(ada.check, ["example.com"]) == ("BAD_ANSWER", True, False)


@pytest.mark.parametrize("date", ["", "soon", "<ExpiredDate>13/40/2026</ExpiredDate>"])
def test_an_expiry_that_is_not_said(date: str) -> None:
    body = envelope(
        '<DomainGetInfoResult IsOwner="true" ID="7"><DomainDetails>'
        f"{date}</DomainDetails></DomainGetInfoResult>"
    )
    with Canned(body=body) as ada:
        info = ada.info("example.test")
        assert info is not None
        assert (info.id, info.expires_at, info.nameservers) == ("7", None, ())


def test_a_domain_seen_in_the_account_of_another_is_not_ours() -> None:
    with Canned(body=envelope('<DomainGetInfoResult IsOwner="false" ID="7"/>')) as ada:
        assert ada.info("example.test") is None


def test_a_purchase_that_is_not_confirmed_is_looked_at_again() -> None:
    with Canned(body=envelope('<DomainCreateResult Registered="false"/>')) as ada:
        assert outcome(buy, ada) == ("NOT_CONFIRMED", True, True)


def test_names_below_two_labels_are_split_behind_the_first_dot() -> None:
    canned = Canned(body=envelope('<DomainDNSSetCustomResult Updated="true"/>'))
    with canned as ada:
        ada.set_nameservers("example.co.uk", NAMESERVERS)
    assert (canned.asked[0]["SLD"], canned.asked[0]["TLD"]) == (["example"], ["co.uk"])


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("example.com", ""),
        ("xn--bcher-kva.com", "ger"),
        ("xn--caf-dma.com", "fre"),
        ("xn--espaa-rta.com", "spa"),
        ("xn--e1afmkfd.com", "rus"),
        ("xn--fiq228c.com", "chi"),
        ("xn--eckwd4c7c.com", "jpn"),
        ("xn--u9j5h1b.com", "jpn"),
    ],
)
def test_the_language_of_a_name(name: str, language: str) -> None:
    assert idn_language(name) == language
