"""One door for every record: a page, the API and a zone file say the same about the same record."""

import html
from typing import Any, NamedTuple

import pytest

from dnszones.models import ChangePlan, Zone
from tests.api import Api
from tests.cast import Person
from tests.confirming import agreed
from tests.sandboxes import RunningSandbox
from tests.stories import connected
from tests.work import work_off

pytestmark = pytest.mark.django_db
NAME = "example.test"


@pytest.fixture
def zone(ada: Person, sandbox: RunningSandbox) -> Zone:
    return Zone.objects.get(domain=connected(ada, NAME))


@pytest.fixture
def zone_with_others(zone: Zone, sandbox: RunningSandbox) -> Zone:
    for other in (
        {"type": "MX", "name": "@", "content": "mx.other.test", "priority": 10},
        {"type": "CNAME", "name": "alias", "content": "mx.other.test"},
        {"type": "NS", "name": "sub", "content": "ns1.other.test"},
    ):
        sandbox.change_record(NAME, "add", **other)
    return zone


class Typed(NamedTuple):
    """A record as somebody types it."""

    kind: str
    name: str
    content: str
    priority: int | None = None


def by_api(person: Person, zone: Zone, typed: Typed) -> Any:
    given = {
        "type": typed.kind,
        "name": typed.name,
        "content": typed.content,
        "ttl": 300,
        "priority": typed.priority,
    }
    return Api(person.token).post(f"/api/dns/zones/{zone.pk}/records", given)


def by_page(person: Person, zone: Zone, typed: Typed, **more: str) -> Any:
    fields: dict[str, Any] = {"name": typed.name, "ttl": "300", "content": typed.content, **more}
    if typed.priority is not None:
        fields["priority"] = typed.priority
    if typed.kind == "SRV":
        fields["weight"], fields["port"], fields["target"] = typed.content.split()
    return person.client.post(f"/dns/{zone.pk}/add/?type={typed.kind}", fields)


def by_file(person: Person, zone: Zone, line: str) -> Any:
    text = f"good A 192.0.2.77\n{line}\n"
    return Api(person.token).post(f"/api/dns/zones/{zone.pk}/import", {"zoneFile": text}).body


def contents(sandbox: RunningSandbox) -> set[tuple[str, str]]:
    return {(record["type"], record["content"]) for record in sandbox.records(NAME)}


@pytest.mark.parametrize(
    ("typed", "line", "said"),
    [
        (Typed("CNAME", "www", "www2"), "www CNAME www2.", f"Did you mean www2.{NAME}?"),
        (Typed("MX", "@", "mail", 10), "@ MX 10 mail.", f"Did you mean mail.{NAME}?"),
        (Typed("NS", "sub", "ns1"), "sub NS ns1.", f"Did you mean ns1.{NAME}?"),
        (Typed("HTTPS", "svc", "1 web"), "svc HTTPS 1 web.", f"Did you mean web.{NAME}?"),
        (Typed("SRV", "_sip._tcp", "1 2 sip", 1), "_sip._tcp SRV 1 1 2 sip.", f"mean sip.{NAME}?"),
        (
            Typed("SRV", "_sip._tcp", "1 2 192.0.2.1", 1),
            "_sip._tcp SRV 1 1 2 192.0.2.1.",
            "is an address",
        ),
        (Typed("TXT", "@", "v=spf1 –all"), '@ TXT "v=spf1 –all"', "Did you mean “v=spf1 -all”?"),
        (
            Typed("TXT", "@", "v=spf1 inlcude:x.test -all"),
            "@ TXT v=spf1 inlcude:x.test -all",
            "mean",
        ),
        (Typed("TXT", "_dmarc", "v=DMARC1; p=bob"), "_dmarc TXT v=DMARC1; p=bob", "p=bob"),
    ],
)
def test_what_would_not_work_is_refused_at_every_entry_point_with_the_same_sentence(
    ada: Person,
    zone: Zone,
    typed: Typed,
    line: str,
    said: str,
) -> None:
    refused = by_api(ada, zone, typed)
    assert (refused.status, refused.error) == (400, "VALIDATION_ERROR")
    (sentence,) = refused.body["error"]["details"]["content"]
    assert said in sentence
    answer = by_page(ada, zone, typed)
    assert answer.status_code == 422
    assert sentence in html.unescape(answer.content.decode())
    assert not ChangePlan.objects.exists()
    imported = by_file(ada, zone, line)
    told = [f"Line {one['line']}: {one['text']}" for one in imported["questions"]]
    assert f"Line 2: {sentence}" in [*told, *imported["warnings"]]


@pytest.mark.parametrize("content", ['"left', '"v=spf1 -all', '"a" b'])
def test_quotes_that_do_not_match_are_published_nowhere(
    ada: Person, zone: Zone, content: str
) -> None:
    refused = by_api(ada, zone, Typed("TXT", "t", content))
    assert "quotation marks do not match" in refused.body["error"]["details"]["content"][0]
    answer = by_page(ada, zone, Typed("TXT", "t", content))
    assert "quotation marks do not match" in answer.content.decode()
    (warning,) = by_file(ada, zone, f"t TXT {content}")["warnings"]
    assert warning.startswith("Line 2: ")


@pytest.mark.parametrize(
    ("typed", "line", "said"),
    [
        (Typed("TXT", "@", "v=spf1 mx"), "@ TXT v=spf1 mx", "has no “all”"),
        (Typed("TXT", "@", "v=spf1 +all"), '@ TXT "v=spf1 +all"', "lets anyone send"),
        (Typed("TXT", "@", "v=spf1 ptr -all"), '@ TXT "v=spf1 ptr -all"', "“ptr” must not be used"),
        (
            Typed("TXT", "_dmarc", "v=DMARC1; p=none; rua=ftp://x.test"),
            '_dmarc TXT "v=DMARC1; p=none; rua=ftp://x.test"',
            "only to mailto:",
        ),
        (Typed("MX", "@", ".", 0), "@ MX 0 .", "null MX"),
        (Typed("MX", "@", f"alias.{NAME}", 20), "@ MX 20 alias", "must not lead to a CNAME"),
        (Typed("A", "www.sub", "192.0.2.1"), "www.sub A 192.0.2.1", "delegated to ns1.other.test"),
    ],
)
def test_what_is_doubtful_is_warned_about_at_every_entry_point(
    ada: Person, zone_with_others: Zone, typed: Typed, line: str, said: str
) -> None:
    zone = zone_with_others
    asked = by_page(ada, zone, typed)
    assert asked.status_code == 200
    assert said in html.unescape(asked.content.decode())
    assert not ChangePlan.objects.exists(), "a second question comes first"
    beside = "@ MX 10 mx.other.test.\nalias CNAME mx.other.test.\nsub NS ns1.other.test."
    warnings = by_file(ada, zone, f"{line}\n{beside}")["warnings"]
    assert any(warning.startswith("Line 2: ") and said in warning for warning in warnings)
    written = by_api(ada, zone, typed)
    assert written.status == 202
    assert any(said in warning for warning in written.body["warnings"])
    assert by_page(ada, zone, typed, sure="yes").status_code == 302


def test_a_cname_at_cloudflare_stands_beside_all_but_addresses(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    for name in ("@", "www"):
        for typed in (Typed("TXT", name, "x"), Typed("CNAME", name, "shop.other.test")):
            assert by_api(ada, zone, typed).status == 202
            work_off()
        assert by_api(ada, zone, Typed("A", name, "192.0.2.1")).error == "RECORD_CONFLICT"
    assert {kind for kind, _ in contents(sandbox)} == {"TXT", "CNAME"}
    assert set(ChangePlan.objects.values_list("status", flat=True)) == {"applied"}


def test_a_proposal_is_taken_over_with_one_click(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    refused = by_page(ada, zone, Typed("CNAME", "www", "www2"))
    page = html.unescape(refused.content.decode())
    assert 'name="corrected" value="yes"' in page
    assert f"www2.{NAME}" in page
    written = by_page(ada, zone, Typed("CNAME", "www", "www2"), corrected="yes")
    assert written.status_code == 302
    work_off()
    assert contents(sandbox) == {("CNAME", f"www2.{NAME}")}
    nothing_to_correct = by_page(ada, zone, Typed("A", "w", "192.0.2.999"), corrected="yes")
    assert nothing_to_correct.status_code == 422


def test_a_corrected_text_is_asked_about_like_any_other(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    asked = by_page(ada, zone, Typed("TXT", "@", "v=spf1 inlcude:x.test"), corrected="yes")
    page = html.unescape(asked.content.decode())
    assert "has no “all”" in page
    assert '<input type="hidden" name="corrected" value="yes">' in page
    by_page(ada, zone, Typed("TXT", "@", "v=spf1 inlcude:x.test"), corrected="yes", sure="yes")
    work_off()
    assert contents(sandbox) == {("TXT", '"v=spf1 include:x.test"')}


def _editable(api: Api, path: str) -> list[dict[str, Any]]:
    """The records of a zone but the one that proves whose the domain is."""
    return [row for row in api.get(path).body["items"] if not row["name"].startswith("_mpanel.")]


def test_a_record_that_is_wrong_already_may_get_another_ttl(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    sandbox.change_record(NAME, "add", type="TXT", name="@", content='"v=spf1 inlcude:x.test"')
    sandbox.change_record(NAME, "add", type="TXT", name="q", content='"\\"quoted\\""')
    api, path = Api(ada.token), f"/api/dns/zones/{zone.pk}/records"
    for record in _editable(api, path):
        given = {name: record[name] for name in ("type", "name", "content", "priority")}
        answer = agreed(api.put, f"{path}/{record['id']}", {**given, "ttl": 600})
        assert answer.status == 202, answer.raw
        work_off()
    found = {(record["content"], record["ttl"]) for record in _editable(api, path)}
    assert found == {("v=spf1 inlcude:x.test", 600), ('"quoted"', 600)}


def test_a_value_in_quotes_gets_no_second_ones(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    fields = {"name": "@", "ttl": "300", "flags": "0", "tag": "issue", "value": '"ca.test"'}
    assert ada.client.post(f"/dns/{zone.pk}/add/?type=CAA", fields).status_code == 302
    work_off()
    assert contents(sandbox) == {("CAA", '0 issue "ca.test"')}


# --- Questions about the lines of a file -------------------------------------------------------

FILE = """$ORIGIN example.test.
good A 192.0.2.77
www CNAME web.example.test
@ MX 10 aspmx.l.google.com
"""


def test_lines_that_look_wrong_are_answered_over_the_api(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api, path = Api(ada.token), f"/api/dns/zones/{zone.pk}/import"
    asked = api.post(path, {"zoneFile": FILE}).body
    assert [(one["line"], one["answer"]) for one in asked["questions"]] == [
        (3, "left_out"),
        (4, "left_out"),
    ]
    first = asked["questions"][0]
    assert first["written"]["content"] == f"web.{NAME}.{NAME}"
    assert first["proposal"]["content"] == f"web.{NAME}"
    answers = [{"line": 3, "use": "proposal"}, {"line": 4, "use": "written"}]
    again = api.post(path, {"zoneFile": FILE, "answers": answers}).body
    assert [one["answer"] for one in again["questions"]] == ["proposal", "written"]
    work_off()
    assert api.get(f"/api/dns/changes/{asked['id']}").body["status"] == "superseded"
    api.post(f"/api/dns/changes/{again['id']}/apply", {})
    work_off()
    assert contents(sandbox) == {
        ("A", "192.0.2.77"),
        ("CNAME", f"web.{NAME}"),
        ("MX", f"aspmx.l.google.com.{NAME}"),
    }


@pytest.mark.parametrize(
    "answers",
    [
        [{"line": 2, "use": "proposal"}],
        [{"line": 3, "use": "yes"}],
        [{"line": 0, "use": "written"}],
        [{"line": 3}],
        ["proposal"],
        {"3": "proposal"},
    ],
)
def test_answers_to_nothing_are_refused(ada: Person, zone: Zone, answers: Any) -> None:
    given = {"zoneFile": FILE, "answers": answers}
    refused = Api(ada.token).post(f"/api/dns/zones/{zone.pk}/import", given)
    assert refused.status == 400
    assert [field.split(".")[0] for field in refused.body["error"]["details"]] == ["answers"]


def test_an_answer_that_cannot_stand_beside_the_file_is_refused(ada: Person, zone: Zone) -> None:
    text = "www A 192.0.2.1\nwww CNAME web.example.test\n"
    given = {"zoneFile": text, "answers": [{"line": 2, "use": "proposal"}]}
    refused = Api(ada.token).post(f"/api/dns/zones/{zone.pk}/import", given)
    assert "cannot stand beside A" in refused.body["error"]["details"]["answers"][0]


def test_lines_that_look_wrong_are_answered_on_the_page(
    ada: Person, bo: Person, cy: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    ada.client.post(f"/dns/{zone.pk}/import/", {"zone_file": FILE})
    work_off()
    plan = ChangePlan.objects.get()
    page = html.unescape(ada.client.get(f"/domains/plans/{plan.pk}/").content.decode())
    assert "Lines that look wrong" in page
    assert f"Did you mean www.{NAME} CNAME web.{NAME}?" in page
    assert "Use these answers" not in bo.client.get(f"/domains/plans/{plan.pk}/").content.decode()
    fields = {"questions": "yes", "line-3": "proposal", "line-4": "left_out"}
    apply = f"/domains/plans/{plan.pk}/apply/"
    assert cy.client.post(apply, fields).status_code == 404
    assert bo.client.post(apply, fields).status_code == 403
    assert ada.client.post(apply, {**fields, "line-9": "proposal"}).status_code == 302
    assert ChangePlan.objects.count() == 1, "there is no question about line 9"
    answered = ada.client.post(apply, fields)
    work_off()
    plan.refresh_from_db()
    newest = ChangePlan.objects.latest("pk")
    assert (plan.status, newest.status) == ("superseded", "ready")
    assert answered["Location"].endswith(f"/domains/plans/{newest.pk}/")
    assert contents(sandbox) == set(), "the new plan is shown first"
    ada.client.post(f"/domains/plans/{newest.pk}/apply/", {})
    work_off()
    assert contents(sandbox) == {("A", "192.0.2.77"), ("CNAME", f"web.{NAME}")}
    assert ada.client.post(apply, fields).status_code == 409
