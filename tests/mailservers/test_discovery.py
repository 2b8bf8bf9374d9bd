"""What mail programs and mail servers fetch at customers' names: over HTTP, by Host."""

import re
import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import LazySettings
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dnszones.mail_tls import sts_record
from dnszones.models import ChangePlan
from dnszones.plans.services import apply_plan
from dnszones.propagation import sweep as propagation
from mailservers.models import MailDomain
from mailservers.vendors import house_server
from mpanel.core.api import ratelimit
from tests.api import Api
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import verified
from tests.wizard.rows import Estate, estate
from tests.work import ended, sure, work_off

pytestmark = pytest.mark.django_db

NAME = "example.test"
CONFIG = "/mail/config-v1.1.xml"
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"
DISCOVER = "/autodiscover/autodiscover.xml"
STS = "/.well-known/mta-sts.txt"
OUTLOOK = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
ASKS = """<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
<Request><EMailAddress>{}</EMailAddress><AcceptableResponseSchema>
http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a
</AcceptableResponseSchema></Request></Autodiscover>"""


@pytest.fixture
def ours(ada: Person) -> Estate:
    """Ada's domain, placed on the house's server at the usual ports."""
    found = estate(ada, NAME)
    server = house_server()
    server.host, server.submission_port, server.imaps_port = "mail.host.test", 587, 993
    server.save()
    MailDomain.objects.update_or_create(
        domain=found.domain, defaults={"tenant_id": ada.actor.tenant_id, "server": server}
    )
    return found


def get(path: str, host: str, **query: str) -> Any:
    return Client().get(path, query, headers={"host": host})


def ask(address: str, host: str = f"autodiscover.{NAME}", body: str = ASKS) -> Any:
    return Client().post(
        DISCOVER, body.format(address), content_type="text/xml", headers={"host": host}
    )


def text_of(answer: Any, *names: str) -> list[str | None]:
    root = ET.fromstring(answer.content)  # noqa: S314  (we wrote it ourselves)
    return [root.findtext(f".//{OUTLOOK}{name}") for name in names]


def choose(found: Estate, **choices: object) -> None:
    """As though the setup had been applied with these."""
    plan = ChangePlan.objects.get(pk=found.plan.pk)
    plan.setup = {**plan.setup, **choices}
    plan.save()


def test_thunderbird_finds_its_settings(
    ours: Estate, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    get(CONFIG, f"autoconfig.{NAME}")  # the first request of a minute is counted in the database
    with django_assert_num_queries(1):
        answer = get(CONFIG, f"autoconfig.{NAME}")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/xml")
    assert "public" in answer["Cache-Control"]
    root = ET.fromstring(answer.content)  # noqa: S314
    assert [provider.get("id") for provider in root.iter("emailProvider")] == [NAME]
    servers = [
        (
            server.get("type"),
            *(server.findtext(name) for name in ("hostname", "port", "socketType")),
        )
        for tag in ("incomingServer", "outgoingServer")
        for server in root.iter(tag)
    ]
    assert servers == [
        ("imap", "mail.host.test", "993", "SSL"),
        ("smtp", "mail.host.test", "465", "SSL"),
        ("smtp", "mail.host.test", "587", "STARTTLS"),
    ]
    assert {name.text for name in root.iter("username")} == {"%EMAILADDRESS%"}
    others = (
        get(WELL_KNOWN, f"AutoConfig.{NAME}:443"),
        get(CONFIG, f"autoconfig.{NAME}", emailaddress="nobody@else.test"),
        get(CONFIG, "testserver", emailaddress=f"box0@{NAME}"),
        get(WELL_KNOWN, "testserver", emailaddress=f"no-such-box@{NAME.upper()}"),
    )
    assert {other.content for other in others} == {answer.content}


def test_outlook_finds_its_settings(ours: Estate) -> None:
    names = ("Server", "Port", "LoginName", "SSL")
    expected = ["mail.host.test", "993", f"Box0@{NAME}", "on"]
    assert text_of(ask(f"Box0@{NAME}"), *names) == expected
    assert text_of(ask(f"Box0@{NAME}", host="testserver"), *names) == expected
    shouted = Client().post(
        "/Autodiscover/Autodiscover.xml",
        ASKS.format(f"Box0@{NAME}"),
        content_type="text/xml",
        headers={"host": f"autodiscover.{NAME}"},
    )
    assert text_of(shouted, *names) == expected
    got = get(DISCOVER, f"autodiscover.{NAME}", emailaddress=f"Box0@{NAME}")
    assert text_of(got, *names) == expected
    assert "no-store" in got["Cache-Control"]


def test_nobody_learns_whether_a_mailbox_exists(ours: Estate) -> None:
    there, not_there = ask(f"box0@{NAME}"), ask(f"none@{NAME}")
    assert there.content.replace(b"box0@", b"none@") == not_there.content


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "<EMailAddress>{}",
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><EMailAddress>{}</EMailAddress>',
        "<EMailAddress>&amp;{}</EMailAddress>",
        "<EMailAddress><b>{}</b></EMailAddress>",
        "<EMailAddress>\x01{}</EMailAddress>",
        "<EMailAddress>x@else.test</EMailAddress>{}",
    ],
)
def test_questions_that_are_none_are_refused(ours: Estate, body: str) -> None:
    answer = ask(f"box0@{NAME}", body=body)
    assert answer.status_code == 200
    root = ET.fromstring(answer.content)  # noqa: S314
    assert [code.text for code in root.iter() if code.tag.endswith("ErrorCode")] == ["600"]


def test_what_else_is_asked_gets_a_plain_answer(ours: Estate) -> None:
    assert (
        b"<ErrorCode>601<"
        in ask("a@b.test", body=ASKS.replace("outlook/resp", "mobilesync/x")).content
    )
    assert b"<ErrorCode>500<" in ask("a@unknown.test", host="testserver").content
    assert ask(f"box0@{NAME}", body="x" * 10_001 + "{}").status_code == 413
    strange = Client().put(DISCOVER, headers={"host": f"autodiscover.{NAME}"})
    assert strange.status_code == 405
    assert get(CONFIG, "autoconfig.unknown.test").status_code == 404
    assert get(CONFIG, "testserver").status_code == 404
    for address in ("", "x", "a@b@c", "a@\x00", "a@ü.test", "<a@b>", "a@" + "x" * 300):
        assert get(CONFIG, "testserver", emailaddress=address).status_code == 404, address


def test_only_these_paths_at_these_names_are_answered(ours: Estate) -> None:
    for path, host in (
        ("/", f"autoconfig.{NAME}"),
        ("/sign-in/", f"mta-sts.{NAME}"),
        (CONFIG, NAME),
        (CONFIG, f"mta-sts.{NAME}"),
        (STS, f"autoconfig.{NAME}"),
        (DISCOVER, "evil.test"),
        (CONFIG, "autoconfig."),
        (CONFIG, "autoconfig.a b"),
    ):
        assert get(path, host).status_code == 400, (path, host)
    assert get(STS, "testserver").status_code == 404


def test_the_policy_is_the_one_that_was_applied(
    ours: Estate, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    host = f"mta-sts.{NAME}"
    assert get(STS, host).status_code == 404, "not set up"
    choose(ours, mta_sts="testing")
    with django_assert_num_queries(1):
        answer = get(STS, host)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    lines = answer.content.decode().split("\r\n")
    assert lines == [
        "version: STSv1",
        "mode: testing",
        "mx: mx.mail-sandbox.test",
        "max_age: 86400",
        "",
    ]
    choose(ours, mta_sts="enforce")
    assert b"mode: enforce" in get(STS, host).content
    assert sts_record("testing", "mx.test") != sts_record("enforce", "mx.test")
    assert get(STS, "mta-sts.unknown.test").status_code == 404
    ours.domain.verified_at = None
    ours.domain.save()
    assert get(STS, host).status_code == 404
    assert get(CONFIG, f"autoconfig.{NAME}").status_code == 404


def test_domains_handled_elsewhere_are_not_answered_for(ours: Estate) -> None:
    choose(ours, mta_sts="enforce", platform="google-workspace")
    assert get(STS, f"mta-sts.{NAME}").status_code == 404
    MailDomain.objects.update(provider="google_workspace")
    assert get(CONFIG, f"autoconfig.{NAME}").status_code == 404


def test_what_is_repeated_is_escaped(ours: Estate) -> None:
    address = f"a'&\"<b>@{NAME}"
    answer = Client().get(
        f"{DISCOVER}?emailaddress={quote(address)}", headers={"host": f"autodiscover.{NAME}"}
    )
    assert b"<b>" not in answer.content
    ET.fromstring(answer.content)  # noqa: S314


def test_too_many_questions_have_to_wait(ours: Estate, settings: LazySettings) -> None:
    settings.API_PUBLIC_RATE = 5
    ratelimit.forget_portions()
    statuses = [get(CONFIG, f"autoconfig.{NAME}").status_code for _ in range(7)]
    ratelimit.forget_portions()
    assert statuses == [200] * 5 + [429] * 2


def test_from_the_form_to_the_records_and_the_policy(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    settings.SITE_URL = "https://panel.host.test"
    domain = verified(ada, NAME, sandbox)
    page = ada.client.get(f"/setup/{domain.pk}/dns/").content.decode()
    assert re.search(r'name="autoconfig"[^>]* checked', page)
    chosen = {"autoconfig": "on", "mta_sts": "testing", "tls_rpt": f"tls@{NAME}"}
    ada.client.post(
        f"/setup/{domain.pk}/dns/",
        {"platform": "mailserver", "dmarc_policy": "none", "tracking_provider": "none", **chosen},
    )
    work_off()
    plan = ChangePlan.objects.get()
    assert "certificate" in plan.warnings[0]
    ended(sure(apply_plan, ada.actor, plan.pk))
    found = {(row["type"], row["name"].removesuffix(f".{NAME}")) for row in sandbox.records(NAME)}
    assert {
        ("SRV", "_imaps._tcp"),
        ("SRV", "_submission._tcp"),
        ("SRV", "_autodiscover._tcp"),
        ("CNAME", "autoconfig"),
        ("CNAME", "autodiscover"),
        ("CNAME", "mta-sts"),
        ("TXT", "_mta-sts"),
        ("TXT", "_smtp._tls"),
    } <= found
    propagation.sweep()
    domain.refresh_from_db()
    assert domain.status == "ready", "all of them were seen"
    shown = ada.client.get(f"/domains/{domain.pk}/").content.decode()
    assert all(label in shown for label in ("MTA-STS", "TLS reports", "Autoconfig"))
    assert b"mode: testing" in get(STS, f"mta-sts.{NAME}").content

    # The API asks for nothing of this by itself, and says it in its own words.
    api = Api(ada.token)
    path = f"/api/v1/domains/{domain.pk}/dns/preview"
    plain = api.post(path, {"email_platform": "mailserver"})
    work_off()
    plain = api.post(path, {"email_platform": "mailserver"})
    gone = {change["purpose"] for change in plain.body["delete"]}
    assert len(plain.body["delete"]) == 8
    assert gone == {"other"}
    refused = api.post(path, {"email_platform": "google-workspace", "tls_report_email": "a@b.test"})
    assert list(refused.body["error"]["details"]) == ["tls_report_email"]
