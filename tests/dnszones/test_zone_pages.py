"""The same stories in the browser: without JavaScript, forms by type, second questions."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from dnszones.models import ChangePlan, Zone
from dnszones.plans.services import apply_plan
from tests.cast import Person
from tests.confirming import typed
from tests.sandboxes import RunningSandbox
from tests.stories import connected, planned, verified
from tests.work import sure, work_off

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.one_database("pages over services whose own tests run on both databases"),
]
NAME = "example.test"


@pytest.fixture
def zone(ada: Person, sandbox: RunningSandbox) -> Zone:
    return Zone.objects.get(domain=connected(ada, NAME))


def add(person: Person, zone: Zone, kind: str, **fields: Any) -> Any:
    fields = {"name": "www", "ttl": "300", **fields}
    return person.client.post(f"/dns/{zone.pk}/add/?type={kind}", fields)


def page(person: Person, zone: Zone, query: str = "") -> str:
    answer = person.client.get(f"/dns/{zone.pk}/{query}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def link(text: str, what: str) -> str:
    """The address behind the icon that is spoken so."""
    (found,) = re.findall(rf'href="([^"]+)"[^>]*aria-label="{re.escape(what)}"', text)
    return str(found)


def contents(sandbox: RunningSandbox) -> set[tuple[str, str]]:
    return {(record["type"], record["content"]) for record in sandbox.records(NAME)}


def test_zones_are_in_the_sidebar_and_searched(ada: Person, cy: Person, zone: Zone) -> None:
    shown = ada.client.get("/dns/").content.decode()
    assert f'href="/dns/{zone.pk}/"' in shown
    assert 'href="/dns/" aria-current="page"' in shown
    assert "No zone matches" in ada.client.get("/dns/?q=elsewhere").content.decode()
    assert "No zones yet" in cy.client.get("/dns/").content.decode()


def test_a_record_is_added_changed_deleted_and_taken_back(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    assert "Proves that it is yours" in page(ada, zone)
    assert add(ada, zone, "A", content="192.0.2.7").status_code == 302
    waiting = page(ada, zone)
    assert "Writing to the zone" in waiting
    assert '<meta http-equiv="refresh"' in waiting, "it goes on without JavaScript"
    poll = ada.client.get(f"/dns/{zone.pk}/", headers={"HX-Request": "true"})
    assert poll.status_code == 204, "the provider is not asked each second"
    work_off()
    shown = page(ada, zone)
    assert "was read back" in shown
    assert "192.0.2.7" in shown

    path = link(shown, f"Change A www.{NAME}")
    form = ada.client.get(path).context["form"]
    assert (form.initial["name"], form.initial["content"]) == ("www", "192.0.2.7")
    fields = {"name": "www", "ttl": "3600", "content": "192.0.2.8", "shown": "192.0.2.7"}
    asked = ada.client.post(path, fields)
    assert asked.status_code == 200
    assert "no longer leads to 192.0.2.7, but to 192.0.2.8" in asked.content.decode()
    assert typed(ada.client, path, "another.test", fields).status_code == 422
    assert typed(ada.client, path, f" {NAME.upper()}. ", fields).status_code == 302
    work_off()
    assert contents(sandbox) == {("A", "192.0.2.8")}
    stale = ada.client.post(path, fields)
    assert stale.status_code == 422
    assert "changed meanwhile: 192.0.2.8" in stale.content.decode()

    path = link(page(ada, zone), f"Delete A www.{NAME}")
    assert f"Delete A www.{NAME}?" in ada.client.get(path).content.decode()
    assert f"The website www.{NAME} goes dark" in ada.client.get(path).content.decode()
    assert ada.client.post(path).status_code == 422
    assert typed(ada.client, path, NAME).status_code == 302
    work_off()
    assert contents(sandbox) == set()

    history = ada.client.get(f"/domains/{zone.domain_id}/plans/").content.decode()
    for told in ("Create", "Update", "Delete"):
        assert f"{told} A www.{NAME}" in history
    assert ada.user.email in history
    assert history.count("Take back<") == 3
    deletion = ChangePlan.objects.first()
    assert deletion is not None
    assert ada.client.post(f"/domains/plans/{deletion.pk}/revert/").status_code == 302
    work_off()
    assert contents(sandbox) == {("A", "192.0.2.8")}


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"priority": "10", "content": "mx.other.test"}, ("MX", "mx.other.test")),
        ({"content": '"v=x; " "y"'}, ("TXT", '"v=x; y"')),
        ({"flags": "0", "tag": "issue", "value": "ca.test"}, ("CAA", '0 issue "ca.test"')),
        (
            {"name": "_sip._tcp", "priority": "1", "weight": "5", "port": "5060", "target": "s.x"},
            ("SRV", "5 5060 s.x"),
        ),
    ],
)
def test_each_type_has_its_form(
    ada: Person,
    zone: Zone,
    sandbox: RunningSandbox,
    fields: dict[str, str],
    written: tuple[str, str],
) -> None:
    kind = written[0]
    assert add(ada, zone, kind, **fields).status_code == 302
    work_off()
    assert contents(sandbox) == {written}
    name = fields.get("name", "www")
    path = link(page(ada, zone, f"?type={kind.lower()}"), f"Change {kind} {name}.{NAME}")
    form = ada.client.get(path).context["form"]
    assert ada.client.post(path, {**form.initial, "ttl": "60"}).status_code == 302


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("A", {"content": "192.0.2.256"}, "content"),
        ("A", {"content": "192.0.2.1", "name": "two words"}, "name"),
        ("SRV", {"priority": "1", "weight": "x", "port": "5060", "target": "s.x"}, "target"),
        ("CAA", {"flags": "9", "tag": "issue", "value": "ca.test"}, "value"),
        ("TXT", {"content": "x" * 5_000}, "content"),
        ("MX", {"content": "mx.test"}, "priority"),
    ],
)
def test_mistakes_are_shown_at_their_field(
    ada: Person, zone: Zone, kind: str, fields: dict[str, str], field: str
) -> None:
    answer = add(ada, zone, kind, **fields)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not ChangePlan.objects.exists()


def test_a_member_looks_but_does_not_touch(ada: Person, bo: Person, zone: Zone) -> None:
    shown = page(bo, zone)
    assert "Add a record" not in shown
    assert add(bo, zone, "A", content="192.0.2.7").status_code == 403


def test_records_that_mail_needs_ask_a_second_question(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    sure(apply_plan, ada.actor, planned(ada, domain).pk)
    work_off()
    zone = Zone.objects.get()
    shown = page(ada, zone)
    assert "Kept for mail: MX" in shown
    asked = add(ada, zone, "TXT", name="", content="v=spf1 a -all")
    assert asked.status_code == 200
    assert "receivers use neither" in asked.content.decode()
    assert add(ada, zone, "TXT", name="", content="v=spf1 a -all", sure="yes").status_code == 302
    question = ada.client.get(link(shown, f"Delete MX {NAME}")).content.decode()
    assert "The mail setup keeps this MX record" in question


def test_a_zone_file_is_compared_agreed_to_and_written(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.99")
    file = SimpleUploadedFile("x.zone", b"www A 192.0.2.1\nnew A 192.0.2.2\n")
    sent = ada.client.post(f"/dns/{zone.pk}/import/", {"file": file})
    assert sent.status_code == 302
    assert "Reading the zone" in ada.client.get(sent["Location"]).content.decode()
    work_off()
    shown = ada.client.get(sent["Location"])
    assert "The zone says otherwise: A 192.0.2.99" in shown.content.decode()
    path = f"{sent['Location']}apply/"
    agreed = ada.client.post(path, {"replace": "all"})
    work_off()
    refused = ada.client.post(f"{agreed['Location']}apply/")
    assert refused.status_code == 422
    assert f"The website www.{NAME} no longer leads to 192.0.2.99" in refused.content.decode()
    assert contents(sandbox) == {("A", "192.0.2.99")}
    applied = typed(ada.client, f"{agreed['Location']}apply/", NAME)
    work_off()
    assert contents(sandbox) == {("A", "192.0.2.1"), ("A", "192.0.2.2")}
    assert ada.client.get(applied["Location"]).context["row"].status == ChangePlan.APPLIED
    export = ada.client.get(f"/dns/{zone.pk}/export/")
    assert export["Content-Disposition"] == f'attachment; filename="{NAME}.zone"'
    assert "www\tIN\tA\t192.0.2.1" in export.content.decode()


def test_files_that_cannot_be_read_say_so_beside_the_field(ada: Person, zone: Zone) -> None:
    path = f"/dns/{zone.pk}/import/"
    big = SimpleUploadedFile("x.zone", b"w A 192.0.2.1\n" * 750_000)
    for fields, said in (
        ({"zone_file": "www A 1.2.3"}, "Line 1: "),
        ({"file": big}, "1,000,000 bytes"),
        ({"file": SimpleUploadedFile("x.zone", b"\xff\xfe")}, "not a text in UTF-8"),
        ({}, "Choose a file"),
    ):
        answer = ada.client.post(path, fields)
        assert answer.status_code == 422
        assert said in answer.content.decode()


def test_a_provider_that_is_down_leaves_a_page(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    sandbox.fault("cloudflare", "status", status=503, times=None)
    assert "The zone cannot be shown now" in page(ada, zone)
    for path in ("add/", "export/", "records/x/", "records/x/delete/"):
        answer = ada.client.get(f"/dns/{zone.pk}/{path}")
        assert (answer.status_code, answer["Location"]) == (302, f"/dns/{zone.pk}/")
