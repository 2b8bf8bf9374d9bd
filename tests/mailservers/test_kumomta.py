"""KumoMTA as a mail provider: what we write is run by our policy, over real SMTP."""

import smtplib
import ssl
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import dkim
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from billing.models import Account
from dnszones.models import DkimKey
from mailboxes.maildomains import attach_mail
from mailboxes.models import Mailbox
from mailboxes.services import (
    activate_mailbox,
    delete_mailboxes,
    provision_mailboxes,
    suspend_mailbox,
)
from mailservers import kumomta
from mailservers.models import MailServer
from mailservers.providers.base import Login, LoginCheck, WantedAccount
from mailservers.providers.kumomta import KumoMTA, SenderStatus, SigningKeyFile
from mailservers.vendors import kumomta as kumomta_provider
from mpanel.core.errors import Invalid, ProviderError
from tests.cast import Person
from tests.certificates import make_certificates
from tests.kumomta import KumoStandIn
from tests.sandboxes import RunningSandbox
from tests.stories import published
from tests.work import until

SECRET = "Right3password"
ANNA = WantedAccount(email="anna@kumo.test", reference="1", password=SECRET, quota_mb=1)
TOLD = replace(ANNA, password="")
GONE = replace(TOLD, is_present=False)


@dataclass
class Place:
    """A KumoMTA with its files and a row."""

    stand: KumoStandIn
    directory: Path
    ca_file: Path
    row: MailServer

    @property
    def provider(self) -> KumoMTA:
        return kumomta_provider(self.row)

    def proof(self, email: str = ANNA.email, password: str = SECRET) -> LoginCheck:
        self.provider.reload()  # forget what was asked before
        return self.provider.verify_logins([Login(email, password)], on_result=lambda _: None)[0]

    def send(self, login: str, password: str, sender: str = "", header: str = "") -> str:
        """The reply to a message."""
        self.provider.reload()
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with smtplib.SMTP("localhost", self.stand.submission_port, timeout=60) as client:
            client.starttls(context=context)
            client.login(login, password)
            text = f"From: {header or login}\r\nSubject: Hello\r\n\r\nHello.\r\n"
            client.mail(sender or login)
            client.rcpt("somebody@far.test")
            code, reply = client.data(text.encode())
        return f"{code} {reply.decode()}"


@pytest.fixture
def place(db: None, tmp_path: Path) -> Iterator[Place]:
    ca_file, certificate, private_key = make_certificates(tmp_path)
    directory = tmp_path / "kumo"
    directory.mkdir()
    row = MailServer.objects.create(
        slug="kumo",
        label="KumoMTA",
        kind="kumomta",
        region="far",
        region_label="Far",
        host="localhost",
        mx_host="mx.host.test",
        spf_name="_spf.host.test",
        ca_file=str(ca_file),
        directory=str(directory),
    )
    call_command(
        "kumomta", server="kumo", certificate=str(certificate), private_key=str(private_key)
    )
    with KumoStandIn(directory / "init.lua", certificate, private_key) as stand:
        row.submission_port, row.admin_url = stand.submission_port, stand.admin_url
        row.save()
        yield Place(stand, directory, ca_file, row)


def observed(place: Place, wanted: WantedAccount) -> str:
    (state,) = place.provider.observe_accounts([wanted])
    return state.outcome


def allow(place: Place, **changes: object) -> None:
    standing = SenderStatus(email=ANNA.email, tenant="t1", daily_limit=10)
    place.provider.keep_sender_statuses([replace(standing, **changes)])  # type: ignore[arg-type]


def test_the_policy_offers_no_open_relay(place: Place) -> None:
    submission, admin = place.stand.policy.listeners
    assert not list(submission["relay_hosts"].values())
    assert submission["listen"] == f"0.0.0.0:{MailServer().submission_port}"
    assert admin["listen"].startswith("127.0.0.1:")
    assert f"{place.directory}/*.toml" in place.stand.policy.globs


def test_an_account_is_made_changed_and_removed(place: Place) -> None:
    assert observed(place, ANNA) == "missing"
    assert place.proof().outcome == "missing"
    for _ in range(2):
        assert place.provider.apply_account(ANNA).outcome == "matches"
    assert observed(place, ANNA) == observed(place, TOLD) == "matches"
    assert place.proof().outcome == "matches"
    assert place.proof(password="Wrong3password").outcome == "missing"

    other = replace(ANNA, password="Other3password")
    assert observed(place, other) == "missing"
    place.provider.apply_account(other)
    assert place.proof().outcome == "missing"
    assert place.proof(password="Other3password").outcome == "matches"

    shut = replace(TOLD, may_log_in=False)
    assert observed(place, shut) == "missing"
    place.provider.apply_account(shut)
    assert place.proof(password="Other3password").outcome == "missing"
    place.provider.apply_account(TOLD)
    assert place.proof(password="Other3password").outcome == "matches"

    assert observed(place, GONE) == "missing"
    for _ in range(2):
        assert place.provider.apply_account(GONE).outcome == "matches"
    assert observed(place, GONE) == "matches"
    assert place.proof(password="Other3password").outcome == "missing"


def test_another_mailboxes_login_is_neither_taken_nor_removed(place: Place) -> None:
    place.provider.apply_account(ANNA)
    stranger = replace(ANNA, reference="2")
    state = place.provider.apply_account(stranger)
    assert (state.outcome, state.code) == ("conflicts", "USER_ALREADY_EXISTS")
    assert place.provider.apply_account(replace(GONE, reference="2")).outcome == "matches"
    assert place.proof().outcome == "matches"


def test_a_mailbox_sends_as_itself_within_its_limit(place: Place) -> None:
    place.provider.apply_account(ANNA)
    assert place.send(ANNA.email, SECRET).startswith("450 4.7.1")  # nothing is allowed yet
    allow(place, daily_limit=2)
    assert place.send(ANNA.email, SECRET, sender="bo@kumo.test").startswith("553 5.7.1")
    assert place.send(ANNA.email, SECRET, header="bo@kumo.test").startswith("550 5.7.1")
    assert place.send(ANNA.email, SECRET).startswith("250")
    assert place.send(ANNA.email, SECRET).startswith("250")
    assert place.send(ANNA.email, SECRET).startswith("450 4.7.1")
    allow(place, refusal="Your trial has ended.")
    assert place.send(ANNA.email, SECRET) == "550 5.7.1 Your trial has ended."
    assert [message.meta["tenant"] for message in place.stand.accepted] == ["t1", "t1"]


def test_files_that_cannot_be_written_are_tried_again(place: Place) -> None:
    lost = KumoMTA(
        {},
        directory=place.directory / "nowhere",
        smtp_host="localhost",
        smtp_port=1,
        ca_file="",
        timeout=1,
        admin_url="http://127.0.0.1:1",
    )
    for act in (lambda: lost.apply_account(ANNA), lambda: lost.keep_keys([]), lost.reload):
        with pytest.raises(ProviderError) as told:
            act()
        assert told.value.retryable
    assert SECRET not in str(told.value)


def test_a_key_that_cannot_be_read_keeps_its_file(place: Place) -> None:
    """Else the domain's mail would pass unsigned, and the other domains' keys be old."""
    provider = place.provider
    one, other, never = (
        SigningKeyFile(domain=f"{name}.test", selector="mpanel", pem=pem)
        for name, pem in (("one", "one"), ("other", "other"), ("never", None))
    )
    provider.keep_keys([one])
    assert provider.keep_keys([replace(one, pem=None), never, other])
    files = {path.parent.name: path.read_text() for path in place.directory.glob("dkim/*/*.key")}
    assert files == {"one.test": "one", "other.test": "other"}
    table = tomllib.loads((place.directory / "dkim_data.toml").read_text())
    assert set(table["domain"]) == {"one.test", "other.test"}


@pytest.mark.parametrize("name", ["../../etc/passwd", "a..b", 'x"]\n[base', "ü.test", ""])
def test_no_name_leaves_its_folder_or_its_table(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        SigningKeyFile(domain=name, selector="s", pem="")


def test_a_policy_is_told_plain_values_only(place: Place) -> None:
    with pytest.raises(Invalid, match="no spool"):
        kumomta.PolicySettings(certificate="/c", private_key="/k", spool="/x'\nos.exit()")
    MailServer.objects.create(
        slug="other", kind="mailserver", directory=str(place.directory), label="x"
    )
    with pytest.raises(CommandError, match="is no KumoMTA"):
        call_command("kumomta", server="other", certificate="/c", private_key="/k")


@pytest.mark.django_db(transaction=True)
def test_a_domain_placed_on_it_gets_proved_inboxes_and_signed_mail(
    ada: Person, sandbox: RunningSandbox, place: Place
) -> None:
    domain = published(ada, "kumo.test", sandbox)
    attach_mail(ada.actor, domain.pk, provider="kumomta", region="far")
    batch = provision_mailboxes(ada.actor, domain.pk, count=2, convention="firstname")
    until(lambda: not batch.mailboxes.unverified().exists())
    first, _second = batch.mailboxes.order_by("address")
    assert {box.status for box in batch.mailboxes.all()} == {Mailbox.ACTIVE}
    assert first.imap_proved_at is None

    kumomta.sweep()
    assert not kumomta.keep(place.row)
    assert place.send(first.address, first.password()).startswith("250")
    (message,) = place.stand.accepted
    key = DkimKey.objects.get(zone__domain=domain, status=DkimKey.SIGNING)
    assert dkim.verify(message.raw, dnsfunc=lambda name, **_: key.public_value.encode())
    stored = tomllib.loads((place.directory / "dkim_data.toml").read_text())
    assert Path(stored["domain"]["kumo.test"]["filename"]).stat().st_mode & 0o077 == 0

    suspend_mailbox(ada.actor, first.pk)
    until(lambda: place.proof(first.address, first.password()).outcome == "missing")
    activate_mailbox(ada.actor, first.pk)
    until(lambda: place.proof(first.address, first.password()).outcome == "matches")

    Account.objects.filter(tenant=ada.tenant).update(
        trial_ends_at=timezone.now() - timedelta(minutes=1)
    )
    kumomta.sweep()
    assert "trial has ended" in place.send(first.address, first.password())

    password = first.password()
    delete_mailboxes(ada.actor, [first.pk])
    until(lambda: Mailbox.objects.get(pk=first.pk).status == Mailbox.DELETED)
    assert place.proof(first.address, password).outcome == "missing"
