"""Signing up and in by a code that really arrives by e-mail."""

import copy
import re
import threading
from datetime import timedelta
from functools import partial

import pytest
from django.conf import LazySettings, settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from mpanel.core.errors import MPanelError, TooManyRequests
from mpanel.settings import MAILERS
from tenants import services
from tenants.models import Guess, Membership, OneTimeCode, ProviderCredential, Tenant, User
from tenants.services.codes import PER_PAIR, TRIES, CodeRefused
from tenants.services.guesses import WINDOW
from tests.cast import Person
from tests.processes import at_once
from tests.sandboxes import RunningSandbox, find_free_port_block
from tests.work import work_off

DORA = "dora@people.test"


@pytest.fixture(autouse=True)
def real_mail(settings: LazySettings) -> None:
    """Mail leaves by SMTP as the settings say, and not into the test runner's memory."""
    settings.MAILERS = MAILERS


@pytest.fixture
def visitor(db: None, sandbox: RunningSandbox) -> Client:
    """A browser that nobody has signed in with, at the front of an empty mail server."""
    return Client()


def newest_code(sandbox: RunningSandbox, email: str = DORA) -> str:
    """The code in the newest mail to this address."""
    found = re.search(r"\b(\d{6})\b", sandbox.mails(to=email)[0]["text"])
    assert found
    return found[1]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def ask(browser: Client, email: str = DORA, **more: str) -> None:
    """Ask for a code on the page, and let a worker send it."""
    answer = browser.post("/sign-in/", {"email": email, **more})
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/code/")
    work_off()


def test_the_code_arrives_and_opens_an_account(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor, "Dora@People.test")
    (mail,) = sandbox.mails(to=DORA)
    code = newest_code(sandbox)
    assert code in mail["subject"]
    answer = visitor.post("/sign-in/code/", {"code": f" {code[:3]} {code[3:]} "})
    assert answer["Location"] == "/overview/"
    assert visitor.get("/overview/").status_code == 200
    user = User.objects.get(email=DORA)
    assert [m.role for m in user.memberships.all()] == ["owner"]
    included = ProviderCredential.objects.filter(tenant__memberships__user=user)
    assert {credential.port for credential in included} == {"dns", "registrar", "outreach"}
    # The second time, the same account opens.
    visitor.post("/sign-out/")
    ask(visitor, DORA)
    visitor.post("/sign-in/code/", {"code": newest_code(sandbox)})
    assert User.objects.count() == 1
    assert Tenant.objects.count() == 1


def test_no_code_is_kept_in_the_clear(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    code, kept = newest_code(sandbox), OneTimeCode.objects.get()
    assert code not in repr(vars(kept))
    assert code not in repr(dict(visitor.session))


def test_a_wrong_code_does_not_open(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    code = newest_code(sandbox)
    answer = visitor.post("/sign-in/code/", {"code": wrong(code)})
    assert answer.status_code == 422
    assert "wrong or has expired" in answer.content.decode()
    assert not User.objects.exists()
    # One mistake is forgiven.
    assert visitor.post("/sign-in/code/", {"code": code}).status_code == 302


def test_five_wrong_tries_end_a_code(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    code = newest_code(sandbox)
    for _ in range(TRIES):
        visitor.post("/sign-in/code/", {"code": wrong(code)})
    assert visitor.post("/sign-in/code/", {"code": code}).status_code == 422
    # A new one works.
    ask(visitor)
    assert visitor.post("/sign-in/code/", {"code": newest_code(sandbox)}).status_code == 302


def test_an_expired_code_does_not_open(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    OneTimeCode.objects.update(expires_at=timezone.now())
    assert visitor.post("/sign-in/code/", {"code": newest_code(sandbox)}).status_code == 422


def test_a_code_works_once(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    code, elsewhere = newest_code(sandbox), Client()
    elsewhere.cookies.load(visitor.cookies.output(header="", sep=";"))
    assert visitor.post("/sign-in/code/", {"code": code}).status_code == 302
    other = Client()
    ask(other)
    assert other.post("/sign-in/code/", {"code": code}).status_code == 422


def test_a_used_code_is_not_followed_by_an_older_one(
    visitor: Client, sandbox: RunningSandbox
) -> None:
    ask(visitor)
    older = newest_code(sandbox)
    ask(visitor)
    assert visitor.post("/sign-in/code/", {"code": older}).status_code == 422
    assert visitor.post("/sign-in/code/", {"code": newest_code(sandbox)}).status_code == 302
    with pytest.raises(CodeRefused):
        services.use_code(DORA, older, address="127.0.0.1")


def test_a_code_is_for_its_own_address_only(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    code, other = newest_code(sandbox), Client()
    ask(other, "eve@people.test")
    assert other.post("/sign-in/code/", {"code": code}).status_code == 422


def test_a_sign_in_code_reveals_nothing(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    with pytest.raises(CodeRefused):
        services.use_code(
            DORA, newest_code(sandbox), address="127.0.0.1", purpose=OneTimeCode.REVEAL
        )


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_get_no_more_tries(sandbox: RunningSandbox) -> None:
    services.ask_for_code(DORA, address="127.0.0.1")
    work_off()
    code = newest_code(sandbox)
    refused: list[MPanelError] = []

    def guess() -> None:
        try:
            services.use_code(DORA, wrong(code), address="127.0.0.1")
        except MPanelError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 12
    assert OneTimeCode.objects.get().tries == TRIES
    Guess.objects.all().delete()
    with pytest.raises(CodeRefused):
        services.use_code(DORA, code, address="127.0.0.1")


def test_codes_are_throttled_per_asker_and_mailbox(
    visitor: Client, sandbox: RunningSandbox
) -> None:
    for _ in range(PER_PAIR):
        ask(Client())
    answer = visitor.post("/sign-in/", {"email": DORA})
    assert answer.status_code == 422
    assert "Too many codes" in answer.content.decode()
    assert len(sandbox.mails(to=DORA)) == PER_PAIR
    # The newest one can be entered all the same.
    assert 'href="/sign-in/code/"' in answer.content.decode()
    assert visitor.post("/sign-in/code/", {"code": newest_code(sandbox)}).status_code == 302
    # Somebody else is not held up, and neither is Dora a quarter of an hour later.
    ask(Client(), "eve@people.test")
    OneTimeCode.objects.update(created_at=timezone.now() - WINDOW)
    ask(Client())


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_get_no_more_codes() -> None:
    found = at_once(*[partial(services.ask_for_code, DORA, address="192.0.2.1")] * 12)
    assert sum(isinstance(one, TooManyRequests) for one in found) == 12 - PER_PAIR
    assert OneTimeCode.objects.count() == PER_PAIR


def test_codes_are_throttled_per_network_address(visitor: Client) -> None:
    for number in range(settings.CODES_PER_NETWORK):
        assert visitor.post("/sign-in/", {"email": f"p{number}@people.test"}).status_code == 302
    assert visitor.post("/sign-in/", {"email": DORA}).status_code == 422
    elsewhere = Client(REMOTE_ADDR="192.0.2.9")
    assert elsewhere.post("/sign-in/", {"email": DORA}).status_code == 302


def test_a_header_does_not_get_around_the_throttle(visitor: Client) -> None:
    for number in range(settings.CODES_PER_NETWORK):
        visitor.post(
            "/sign-in/",
            {"email": f"p{number}@people.test"},
            headers={"X-Forwarded-For": f"192.0.2.{number}"},
        )
    answer = visitor.post("/sign-in/", {"email": DORA}, headers={"X-Forwarded-For": "192.0.2.200"})
    assert answer.status_code == 422


def test_known_and_unknown_addresses_look_alike(
    visitor: Client, ada: Person, sandbox: RunningSandbox
) -> None:
    pages = []
    for email in (ada.user.email, "nobody@people.test"):
        browser = Client()
        ask(browser, email)
        assert len(sandbox.mails(to=email)) == 1
        text = browser.get("/sign-in/code/").content.decode().replace(email, "…")
        pages.append(re.sub(r'"\w{64}"', "", text))
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("target", "lands"),
    [
        ("/mailboxes/?status=failed", "/mailboxes/?status=failed"),
        ("https://evil.test/", "/overview/"),
        ("//evil.test/", "/overview/"),
        ("/\\evil.test/", "/overview/"),
        ("javascript:alert(1)", "/overview/"),
        ("", "/overview/"),
    ],
)
def test_next_leads_to_our_own_pages_only(
    visitor: Client, sandbox: RunningSandbox, target: str, lands: str
) -> None:
    ask(visitor, next=target)
    answer = visitor.post("/sign-in/code/", {"code": newest_code(sandbox)})
    assert answer["Location"] == lands


def test_signing_in_changes_the_session_key(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    before = visitor.session.session_key
    visitor.post("/sign-in/code/", {"code": newest_code(sandbox)})
    after = visitor.session.session_key
    assert before
    assert before != after
    planted = Client()
    planted.cookies["mpanel_session"] = before
    assert planted.get("/overview/").status_code == 302


def test_signing_out_ends_the_session(ada: Person) -> None:
    stolen = Client()
    stolen.cookies.load(ada.client.cookies.output(header="", sep=";"))
    assert stolen.get("/overview/").status_code == 200
    assert ada.client.get("/sign-out/").status_code == 405
    assert ada.client.post("/sign-out/")["Location"] == "/"
    assert ada.client.get("/overview/")["Location"].startswith("/sign-in/")
    assert stolen.get("/overview/").status_code == 302


def test_who_is_signed_in_need_not_do_it_again(ada: Person) -> None:
    assert ada.client.get("/sign-in/")["Location"] == "/overview/"
    assert Client().get("/sign-in/code/")["Location"] == "/sign-in/"


def test_a_suspended_tenant_is_told_so(ada: Person, bo: Person) -> None:
    ada.tenant.move(Tenant.SUSPENDED)
    for person in (ada, bo):
        answer = person.client.get("/overview/")
        assert answer.status_code == 403
        assert "suspended" in answer.content.decode()
    Tenant.objects.get(pk=ada.actor.tenant_id).move(Tenant.ACTIVE)
    assert ada.client.get("/overview/").status_code == 200


def test_an_inactive_user_cannot_go_on_nor_sign_in(
    ada: Person, visitor: Client, sandbox: RunningSandbox
) -> None:
    User.objects.filter(pk=ada.user.pk).update(is_active=False)
    assert ada.client.get("/overview/").status_code == 302
    ask(visitor, ada.user.email)
    answer = visitor.post("/sign-in/code/", {"code": newest_code(sandbox, ada.user.email)})
    assert answer.status_code == 403
    assert "closed" in answer.content.decode()
    assert visitor.get("/overview/").status_code == 302


def test_a_removed_member_is_out_at_once(bo: Person) -> None:
    Membership.objects.filter(user=bo.user).delete()
    assert bo.client.get("/domains/").headers["Location"].startswith("/sign-in/")


def test_a_doubled_message_sends_one_mail(visitor: Client, sandbox: RunningSandbox) -> None:
    ask(visitor)
    assert not services.send_code(OneTimeCode.objects.get().pk)
    services.send_forgotten_codes()
    assert len(sandbox.mails(to=DORA)) == 1
    assert visitor.post("/sign-in/code/", {"code": newest_code(sandbox)}).status_code == 302


def test_a_lost_message_is_made_up_for(visitor: Client, sandbox: RunningSandbox) -> None:
    visitor.post("/sign-in/", {"email": DORA})
    OneTimeCode.objects.update(created_at=timezone.now() - timedelta(seconds=6))
    services.send_forgotten_codes()
    assert visitor.post("/sign-in/code/", {"code": newest_code(sandbox)}).status_code == 302


def test_the_mail_server_is_down_and_comes_back(
    visitor: Client, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    down = copy.deepcopy(MAILERS)
    down["default"]["OPTIONS"]["port"] = find_free_port_block()
    settings.MAILERS = down
    visitor.post("/sign-in/", {"email": DORA})
    with pytest.raises(OSError):
        work_off()
    OneTimeCode.objects.update(created_at=timezone.now() - timedelta(seconds=6))
    services.send_forgotten_codes()
    assert OneTimeCode.objects.get().sent_at is None
    settings.MAILERS = MAILERS
    services.send_forgotten_codes()
    assert visitor.post("/sign-in/code/", {"code": newest_code(sandbox)}).status_code == 302


@pytest.mark.parametrize("email", ["", "no address", "a@b", "dora@people.test\n", "\0@people.test"])
def test_what_is_no_address_is_refused(visitor: Client, email: str) -> None:
    answer = visitor.post("/sign-in/", {"email": email})
    accepted = email.strip() == DORA
    assert (answer.status_code == 302) == accepted
    assert OneTimeCode.objects.exists() == accepted
