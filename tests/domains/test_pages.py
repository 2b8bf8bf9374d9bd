"""The pages on which a domain is connected, watched and disconnected."""

from typing import Any

import pytest
from django.utils import timezone

from domains.models import Domain
from domains.registrars import REGISTRARS
from tests.cast import Person
from tests.confirming import typed
from tests.sandboxes import RunningSandbox
from tests.stories import connected
from tests.wizard.rows import estate
from tests.work import work_off

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")


def connect(person: Person, text: str, **more: str) -> Any:
    fields = {"domain": text, "provider": "other", "credential": str(person.credential.pk)}
    return person.client.post("/setup/", {**fields, **more})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "required"),
        ("127.0.0.1", "IP address"),
        ("example", "whole domain"),
        ("mail.example.test", "Connect example.test instead"),
        ("co.uk", "ending under which others register"),
        ("-bad-.test", "not a domain name"),
        ("example.nosuchending", "cannot be registered"),
        ("two words.test", "without spaces"),
        ("x" * 900, "63 characters"),
    ],
)
def test_what_cannot_be_connected_is_said_beside_the_field(
    ada: Person, text: str, says: str
) -> None:
    answer = connect(ada, text)
    assert answer.status_code == 422
    (error,) = answer.context["form"].errors["domain"]
    assert says in error
    assert not Domain.objects.exists()


@pytest.mark.parametrize(
    "text",
    ["EXAMPLE.test", " https://www.example.test/a?b#c ", "ada@example.test", "example.test."],
)
def test_what_is_pasted_is_cleaned(ada: Person, text: str) -> None:
    answer = connect(ada, text, notes=" For ads ")
    domain = Domain.objects.get()
    assert answer["Location"] == f"/setup/{domain.pk}/nameservers/"
    assert (domain.name, domain.notes) == ("example.test", "For ads")


def test_twice_and_too_many_are_said_on_the_form(ada: Person, cy: Person) -> None:
    connect(ada, "d0.test")
    answer = connect(ada, "D0.test")
    assert answer.status_code == 422
    assert "already" in answer.context["form"].errors["domain"][0]
    for number in range(1, 5):
        assert connect(ada, f"d{number}.test").status_code == 302
    answer = connect(ada, "d5.test")
    assert answer.context["form"].errors["domain"] == [
        "Your plan (Trial) allows 5 domains; you have 5 and asked for 1 more."
    ]
    estate(cy, "taken.test")
    Domain.objects.filter(name="d0.test").delete()
    answer = connect(ada, "taken.test")
    assert "Another account has verified" in answer.context["form"].errors["domain"][0]


def test_only_what_is_offered_can_be_chosen(ada: Person, cy: Person) -> None:
    answer = connect(ada, "example.test", credential=str(cy.credential.pk))
    assert "credential" in answer.context["form"].errors
    assert "provider" in connect(ada, "example.test", provider="x").context["form"].errors
    assert not Domain.objects.exists()


@pytest.mark.parametrize("registrar", sorted(REGISTRARS))
def test_every_registrar_has_its_instructions(ada: Person, registrar: str) -> None:
    adas = estate(ada)
    Domain.objects.update(
        registrar=registrar,
        status=Domain.PENDING_NAMESERVERS,
        verified_at=None,
        zone_complete_at=timezone.now(),
    )
    page = ada.client.get(f"/setup/{adas.domain.pk}/nameservers/").content.decode()
    assert ("At " + REGISTRARS[registrar].name in page) == (registrar != "other")
    for nameserver in adas.domain.nameservers:
        assert nameserver in page
        assert page.count(nameserver) >= 2, "shown, and to be copied"


def test_check_now_looks_at_once(ada: Person, sandbox: RunningSandbox) -> None:
    domain = connected(ada, "example.test")
    path = f"/setup/{domain.pk}/nameservers/"
    page = ada.client.get(path)
    assert "ns1.parking-sandbox.test" in page.content.decode()
    sandbox.set_nameservers(domain.name)
    partial = ada.client.post(path, headers={"HX-Request": "true"})
    assert 'id="live"' in partial.content.decode()
    assert "<html" not in partial.content.decode()
    work_off()
    assert "The nameservers point here" in ada.client.get(path).content.decode()
    # Without JavaScript, and from the domain's own page.
    assert ada.client.post(path)["Location"] == path
    assert ada.client.post(f"/domains/{domain.pk}/check/")["Location"] == f"/domains/{domain.pk}/"


def test_steps_open_as_the_setup_goes_on(ada: Person) -> None:
    adas = estate(ada)
    base = f"/setup/{adas.domain.pk}/"
    expected = {
        Domain.PENDING: "nameservers",
        Domain.PENDING_NAMESERVERS: "nameservers",
        Domain.VERIFIED: "dns",
        Domain.DNS_CONFIGURING: "propagation",
        Domain.READY: "inboxes",
        Domain.PROVISIONED: "outreach",
        Domain.CONNECTED: "outreach",
    }
    order = ["domain", "nameservers", "dns", "propagation", "inboxes", "outreach"]
    for status, step in expected.items():
        Domain.objects.update(status=status)
        resumed = ada.client.get(base)["Location"]
        if status == Domain.PENDING:
            assert resumed in {f"{base}domain/", f"{base}nameservers/"}
        else:
            assert resumed == f"{base}{step}/"
        for later in order[order.index(step) + 1 :]:
            assert ada.client.get(f"{base}{later}/")["Location"] == resumed, (status, later)
        for earlier in order[: order.index(step) + 1]:
            assert ada.client.get(f"{base}{earlier}/").status_code == 200, (status, earlier)


def test_a_domain_being_disconnected_can_be_looked_at(ada: Person) -> None:
    adas = estate(ada)
    Domain.objects.update(status=Domain.DELETING)
    for path in ("/domains/", f"/domains/{adas.domain.pk}/", "/overview/", "/setup/"):
        assert ada.client.get(path).status_code == 200
    assert "Disconnecting" in ada.client.get("/domains/").content.decode()
    for step in ("", "dns/", "propagation/", "inboxes/", "outreach/", "nameservers/", "domain/"):
        at, hops = f"/setup/{adas.domain.pk}/{step}", 0
        while (answer := ada.client.get(at)).status_code == 302:
            at, hops = answer["Location"], hops + 1
            assert hops < 5, f"{step} leads around in circles"


def test_the_list_finds_and_filters(ada: Person) -> None:
    estate(ada, "apple.test")
    Domain.objects.update(status=Domain.READY)
    estate(ada, "xn--bcher-kva.test")
    Domain.objects.filter(name="xn--bcher-kva.test").update(unicode_name="bücher.test")

    def names(query: str) -> list[str]:
        return [str(row) for row in ada.client.get(f"/domains/?{query}").context["page"]]

    assert names("") == ["apple.test", "bücher.test"]
    assert names("q=büch") == ["bücher.test"]
    assert names("q=APPLE") == ["apple.test"]
    assert names("status=ready") == ["apple.test"]
    assert names("q=%25") == []
    assert "No domain matches" in ada.client.get("/domains/?q=zzz").content.decode()


def test_disconnecting_is_asked_twice(ada: Person) -> None:
    adas = estate(ada, inboxes=1)
    path = f"/domains/{adas.domain.pk}/disconnect/"
    assert "Disconnect example.test?" in ada.client.get(path).content.decode()
    assert Domain.objects.get().status == Domain.PROVISIONED
    answer = ada.client.post(path)
    assert answer.status_code == 409
    assert "1 mailbox is still on example.test" in answer.content.decode()
    adas.mailboxes[0].delete()
    refused = ada.client.post(path)
    assert refused.status_code == 422
    assert "cannot be read now, so what it serves is not known" in refused.content.decode()
    assert Domain.objects.get().status == Domain.PROVISIONED
    assert typed(ada.client, path, "example.test")["Location"].startswith("/jobs/")
    assert Domain.objects.get().status == Domain.DELETING


def test_registrar_and_notes_can_be_changed(ada: Person, bo: Person) -> None:
    adas = estate(ada)
    path = f"/domains/{adas.domain.pk}/edit/"
    assert bo.client.post(path, {"provider": "namecheap", "notes": "<b>x</b>"}).status_code == 302
    page = ada.client.get(f"/domains/{adas.domain.pk}/").content.decode()
    assert "Namecheap" in page
    assert "&lt;b&gt;x" in page
    assert ada.client.post(path, {"provider": "nobody", "notes": ""}).status_code == 422
    assert ada.client.post(path, {"provider": "other", "notes": "x" * 2001}).status_code == 422
