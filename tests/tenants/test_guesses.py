"""Limits count who guesses and who asks: strangers use up their own budgets, never another's.

Ada signs in with a browser and from a network that her account knows. Mallory is at addresses of
the documentation ranges.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils import timezone

from mpanel.core.errors import MPanelError, TooManyRequests
from mpanel.core.networks import network_of, plain_address
from tenants import browser, services
from tenants.models import Guess, OneTimeCode, Session, User
from tenants.services.codes import PER_MAILBOX, PER_PAIR, TRIES, CodeRefused
from tenants.services.guesses import PER_ACCOUNT, PER_SECOND_FACTOR, asker_of
from tenants.services.guesses import PER_NETWORK as GUESSES_PER_NETWORK
from tenants.services.guesses import PER_PAIR as GUESSES_PER_PAIR
from tests.api import Api
from tests.cast import Person
from tests.processes import at_once
from tests.work import work_off

pytestmark = pytest.mark.django_db
PASSWORD = "a long and good one"
OTP, VERIFY = "/api/v1/auth/trial/request-otp", "/api/v1/auth/trial/verify-otp"


def codes_to(email: str) -> list[str]:
    """The codes that arrived there, the newest last."""
    work_off()
    texts = [str(message.body) for message in mail.outbox if message.to == [email]]
    return [found[1] for text in texts if (found := re.search(r"\b(\d{6})\b", text))]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def api_at(address: str) -> Api:
    api = Api()
    api.client.defaults["REMOTE_ADDR"] = address
    return api


def refusals(call: Callable[..., Any], times: int) -> list[str]:
    """What each of so many calls raised."""
    found = []
    for _ in range(times):
        try:
            call()
        except MPanelError as error:
            found.append(error.code)
        else:
            found.append("")
    return found


@pytest.fixture
def with_password(ada: Person) -> Person:
    ada.user.set_password(PASSWORD)
    ada.user.save()
    return ada


def set_password(ada: Person) -> None:
    path = "/settings/security/password/"
    ada.client.post(path)
    ada.client.post(path, {"code": codes_to(ada.user.email)[-1], "new": PASSWORD})


def log_in_at(address: str, email: str, password: str = PASSWORD) -> list[Any]:
    """Status of signing in on the page and over both APIs, from one address."""
    given = {"email": email, "password": password}
    page = Client(REMOTE_ADDR=address).post("/sign-in/password/", given)
    api = api_at(address)
    return [
        page.status_code,
        api.post("/api/v1/auth/login", given).status,
        api.post("/api/auth/login", given).status,
    ]


# --- Who is one caller -------------------------------------------------------------------------


def test_ipv6_is_counted_by_64_and_mapped_ipv4_is_ipv4() -> None:
    assert (
        network_of("2001:db8:1:2:aaaa::1") == network_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    )
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("::ffff:192.0.2.7") == network_of("::FFFF:c000:207") == "192.0.2.7"
    assert network_of("::ffff:192.0.2.8") == "192.0.2.8"
    assert plain_address("fe80::1%eth0") == "fe80::1%eth0"
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth1") == "fe80::/64"
    assert network_of("") == ""


def test_one_64_gets_as_many_codes_as_one_ipv4_address() -> None:
    """It was sixty from three addresses of one /64."""
    statuses = [
        api_at(f"2001:db8:1:2::{number:x}").post(OTP, {"email": f"p{number}@people.test"}).status
        for number in range(60)
    ]
    most = settings.CODES_PER_NETWORK
    assert statuses == [200] * most + [429] * (60 - most)
    page = Client(REMOTE_ADDR="2001:db8:1:2:ffff::").post("/sign-in/", {"email": "x@people.test"})
    assert page.status_code == 422
    assert api_at("2001:db8:1:3::1").post(OTP, {"email": "x@people.test"}).status == 200


def test_mapped_ipv4_addresses_are_counted_one_by_one(settings: Any) -> None:
    settings.API_PUBLIC_RATE = 1
    for number in (1, 2, 3):
        given = {"email": f"p{number}@people.test"}
        assert api_at(f"::ffff:192.0.2.{number}").post(OTP, given).status == 200
        assert api_at(f"192.0.2.{number}").post(OTP, given).status == 429


def test_an_api_key_of_an_ipv4_network_works_over_a_mapped_address(ada: Person) -> None:
    made = services.create_api_key(
        ada.actor, name="CI", scopes=["account:read"], allowed_networks=["192.0.2.0/24"]
    )
    api = Api(made.plain)
    api.client.defaults["REMOTE_ADDR"] = "::ffff:192.0.2.7"
    assert api.get("/api/v1/profile").status == 200


# --- Wrong codes are charged to who types them -------------------------------------------------


def test_thirty_five_guesses_are_not_free(ada: Person) -> None:
    """They were charged to the address that asked for the codes, so from elsewhere none counted."""
    for number in range(7):
        services.ask_for_code(f"p{number}@people.test", address="198.51.100.1")
    codes_to("p0@people.test")
    answers = [
        api_at("203.0.113.9").post(
            VERIFY, {"email": f"p{number % 7}@people.test", "otp": f"{number:06d}"}
        )
        for number in range(35)
    ]
    assert {answer.status for answer in answers} == {400}
    assert set(Guess.objects.values_list("asker", flat=True)) == {"203.0.113.9"}
    assert Guess.objects.count() == 35
    # The first that one pair may not have, and the first that one network may not have.
    email = {"email": "p0@people.test", "otp": "999999"}
    more = [api_at("203.0.113.9").post(VERIFY, email).status for _ in range(GUESSES_PER_PAIR)]
    assert more == [400] * 5 + [429] * 5
    for number in range(GUESSES_PER_NETWORK - 40):
        other = {"email": f"q{number}@people.test", "otp": "999999"}
        assert api_at("203.0.113.9").post(VERIFY, other).status == 400
    fresh = {"email": "r@people.test", "otp": "999999"}
    assert api_at("203.0.113.9").post(VERIFY, fresh).status == 429
    assert api_at("203.0.113.10").post(VERIFY, fresh).status == 400


def test_a_whole_office_is_not_locked_out_by_codes_asked_for_from_there(ada: Person) -> None:
    """Thirty wrong tries, typed elsewhere, of codes that the office asked for."""
    for number in range(6):
        services.ask_for_code(f"p{number}@people.test", address="198.51.100.1")
    for number in range(6):
        codes_to(f"p{number}@people.test")
        guess = partial(
            services.use_code, f"p{number}@people.test", "999999", address="203.0.113.9"
        )
        assert refusals(guess, TRIES) == ["CODE_REFUSED"] * TRIES
    for number in range(6):
        email = f"p{number}@people.test"
        given = {"email": email, "otp": codes_to(email)[-1]}
        assert api_at("198.51.100.1").post(VERIFY, given).status == 200


def test_an_office_of_people_who_mistype_twice_signs_in() -> None:
    for number in range(settings.CODES_PER_NETWORK):
        email = f"p{number}@people.test"
        assert api_at("198.51.100.1").post(OTP, {"email": email}).status == 200
        code = codes_to(email)[-1]
        for _ in range(2):
            given = {"email": email, "otp": wrong(code)}
            assert api_at("198.51.100.1").post(VERIFY, given).status == 400
        given = {"email": email, "otp": code}
        assert api_at("198.51.100.1").post(VERIFY, given).status == 200
    assert Guess.objects.count() == 2 * settings.CODES_PER_NETWORK


def test_strangers_use_up_neither_the_tries_of_my_code_nor_replace_it(ada: Person) -> None:
    email = ada.user.email
    visitor = Client(REMOTE_ADDR="198.51.100.1")
    visitor.post("/sign-in/", {"email": email})
    mine = codes_to(email)[-1]
    for _ in range(TRIES + 2):
        given = {"email": email, "otp": wrong(mine)}
        api_at("203.0.113.9").post(VERIFY, given)
    assert api_at("203.0.113.9").post(OTP, {"email": email}).status == 200
    theirs = codes_to(email)[-1]
    # Nor can a code that a stranger sent be guessed more often than by five tries each.
    asked = OneTimeCode.objects.get(asker="198.51.100.1")
    assert (asked.tries, asked.tries_elsewhere) == (0, TRIES)
    assert visitor.post("/sign-in/code/", {"code": mine}).status_code == 302
    # Theirs went to her mailbox, so it is as good.
    other = Client(REMOTE_ADDR="198.51.100.2")
    other.post("/sign-in/", {"email": email})
    assert other.post("/sign-in/code/", {"code": theirs}).status_code == 302


# --- Nobody is locked out by strangers ---------------------------------------------------------


def test_wrong_passwords_of_strangers_do_not_lock_anybody_out(with_password: Person) -> None:
    email = with_password.user.email
    for _ in range(6):
        log_in_at("203.0.113.9", email, "wrong")
    assert log_in_at("203.0.113.9", email) == [422, 429, 429]
    assert log_in_at("198.51.100.1", email) == [302, 200, 200]


def test_guesses_of_all_strangers_at_one_account_are_bounded_and_known_ones_pass(
    with_password: Person,
) -> None:
    """A hundred wrong passwords an hour, from as many networks as they like."""
    email = with_password.user.email
    statuses = [
        api_at(f"2001:db8:0:{number:x}::1").post(
            "/api/v1/auth/login", {"email": email, "password": "wrong"}
        )
        for number in range(PER_ACCOUNT + 20)
    ]
    assert [one.status for one in statuses] == [401] * PER_ACCOUNT + [429] * 20
    # Even the right password does not help a stranger now.
    assert log_in_at("198.51.100.1", email) == [422, 429, 429]
    # Ada's network is known, from her session; and so is her browser, wherever she is.
    assert log_in_at("127.0.0.1", email) == [302, 200, 200]
    device = signed_in_device(with_password)
    device.defaults["REMOTE_ADDR"] = "203.0.113.77"
    given = {"email": email, "password": PASSWORD}
    assert device.post("/sign-in/password/", given).status_code == 302
    # An hour later the strangers' guesses are forgotten.
    Guess.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert log_in_at("198.51.100.1", email) == [302, 200, 200]


def test_codes_asked_for_by_strangers_do_not_keep_anybody_from_signing_in(ada: Person) -> None:
    email = ada.user.email
    asked = [
        api_at(f"203.0.113.{number}").post(OTP, {"email": email}).status
        for number in range(40)
        for _ in range(2)
    ]
    # The mailbox is not flooded, however many networks ask.
    assert asked == [200] * PER_MAILBOX + [429] * (80 - PER_MAILBOX)
    assert len(codes_to(email)) == PER_MAILBOX
    # A visitor whom nobody knows finds a good code in her mailbox already.
    visitor = Client(REMOTE_ADDR="198.51.100.1")
    page = visitor.post("/sign-in/", {"email": email})
    assert page.status_code == 422
    assert 'href="/sign-in/code/"' in page.content.decode()
    given = {"code": codes_to(email)[-1]}
    assert visitor.post("/sign-in/code/", given)["Location"] == "/overview/"
    # Who is known gets one of their own; and strangers' sign-in codes use up no other purpose.
    known = Client()
    assert known.post("/sign-in/", {"email": email}).status_code == 302
    assert len(codes_to(email)) == PER_MAILBOX + 1
    assert visitor.post("/sign-out/").status_code == 302
    reset = Client(REMOTE_ADDR="198.51.100.9").post("/sign-in/forgot/", {"email": email})
    assert reset.status_code == 302
    services.ask_to_confirm(ada.actor)
    assert len(codes_to(email)) == PER_MAILBOX + 3


def test_codes_that_strangers_asked_for_and_guessed_away_lock_nobody_out(ada: Person) -> None:
    email = ada.user.email
    for number in range(PER_MAILBOX):
        assert api_at(f"203.0.113.{number}").post(OTP, {"email": email}).status == 200
    newest = codes_to(email)[-1]
    given = {"email": email, "otp": wrong(newest)}
    for _ in range(TRIES):
        assert api_at("203.0.113.99").post(VERIFY, given).status == 400
    visitor = Client(REMOTE_ADDR="198.51.100.1")
    assert visitor.post("/sign-in/", {"email": email}).status_code == 302
    mine = codes_to(email)[-1]
    assert mine != newest
    assert visitor.post("/sign-in/code/", {"code": mine})["Location"] == "/overview/"


def test_guessing_the_second_factor_from_many_networks_is_bounded(ada: Person) -> None:
    from tests.tenants.test_pages_sign_in import with_second_factor

    totp, _ = with_second_factor(ada)
    check = services.second_factor.check_second_factor
    found: list[str] = []
    for number in range(PER_SECOND_FACTOR + 5):
        asker = asker_of(ada.user.email, address=f"203.0.113.{number}")
        found += refusals(partial(check, ada.user, "000000", asker=asker), 1)
    assert found == ["SECOND_FACTOR_REFUSED"] * PER_SECOND_FACTOR + ["RATE_LIMITED"] * 5
    check(ada.user, totp.now(), asker=asker_of(ada.user.email, address="127.0.0.1"))


# --- Known devices -----------------------------------------------------------------------------


def signed_in_device(person: Person) -> Client:
    """A browser in which the person signed in by a code, at an address of its own, and out."""
    client = Client(REMOTE_ADDR="192.0.2.200")
    client.post("/sign-in/", {"email": person.user.email})
    given = {"code": codes_to(person.user.email)[-1]}
    assert client.post("/sign-in/code/", given).status_code == 302
    client.post("/sign-out/")
    return client


def device_of(client: Client, email: str) -> Any:
    """Whom the services see when this browser comes from somewhere new."""
    from django.test import RequestFactory

    request = RequestFactory(REMOTE_ADDR="203.0.113.50").get("/")
    request.COOKIES = {name: morsel.value for name, morsel in client.cookies.items()}
    request.address = "203.0.113.50"  # type: ignore[attr-defined]
    return asker_of(email, **browser.origin(request))


def test_a_device_is_known_to_its_own_user_only(ada: Person, cy: Person) -> None:
    device = signed_in_device(ada)
    cookie = device.cookies[browser.DEVICE_COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert device_of(device, ada.user.email).known
    assert not device_of(device, cy.user.email).known
    assert not device_of(device, "nobody@people.test").known
    # It signs nobody in.
    assert device.get("/overview/").status_code == 302
    forged = Client()
    forged.cookies[browser.DEVICE_COOKIE] = cookie.value[:-2] + "xx"
    assert not device_of(forged, ada.user.email).known


def test_a_known_device_has_a_budget_and_no_more(with_password: Person) -> None:
    device = signed_in_device(with_password)
    given = {"email": with_password.user.email, "password": "wrong"}
    pages = [device.post("/sign-in/password/", given) for _ in range(GUESSES_PER_PAIR + 1)]
    said = ["do not match" in page.content.decode() for page in pages]
    assert said == [True] * GUESSES_PER_PAIR + [False]
    given["password"] = PASSWORD
    assert device.post("/sign-in/password/", given).status_code == 422


@pytest.mark.parametrize(
    "forget",
    [
        lambda ada, other: ada.client.post(f"/settings/security/sessions/{other.pk}/end/"),
        lambda ada, other: ada.client.post("/settings/security/sessions/end-others/"),
        lambda ada, other: set_password(ada),
        lambda ada, other: services.sessions.end_all_sessions(ada.user, reason="password reset"),
    ],
    ids=["its session ended", "other sessions ended", "password changed", "password reset"],
)
def test_a_device_is_forgotten_when_it_may_be_a_thiefs(
    ada: Person, forget: Callable[[Person, Session], Any]
) -> None:
    device = signed_in_device(ada)
    # It was signed out, and then in again: one device, two sessions.
    device.post("/sign-in/", {"email": ada.user.email})
    device.post("/sign-in/code/", {"code": codes_to(ada.user.email)[-1]})
    other = Session.objects.filter(device_key__isnull=False, ended_at=None).get()
    assert device_of(device, ada.user.email).known
    assert asker_of(ada.user.email, address="192.0.2.200").known
    forget(ada, other)
    assert not device_of(device, ada.user.email).known


# --- At once -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_and_requests_get_no_more() -> None:
    services.ask_for_code("dora@people.test", address="198.51.100.1")
    code = codes_to("dora@people.test")[-1]

    def guesses(address: str) -> list[Any]:
        return [partial(services.use_code, "dora@people.test", wrong(code), address=address)] * 12

    found = at_once(*guesses("203.0.113.1"), *guesses("203.0.113.2"))
    refused = [isinstance(one, TooManyRequests) for one in found]
    assert (len(refused), sum(refused)) == (24, 24 - 2 * GUESSES_PER_PAIR)
    assert OneTimeCode.objects.get().tries_elsewhere == TRIES
    asked = at_once(
        *[
            partial(services.ask_for_code, "dora@people.test", address=f"203.0.113.{number}")
            for number in range(20)
        ]
    )
    # The code of before was guessed away, so it takes nobody's place.
    assert sum(isinstance(one, OneTimeCode) for one in asked) == PER_MAILBOX
    services.use_code("dora@people.test", code, address="198.51.100.1")
    with pytest.raises(CodeRefused):
        services.use_code("dora@people.test", code, address="198.51.100.1")


@pytest.mark.django_db(transaction=True)
def test_parallel_passwords_get_no_more() -> None:
    User.objects.create_user("dora@people.test")
    log_in = partial(services.log_in, "dora@people.test", "wrong", address="203.0.113.1")
    found = at_once(*[log_in] * 24)
    assert sum(isinstance(one, TooManyRequests) for one in found) == 24 - GUESSES_PER_PAIR
    assert Guess.objects.count() == GUESSES_PER_PAIR


def test_wrong_tries_stay_counted_with_an_idempotency_key(ada: Person) -> None:
    given = {"email": ada.user.email, "password": "wrong"}
    api = api_at("203.0.113.9")
    statuses = [
        api.post("/api/v1/auth/login", given, key=f"try-{number}").status for number in range(12)
    ]
    assert statuses == [401] * GUESSES_PER_PAIR + [429] * 2


def test_pairs_of_codes_are_counted_per_asker() -> None:
    email = {"email": "dora@people.test"}
    first = [api_at("198.51.100.1").post(OTP, email).status for _ in range(PER_PAIR + 1)]
    assert first == [200] * PER_PAIR + [429]
    assert api_at("198.51.100.2").post(OTP, email).status == 200
