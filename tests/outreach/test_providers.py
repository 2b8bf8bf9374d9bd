"""The contract of the outreach port: one suite, run against every provider of it.

A provider joins with one entry in `BACKENDS`. The stand-ins really log in, over SMTP and IMAP, to
what they are given, so the sandbox here has mailboxes.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mailboxes.passwords import proof_digest
from mailservers.providers.base import LoginSettings
from mpanel.core import registry
from mpanel.core.errors import ProviderError
from outreach.providers.base import (
    Campaign,
    OutreachProvider,
    RemoteSender,
    SenderLogin,
    WarmupSettings,
)
from outreach.providers.instantly import Instantly
from outreach.providers.smartlead import Smartlead
from tests.mailviews import STATEMENTS
from tests.sandboxes import RunningSandbox

OWNER = "ada"
KEY = f"sandbox-{OWNER}"
PASSWORD = "Right3password"
WARMUP = WarmupSettings(max_email_per_day=30, total_per_day=20, daily_rampup=3)
numbers = count(1)


@dataclass(frozen=True)
class Bench:
    """A provider, and the sandbox that stands for its vendor."""

    provider: OutreachProvider
    sandbox: RunningSandbox
    database: Path
    build: Callable[..., OutreachProvider]

    def mailbox(self, password: str = PASSWORD) -> SenderLogin:
        """A mailbox that exists, as a tool is told of it; maybe with a wrong password."""
        email = f"ada{next(numbers)}@example.test"
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("INSERT INTO mail_login VALUES (?, ?)", (email, MAIL_HASH))
        return SenderLogin(
            email=email,
            first_name="Ada",
            last_name="Byron",
            password=password,
            settings=LoginSettings(
                smtp_host="localhost",
                smtp_port=self.sandbox.submission_port,
                imap_host="localhost",
                imap_port=self.sandbox.imaps_port,
            ),
        )

    def connected(self) -> RemoteSender:
        return self.provider.save_sender(self.mailbox(), WARMUP)

    def found(self, sender: RemoteSender) -> RemoteSender:
        return self.provider.find_senders([sender.email])[sender.email]

    def happens(self, action: str, **fields: Any) -> None:
        """Something at the vendor that mPanel did not ask for."""
        body = {"action": action, "service": self.provider.key, "owner": OWNER, **fields}
        self.sandbox.control("POST", "outreach", body)

    def there(self) -> list[dict[str, Any]]:
        query = f"outreach?service={self.provider.key}&owner={OWNER}"
        senders: list[dict[str, Any]] = self.sandbox.control("GET", query)["senders"]
        return senders


MAIL_HASH = proof_digest(PASSWORD)


def smartlead(sandbox: RunningSandbox, **options: Any) -> OutreachProvider:
    options = {"timeout": 5, "save_timeout": 8, **options}
    return Smartlead(
        {"api_key": options.pop("key", KEY)},
        base_url=f"{sandbox.base_url}/smartlead/api/v1",
        **options,
    )


def instantly(sandbox: RunningSandbox, **options: Any) -> OutreachProvider:
    options = {"timeout": 5, "save_timeout": 8, **options}
    return Instantly(
        {"api_key": options.pop("key", KEY)}, base_url=f"{sandbox.base_url}/instantly", **options
    )


BACKENDS: dict[str, Callable[..., OutreachProvider]] = {
    "smartlead on the sandbox": smartlead,
    "instantly on the sandbox": instantly,
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningSandbox, Path]]:
    folder = tmp_path_factory.mktemp("outreach")
    database = folder / "mail.sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in STATEMENTS:
            connection.execute(statement)
    with RunningSandbox(folder / "state", database_url=f"sqlite:///{database}") as sandbox:
        yield sandbox, database


@pytest.fixture(params=BACKENDS)
def bench(request: pytest.FixtureRequest, running: tuple[RunningSandbox, Path]) -> Bench:
    sandbox, database = running
    build = BACKENDS[request.param]
    sandbox.reset()
    return Bench(build(sandbox), sandbox, database, build)


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        call(*args, **kwargs)
    error = raised.value
    said = f"{error!r} {error.details} {error.__cause__!r} {error.__suppress_context__}"
    assert KEY not in said
    assert PASSWORD not in said
    return error


def test_every_provider_of_the_port_is_tried_here() -> None:
    known = {key for port, key in registry.all_providers() if port == "outreach"}
    assert known == {name.partition(" ")[0] for name in BACKENDS}


def test_the_connection_is_checked(bench: Bench) -> None:
    assert bench.provider.check_connection() == (
        f"Connected to {bench.provider.label}, with 3 campaigns."
    )


def test_nothing_secret_is_printed(bench: Bench) -> None:
    assert KEY not in repr(bench.provider) + str(vars(bench.provider))
    assert PASSWORD not in repr(bench.mailbox())


def test_a_mailbox_is_handed_over_and_found(bench: Bench) -> None:
    login = bench.mailbox()
    assert bench.provider.find_senders([login.email]) == {}
    saved = bench.provider.save_sender(login, WARMUP)
    assert (saved.email, saved.logs_in) == (login.email, True)
    assert bench.found(saved).id == saved.id
    (there,) = bench.there()
    assert there["name"] == "Ada Byron"


def test_a_wrong_password_is_refused_and_leaves_nothing(bench: Bench) -> None:
    login = bench.mailbox(password="Wrong3password")
    error = refusal(bench.provider.save_sender, login, WARMUP)
    assert (error.error_code, error.retryable) == ("INVALID_CREDENTIALS", False)
    assert bench.there() == []


def test_saving_what_is_there_makes_no_second_one(bench: Bench) -> None:
    login = bench.mailbox()
    first = bench.provider.save_sender(login, WARMUP)
    again = bench.provider.save_sender(login, WARMUP, known=bench.found(first))
    assert again.id == first.id
    assert len(bench.there()) == 1


def test_one_that_no_longer_logs_in_is_mended(bench: Bench) -> None:
    login = bench.mailbox()
    saved = bench.provider.save_sender(login, WARMUP)
    bench.happens("break", email=login.email)
    broken = bench.found(saved)
    assert not broken.logs_in
    bench.provider.save_sender(login, WARMUP, known=broken)
    assert bench.found(saved).logs_in
    assert len(bench.there()) == 1


def test_warmup_is_switched_on_and_off(bench: Bench) -> None:
    sender = bench.connected()
    bench.provider.set_warmup(sender.id, WARMUP)
    assert bench.found(sender).has(WARMUP)
    (there,) = bench.there()
    assert (there["total"], there["rampup"]) == (20, 3)
    off = WarmupSettings(enabled=False, max_email_per_day=30)
    bench.provider.set_warmup(sender.id, off)
    assert bench.found(sender).has(off)


def test_warmup_of_one_that_is_gone(bench: Bench) -> None:
    sender = bench.connected()
    bench.happens("delete", email=sender.email)
    error = refusal(bench.provider.set_warmup, sender.id, WARMUP)
    assert (error.error_code, error.retryable) == ("SENDER_GONE", False)
    assert bench.provider.warmup_days([sender.id]) == {}
    assert bench.provider.find_senders([sender.email]) == {}
    bench.provider.stop_sender(sender.id)


def test_one_that_is_stopped_stays_with_its_history(bench: Bench) -> None:
    sender = bench.connected()
    bench.provider.set_warmup(sender.id, WARMUP)
    assert bench.found(sender).warmup_enabled
    bench.provider.stop_sender(sender.id)
    stopped = bench.found(sender)
    assert not stopped.warmup_enabled
    assert not stopped.is_active
    assert bench.provider.warmup_days([sender.id])[sender.id]


def test_seven_days_of_warmup_are_told_as_numbers(bench: Bench) -> None:
    sender = bench.connected()
    bench.provider.set_warmup(sender.id, WARMUP)
    bench.found(sender)
    bench.sandbox.control("POST", "outreach", {"action": "age", "days": 9})
    days = bench.provider.warmup_days([sender.id])[sender.id]
    assert len(days) == 7
    assert [day.sent for day in days] == [12, 15, 18, 20, 20, 20, 20]
    assert [day.date for day in days] == sorted(day.date for day in days)
    assert all(day.delivered is None or 0 < day.delivered <= day.sent for day in days)
    reputation = bench.found(sender).reputation
    assert reputation is not None
    assert 90 < reputation <= 100


def test_campaigns_have_names_and_states(bench: Bench) -> None:
    found = bench.provider.campaigns()
    assert [(one.name, one.status) for one in found] == [
        ("Founders in Europe", "active"),
        ("Agencies, second round", "paused"),
        ("Spring drafts", "draft"),
    ]
    assert len({one.id for one in found}) == 3


def test_seats_are_taken_and_left(bench: Bench) -> None:
    first, second = bench.connected(), bench.connected()
    campaign: Campaign = bench.provider.campaigns()[0]
    bench.provider.assign_to_campaign(campaign.id, [first.id])
    bench.provider.assign_to_campaign(campaign.id, [first.id, second.id])
    assert bench.provider.assigned_senders(campaign.id) == {first.id, second.id}
    bench.provider.remove_from_campaign(campaign.id, [first.id])
    bench.provider.remove_from_campaign(campaign.id, [first.id])
    assert bench.provider.assigned_senders(campaign.id) == {second.id}


@pytest.mark.parametrize("campaign_id", ["987654", "../../accounts", ""])
def test_a_campaign_that_is_not_there(bench: Bench, campaign_id: str) -> None:
    sender = bench.connected()
    error = refusal(bench.provider.assign_to_campaign, campaign_id, [sender.id])
    assert error.retryable is False
    bench.provider.remove_from_campaign("987654", [sender.id])


def test_more_than_a_page_of_senders(bench: Bench) -> None:
    """The last one is on the second page."""
    login = bench.mailbox()
    bench.happens("add", email="filler@example.test", count=100)
    bench.provider.save_sender(login, WARMUP)
    assert set(bench.provider.find_senders([login.email])) == {login.email}


@pytest.mark.parametrize("key", ["nonsense", "sandbox-", "it\u2019s mine", "a\r\nX-Other: b"])
def test_a_key_that_is_refused(bench: Bench, key: str) -> None:
    other = bench.build(bench.sandbox, key=key)
    error = refusal(other.check_connection)
    assert (error.error_code, error.retryable) == ("API_KEY_REFUSED", False)


def test_a_key_that_is_revoked(bench: Bench) -> None:
    sender = bench.connected()
    bench.happens("revoke")
    assert refusal(bench.found, sender).error_code == "API_KEY_REFUSED"
    bench.happens("restore")
    assert bench.found(sender).id == sender.id


FAILURES = {
    # kind: code, retryable, ambiguous of a write
    "rate_limit": ("RATE_LIMITED", True, False),
    "drop_before": ("NETWORK_ERROR", True, True),
    "status": ("VENDOR", True, True),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_failures_are_told_apart(bench: Bench, kind: str) -> None:
    code, retryable, ambiguous = FAILURES[kind]
    code = bench.provider.error_code if code == "VENDOR" else code
    more = {"retry_after": 7} if kind == "rate_limit" else {}
    bench.sandbox.fault(bench.provider.key, kind, times=2, **more)
    error = refusal(bench.provider.save_sender, bench.mailbox(), WARMUP)
    assert (error.error_code, error.retryable, error.ambiguous) == (code, retryable, ambiguous)
    if kind == "rate_limit":
        assert error.retry_after == 7
    error = refusal(bench.provider.campaigns)
    assert (error.error_code, error.ambiguous) == (code, False)


def test_an_answer_that_never_comes_is_ambiguous_and_one_is_there(bench: Bench) -> None:
    hasty = bench.build(bench.sandbox, save_timeout=1.5)
    login = bench.mailbox()
    bench.sandbox.fault(bench.provider.key, "timeout_after_commit", method="POST")
    error = refusal(hasty.save_sender, login, WARMUP)
    assert (error.error_code, error.retryable, error.ambiguous) == ("NETWORK_ERROR", True, True)
    assert hasty.find_senders([login.email])[login.email].logs_in


def test_nobody_listens(bench: Bench) -> None:
    nobody = RunningSandbox(bench.database.parent / "never-started")
    error = refusal(bench.build(nobody).save_sender, bench.mailbox(), WARMUP)
    assert (error.error_code, error.retryable, error.ambiguous) == ("NETWORK_ERROR", True, False)


def test_neither_key_nor_password_is_ever_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """At the lowest level of every logger, for what works and for what fails."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    sender = bench.connected()
    bench.provider.set_warmup(sender.id, WARMUP)
    bench.provider.campaigns()
    refusal(bench.provider.save_sender, bench.mailbox(password="Wrong3password"), WARMUP)
    bench.sandbox.fault(bench.provider.key, "drop_before")
    refusal(bench.provider.campaigns)
    assert any(record.name == "httpx" for record in caplog.records)
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    said = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    for secret in (KEY, PASSWORD, "Wrong3password"):
        assert secret not in said


def test_the_import_file_has_a_cell_for_every_column(bench: Bench) -> None:
    login = bench.mailbox()
    row = dict(
        zip(
            bench.provider.import_columns,
            bench.provider.import_row(login, WARMUP),
            strict=True,
        )
    )
    lower = {name.lower().replace(" ", "_"): cell for name, cell in row.items()}
    assert PASSWORD in row.values()
    assert lower["smtp_host"] == lower["imap_host"] == "localhost"
    assert lower["warmup_enabled"] == "TRUE"
