"""Pages keep the place of who uses them, and name a normal wait what it is."""

import re
from urllib.parse import quote

import pytest
from django.utils import timezone

from dnszones.models import PropagationSession, Record
from dnszones.plans import ExistingRecord, plan_removal
from dnszones.records import RecordData
from mailboxes.models import Mailbox
from mailservers.models import MailDomain
from mailservers.vendors import house_server
from tests.cast import Person
from tests.wizard.rows import Estate, estate
from tests.wizard.test_every_page import LISTS
from wizard.steps import STEPS

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

ROW_FORM = re.compile(r'<form method="post".*?</form>', re.DOTALL)


def filtered(of: Estate) -> str:
    return f"/mailboxes/?q=box&status=active&domain={of.domain.pk}&page=1"


def test_every_form_over_rows_of_a_list_names_the_list_as_it_is(ada: Person) -> None:
    estate(ada)
    found = 0
    for path in LISTS.values():
        for here in (f"{path}?q=&page=1", f"{path}?show=unread&page=1"):
            page = ada.client.get(here).content.decode()
            for form in ROW_FORM.findall(page):
                if "data-row" in form or 'name="notification"' in form:
                    found += 1
                    assert f'name="next" value="{here.replace("&", "&amp;")}"' in form, path
    assert found


@pytest.mark.parametrize("action", ["suspend", "activate", ""])
def test_what_is_done_to_several_mailboxes_keeps_the_filter(ada: Person, action: str) -> None:
    adas = estate(ada)
    form = {"mailbox": adas.mailboxes[0].pk, "action": action, "next": filtered(adas)}
    if not action:
        del form["mailbox"]
    assert ada.client.post("/mailboxes/bulk/", form)["Location"] == filtered(adas)


@pytest.mark.parametrize("path", ["/mailboxes/delete/", "/mailboxes/bulk/"])
def test_a_second_question_keeps_the_filter(ada: Person, path: str) -> None:
    adas = estate(ada)
    here = filtered(adas)
    form = {"mailbox": adas.mailboxes[0].pk, "action": "reset-password", "next": here}
    question = ada.client.post(path, form).content.decode()
    shown = here.replace("&", "&amp;")
    assert f'name="next" value="{shown}"' in question
    assert f'href="{shown}" data-dialog-close' in question
    done = ada.client.post(path, {**form, "sure": "yes"})
    assert here == done.get("Location") or f'href="{shown}"' in done.content.decode()
    elsewhere = ada.client.post(path, {**form, "next": "https://evil.test/"}).content.decode()
    assert "evil.test" not in elsewhere


def test_an_alias_is_removed_from_a_filtered_list_and_back(ada: Person) -> None:
    adas = estate(ada)
    here = f"/mailboxes/domains/{adas.domain.pk}/?q=box&page=1"
    link = f"/mailboxes/aliases/{adas.alias.pk}/delete/?next={quote(here, safe='')}"
    assert link in ada.client.get(here).content.decode()
    question = ada.client.get(link).content.decode()
    assert f'action="/mailboxes/aliases/{adas.alias.pk}/delete/?next={quote(here)}"' in question
    assert ada.client.post(link)["Location"] == here


def test_the_steps_come_with_each_live_part_of_a_step(ada: Person) -> None:
    adas = estate(ada)
    for step in STEPS[1:]:
        path = f"/setup/{adas.domain.pk}/{step.key}/"
        part = ada.client.get(path, headers={"HX-Request": "true"}).content.decode()
        assert 'id="steps"' in part, step.key
        assert 'hx-swap-oob="morph"' in part, step.key
        assert part.count('id="live"') == 1, step.key
        assert "<html" not in part, step.key


def seen(record: Record, own: str, resolver: str) -> None:
    sighting: dict[str, object] = {
        "verdict": resolver,
        "found": [],
        "why": "",
        "until": None,
        "server": "North",
    }
    record.own = {"verdict": own, "found": [], "why": ""}
    record.sightings = [sighting]
    record.save()


def badges(page: str) -> list[str]:
    """The badges of the first record's line."""
    line = page.partition("<tbody>")[2].partition("</tr>")[0]
    return [text.strip() for text in re.findall(r"</svg>([^<]+)</span>", line)]


def test_an_old_answer_in_a_cache_is_waited_for(ada: Person) -> None:
    adas = estate(ada)
    path = f"/setup/{adas.domain.pk}/propagation/"
    record = Record.objects.filter(zone=adas.zone)[0]
    for stale in ("missing", "conflicts"):
        seen(record, "matches", stale)
        assert badges(ada.client.get(path).content.decode())[:2] == ["Matches", "Waiting"]
    # Written a moment ago: the zone itself shows it soon.
    seen(record, "missing", "missing")
    assert badges(ada.client.get(path).content.decode())[:2] == ["Waiting", "Waiting"]
    PropagationSession.objects.update(status=PropagationSession.COMPLETED)
    assert badges(ada.client.get(path).content.decode())[:2] == ["Missing", "Missing"]


def test_health_without_data_is_new(ada: Person) -> None:
    adas = estate(ada)
    page = ada.client.get(f"/mailboxes/{adas.mailboxes[0].pk}/").content.decode()
    card = page.partition('id="health"')[2].partition("</div>")[0]
    assert "New" in card
    MailDomain.objects.create(
        tenant=ada.tenant, domain=adas.domain, server=house_server(), provider="mailserver"
    )
    page = ada.client.get(f"/mailboxes/domains/{adas.domain.pk}/").content.decode()
    assert "New" in page.partition('id="health"')[2].partition("</div>")[0]
    Mailbox.objects.update(health_score=80, health_at=timezone.now())
    page = ada.client.get(f"/mailboxes/{adas.mailboxes[0].pk}/").content.decode()
    assert "80 of 100" in page.partition('id="health"')[2].partition("</div>")[0]


def test_losing_the_whole_zone_is_said_in_one_plain_sentence() -> None:
    records = [
        ExistingRecord(
            str(number), RecordData(name=f"h{number}.ada.test", type="TXT", content="x", ttl=300)
        )
        for number in range(28)
    ]

    def sentences(gone: list[ExistingRecord]) -> list[str]:
        plan = plan_removal("ada.test", records, gone, reason="", own_hosts=frozenset())
        return [loss.sentence for loss in plan.losses if loss.kind == "extent"]

    assert sentences(records) == ["All 28 records of the zone are deleted."]
    assert sentences(records[:20]) == ["The plan changes or deletes 20 of the zone's 28 records."]
