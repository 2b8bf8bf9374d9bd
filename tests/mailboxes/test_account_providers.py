"""What every provider promises that must be told of each account.

The first half speaks to the port only and runs against every such provider; the second is about
Google Workspace alone. Which server stands behind is in the tests' ids.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailboxes.providers.google_tokens import service_account_problem
from mailboxes.providers.google_workspace import GoogleWorkspace
from mailservers.providers.base import Login, LoginCheck, MailProvider, WantedAccount
from mpanel.core.addresses import address_problem
from mpanel.core.errors import ProviderError
from tests.google import google_does, google_provider, google_users, google_values
from tests.sandboxes import RunningSandbox

DOMAIN = "accounts.test"
SECRET = "a secret of twelve"
ANNA = WantedAccount(
    email=f"anna@{DOMAIN}",
    reference="01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b13",
    first_name="Anna",
    last_name="Schmidt",
    password=SECRET,
    quota_mb=1024,
)
TOLD = replace(ANNA, password="")  # once the provider knows it
GONE = replace(ANNA, password="", is_present=False)


class Stand:
    """A server that holds accounts, and a way to see them without the provider."""

    service = "google"

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox

    def reset(self) -> None:
        self.sandbox.reset()
        self.sandbox.control("POST", "google/domains", {"domain": DOMAIN})

    def provider(self, **changes: Any) -> GoogleWorkspace:
        return google_provider(self.sandbox, **changes)

    def addresses(self) -> list[str]:
        return sorted(google_users(self.sandbox))

    def fault(self, kind: str, **fields: Any) -> None:
        self.sandbox.fault(self.service, kind, **fields)

    def make_strangers(self, email: str) -> None:
        google_does(self.sandbox, "make", email)


STANDS = {"google-at-sandbox": Stand}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with RunningSandbox(tmp_path_factory.mktemp("accounts")) as sandbox:
        yield sandbox


@pytest.fixture(params=list(STANDS.values()), ids=list(STANDS))
def stand(request: pytest.FixtureRequest, running: RunningSandbox) -> Stand:
    made: Stand = request.param(running)
    made.reset()
    return made


def observed(provider: MailProvider, *wanted: WantedAccount) -> list[str]:
    return [state.outcome for state in provider.observe_accounts(wanted)]


def proof_of(provider: MailProvider, email: str = ANNA.email) -> LoginCheck:
    (proof,) = provider.verify_logins([Login(email, SECRET)], on_result=lambda _: None)
    return proof


# --- The port ------------------------------------------------------------------------------------


def test_an_account_is_made_once_and_known_again(stand: Stand) -> None:
    provider = stand.provider()
    assert observed(provider, ANNA) == ["missing"]
    made = provider.apply_account(ANNA)
    assert (made.email, made.outcome) == (ANNA.email, "matches")
    assert made.remote_id
    for wanted in (ANNA, TOLD, replace(TOLD, remote_id=made.remote_id)):
        assert provider.observe_accounts([wanted])[0] == made
        assert provider.apply_account(wanted) == made
    assert stand.addresses() == [ANNA.email]
    assert proof_of(provider).outcome == "matches"


def test_what_differs_is_changed(stand: Stand) -> None:
    provider = stand.provider()
    provider.apply_account(ANNA)
    for wanted in (
        replace(TOLD, first_name="Anne"),
        replace(TOLD, first_name="Anne", may_log_in=False),
        TOLD,
    ):
        assert observed(provider, wanted) == ["missing"]
        assert provider.apply_account(wanted).outcome == "matches"
        assert observed(provider, wanted) == ["matches"]
    provider.apply_account(replace(TOLD, may_log_in=False))
    assert proof_of(provider).outcome == "missing"


def test_one_that_shall_be_gone_goes(stand: Stand) -> None:
    provider = stand.provider()
    assert provider.apply_account(GONE).outcome == "matches"  # never made
    provider.apply_account(ANNA)
    assert observed(provider, GONE) == ["missing"]
    for _ in range(2):
        assert provider.apply_account(GONE).outcome == "matches"
        assert observed(provider, GONE) == ["matches"]
    assert stand.addresses() == []
    assert proof_of(provider).outcome == "missing"


def test_somebody_elses_account_is_neither_taken_nor_removed(stand: Stand) -> None:
    stand.make_strangers(ANNA.email)
    provider = stand.provider()
    for state in (*provider.observe_accounts([ANNA]), provider.apply_account(ANNA)):
        assert (state.outcome, state.code) == ("conflicts", "USER_ALREADY_EXISTS")
        assert ANNA.email in state.detail
    assert provider.apply_account(GONE).outcome == "matches"
    assert stand.addresses() == [ANNA.email]


@pytest.mark.parametrize("kind", ["drop_after_commit", "timeout_after_commit"])
def test_a_call_whose_answer_never_came_makes_no_second_account(stand: Stand, kind: str) -> None:
    provider = stand.provider(timeout=0.5)
    stand.fault(kind, method="POST", path="/admin/directory/v1/users", times=2)
    with pytest.raises(ProviderError) as told:
        provider.apply_account(ANNA)
    assert told.value.retryable
    assert told.value.ambiguous
    assert told.value.error_code == "NETWORK_ERROR"
    assert stand.addresses() == [ANNA.email]
    stand.sandbox.clear_faults()
    assert provider.apply_account(ANNA).outcome == "matches"
    assert stand.addresses() == [ANNA.email]


@pytest.mark.parametrize(
    "fault", [{"kind": "drop_before"}, {"kind": "status", "status": 503}], ids=["silent", "503"]
)
def test_nobody_answers(stand: Stand, fault: dict[str, Any]) -> None:
    provider = stand.provider()
    provider.apply_account(ANNA)
    stand.fault(**fault, times=None)
    for call in (lambda: provider.observe_accounts([ANNA]), lambda: provider.apply_account(ANNA)):
        with pytest.raises(ProviderError) as told:
            call()
        assert told.value.retryable
    assert proof_of(provider).outcome == "unknown"  # never "missing"


def test_answers_come_in_the_order_of_the_questions(stand: Stand) -> None:
    provider = stand.provider()
    wanted = [replace(ANNA, email=f"box{n}@{DOMAIN}", reference=f"r{n}") for n in range(12)]
    for one in wanted[::2]:
        provider.apply_account(one)
    stand.fault("delay", method="GET", path="/admin/directory/v1/users", delay=0.1, times=10)
    started = time.monotonic()
    states = provider.observe_accounts(wanted)
    assert time.monotonic() - started >= 0.2  # five at a time, not all at once
    assert [state.email for state in states] == [one.email for one in wanted]
    assert [state.outcome for state in states] == ["matches", "missing"] * 6


def test_no_secret_is_told(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    values = google_values(stand.sandbox)
    key = json.loads(values["service_account_json"])["private_key"].splitlines()[1]
    provider = stand.provider()
    stand.fault("status", status=400, method="POST", path="/admin/directory/v1/users")
    said = [repr(provider), repr(ANNA), repr(provider.apply_account(ANNA))]
    stand.fault("drop_before", times=None)
    with pytest.raises(ProviderError) as told:
        provider.apply_account(ANNA)
    said += [caplog.text, str(told.value), repr(told.value.__context__), repr(vars(told.value))]
    for text in said:
        assert SECRET not in text
        assert key not in text
        assert "ya29." not in text


# --- Google Workspace alone -----------------------------------------------------------------------


@pytest.fixture
def google(running: RunningSandbox) -> Stand:
    made = Stand(running)
    made.reset()
    return made


def test_names_that_google_wants_are_made_from_the_address(google: Stand) -> None:
    provider = google.provider()
    sales = replace(ANNA, email=f"sales@{DOMAIN}", first_name="", last_name="")
    assert provider.apply_account(sales).outcome == "matches"
    assert observed(provider, sales) == ["matches"]
    user = google_users(google.sandbox)[sales.email]
    assert user["name"]["fullName"] == f"sales {DOMAIN}"
    unit = replace(ANNA, organization_unit="/Sales/North")
    provider.apply_account(unit)
    assert google_users(google.sandbox)[ANNA.email]["orgUnitPath"] == "/Sales/North"


def test_a_mailbox_that_is_being_set_up_is_not_proved_yet(google: Stand) -> None:
    provider = google.provider()
    provider.apply_account(ANNA)
    assert proof_of(provider) == LoginCheck(ANNA.email, "matches", None)
    google.sandbox.control("POST", "google", {"mailbox_delay": 60})
    assert proof_of(provider).outcome == "unknown"
    assert "still setting up" in proof_of(provider).detail


def refused(google: Stand, wanted: WantedAccount = ANNA) -> tuple[str, str]:
    state = google.provider().apply_account(wanted)
    assert state.outcome == "conflicts"
    return state.code, state.detail


def test_a_deleted_account_keeps_its_name_for_twenty_days(google: Stand) -> None:
    google.provider().apply_account(ANNA)
    google_does(google.sandbox, "delete", ANNA.email)
    code, detail = refused(google)
    assert code == "USER_ALREADY_EXISTS"
    assert "less than 20 days ago" in detail
    google_does(google.sandbox, "purge", ANNA.email)
    assert google.provider().apply_account(ANNA).outcome == "matches"


def test_what_others_did_to_an_account_of_ours_is_told(google: Stand) -> None:
    provider = google.provider()
    known = replace(TOLD, remote_id=provider.apply_account(ANNA).remote_id)
    google_does(google.sandbox, "suspend", ANNA.email, reason="ABUSE")
    (state,) = provider.observe_accounts([known])
    assert (state.outcome, state.code) == ("conflicts", "ACCOUNT_SUSPENDED")
    assert "ABUSE" in state.detail
    google_does(google.sandbox, "suspend", ANNA.email, reason="ADMIN")
    assert provider.apply_account(known).outcome == "matches"
    google_does(google.sandbox, "rename", ANNA.email, to=f"other@{DOMAIN}")
    (state,) = provider.observe_accounts([known])
    assert (state.outcome, state.code) == ("conflicts", "USER_ALREADY_EXISTS")
    assert f"other@{DOMAIN}" in state.detail
    google_does(google.sandbox, "delete", f"other@{DOMAIN}")
    google_does(google.sandbox, "purge", f"other@{DOMAIN}")
    assert observed(provider, known) == ["missing"]
    assert provider.apply_account(known).detail == "This account is gone at Google."


def test_seats_domains_and_names_have_the_contracts_errors(google: Stand) -> None:
    elsewhere = replace(ANNA, email="anna@elsewhere.test")
    with pytest.raises(ProviderError) as told:
        google.provider().apply_account(elsewhere)
    assert told.value.error_code == "DOMAIN_NOT_FOUND"
    assert (
        google.provider().apply_account(replace(elsewhere, is_present=False)).outcome == "matches"
    )
    google.provider().claim_domain("elsewhere.test")
    assert refused(google, elsewhere)[0] == "DOMAIN_NOT_VERIFIED"
    assert refused(google, replace(ANNA, email=f"a..b@{DOMAIN}"))[0] == "INVALID_USERNAME"
    assert refused(google, replace(ANNA, password="short"))[0] == "UNKNOWN_ERROR"
    google.sandbox.control("POST", "google", {"seats": 1})
    google.provider().apply_account(ANNA)
    code, detail = refused(google, replace(ANNA, email=f"bob@{DOMAIN}", reference="bob"))
    assert (code, "licence" in detail) == ("QUOTA_EXCEEDED", True)


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "INSUFFICIENT_PERMISSIONS"), (412, "QUOTA_EXCEEDED"), (400, "UNKNOWN_ERROR")],
)
def test_what_stays_refused(google: Stand, status: int, code: str) -> None:
    google.fault("status", status=status, method="POST", path="/admin/directory/v1/users")
    assert refused(google)[0] == code


@pytest.mark.parametrize(("status", "wait"), [(403, None), (429, 7)])
def test_a_rate_limit_is_only_for_now(google: Stand, status: int, wait: int | None) -> None:
    google.fault("rate_limit", status=status, retry_after=wait, path="/admin")
    with pytest.raises(ProviderError) as told:
        google.provider().apply_account(ANNA)
    assert (told.value.error_code, told.value.retryable) == ("RATE_LIMITED", True)
    assert told.value.retry_after == (wait or 10)
    assert google.sandbox.request_count("google", "GET") == 1  # not tried again at once


def test_domains_are_claimed_and_verified_by_a_record(google: Stand) -> None:
    provider, sandbox = google.provider(), google.sandbox
    assert provider.domain_claim("fresh.test") is None
    for _ in range(2):
        provider.claim_domain("fresh.test")
    claim = provider.domain_claim("fresh.test")
    assert claim is not None
    assert not claim.is_verified
    token = provider.verification_token("fresh.test")
    assert token == provider.verification_token("fresh.test")
    assert token.startswith("google-site-verification=")
    assert provider.verify_domain("fresh.test") is False
    others = google_provider(sandbox, admin="admin@others.test")
    assert others.verification_token("fresh.test") != token
    with pytest.raises(ProviderError) as told:
        others.claim_domain("fresh.test")
    assert (told.value.error_code, told.value.retryable) == ("DOMAIN_TAKEN", False)


def test_the_connection_says_for_whom_it_acts(google: Stand) -> None:
    shown = google.provider().check_connection()
    assert shown == f"Acts for admin@workspace.test in Google Workspace ({DOMAIN})."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"admin_email": "nobody@workspace.test"}, "does not know the administrator"),
        ({"key": "another"}, "its key may have been deleted"),
    ],
)
def test_a_service_account_that_may_not(
    google: Stand, changes: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    from sandbox.google_workspace import make_service_account

    values = google_values(google.sandbox, changes.get("admin_email", ""))
    if "key" in changes:
        values["service_account_json"] = json.dumps(make_service_account(tmp_path))
    base = f"{google.sandbox.base_url}/google/"
    provider = GoogleWorkspace(
        values,
        directory_url=base,
        verification_url=base,
        token_url=f"{base}token",
        timeout=3,
    )
    with pytest.raises(ProviderError) as told:
        provider.check_connection()
    assert (told.value.error_code, told.value.retryable) == ("INSUFFICIENT_PERMISSIONS", False)
    assert sentence in told.value.message


def test_the_file_does_not_choose_where_we_connect(google: Stand) -> None:
    """Its other fields lead to a port where nobody listens; none of them is asked."""
    values = google_values(google.sandbox)
    nowhere = "http://127.0.0.1:9/"
    account = json.loads(values["service_account_json"]) | {
        "token_uri": nowhere,
        "universe_domain": "127.0.0.1",
        "auth_uri": nowhere,
        "auth_provider_x509_cert_url": nowhere,
    }
    base = f"{google.sandbox.base_url}/google/"
    provider = GoogleWorkspace(
        {**values, "service_account_json": json.dumps(account)},
        directory_url=base,
        verification_url=base,
        token_url=f"{base}token",
        timeout=3,
    )
    assert provider.check_connection().startswith("Acts for admin@workspace.test")


def elliptic(account: dict[str, str]) -> str:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps({**account, "private_key": key.decode()})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda account: "",
        lambda account: "no json",
        lambda account: "[" * 5000,
        lambda account: "[]",
        lambda account: json.dumps({**account, "type": "authorized_user"}),
        lambda account: json.dumps({**account, "private_key": "-----BEGIN"}),
        lambda account: json.dumps({**account, "private_key": 5}),
        lambda account: json.dumps({**account, "client_email": "nobody"}),
        lambda account: json.dumps({key: account[key] for key in account if key != "private_key"}),
        elliptic,
    ],
)
def test_files_that_are_no_service_account(
    google: Stand, spoil: Callable[[dict[str, str]], str]
) -> None:
    good = google_values(google.sandbox)["service_account_json"]
    assert service_account_problem(good) == ""
    assert "not the JSON key" in service_account_problem(spoil(json.loads(good)))


def test_an_administrators_address() -> None:
    assert address_problem("admin@workspace.test") == ""
    for wrong in ("admin", "@x.test", "admin@x", "a b@x.test", "a@b@x.test", "a@x\u200b.test"):
        assert address_problem(wrong)
