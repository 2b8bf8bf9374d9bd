"""Limits, warm-ups, ceilings and pauses as people set them: services, pages, JSON, lists."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from deliverability.charts import HEIGHT, chart_of
from deliverability.limits import MOST_A_DAY, limit_today, today
from deliverability.models import SendingDay
from deliverability.policy import decide
from deliverability.selectors import DAYS_SHOWN, Day
from deliverability.services import (
    NoMailHere,
    NotRunning,
    change_limits,
    finish_warmups,
    forget_old_days,
    resume_sending,
    set_domain_ceiling,
    set_limit,
    start_warmup,
    stop_warmup,
)
from events.models import Event
from mailboxes.models import Mailbox
from mailboxes.services import activate_mailbox, place_domain, suspend_mailbox
from mailservers.models import MailDomain
from mpanel.core.actor import system
from mpanel.core.errors import Forbidden, Invalid, NotFound
from mpanel.core.models import new_id
from mpanel.core.periodic import all_sweeps
from tests.api import Api
from tests.cast import Person
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db


@pytest.fixture
def boxes(ada: Person) -> list[Mailbox]:
    """Two mailboxes of Ada's."""
    theirs = estate(ada, "ada.test")
    place_domain(theirs.domain)
    return list(theirs.mailboxes)


def fresh(mailbox: Mailbox) -> Mailbox:
    return Mailbox.objects.get(pk=mailbox.pk)


def sentences(action: str) -> list[str]:
    return list(Event.objects.filter(action=action).values_list("sentence", flat=True))


# --- Services --------------------------------------------------------------------------------


def test_a_limit_holds_for_the_next_message(ada: Person, boxes: list[Mailbox]) -> None:
    box, other = boxes
    ids = [one.pk for one in boxes]
    set_limit(ada.actor, ids, 2)
    assert decide(box.address, 2) == "DUNNO"
    assert decide(box.address, 1).startswith("450 4.7.1 ")
    set_limit(ada.actor, [box.pk], 3)
    assert decide(box.address, 1) == "DUNNO"
    set_limit(ada.actor, [box.pk], 3)  # nothing new, no event
    set_limit(ada.actor, [box.pk], None)
    assert limit_today(fresh(box)) == settings.MAILBOX_DAILY_LIMIT
    assert limit_today(fresh(other)) == 2
    assert sentences("mailbox.limited").count("box0@ada.test may send to 3 a day.") == 1


def test_a_warm_up_from_its_first_day_to_its_last(ada: Person, boxes: list[Mailbox]) -> None:
    box, other = boxes
    start_warmup(ada.actor, [box.pk], start=5, step=10, ceiling=40)
    warming = fresh(box)
    assert (warming.status, warming.warmup_since, limit_today(warming)) == ("warming", today(), 5)
    assert decide(box.address, 6).startswith("550 5.7.1 ")
    assert sentences("mailbox.warming") == [
        "box0@ada.test warms up: 5 a day from today, 10 more each day, up to 40."
    ]

    all_sweeps()["mailboxes.warmups"].work()
    assert fresh(box).status == "warming"
    Mailbox.objects.filter(pk=box.pk).update(warmup_since=today() - timedelta(days=3))
    assert limit_today(fresh(box)) == 35
    finish_warmups()
    assert fresh(box).status == "warming"
    Mailbox.objects.filter(pk=box.pk).update(warmup_since=today() - timedelta(days=4))
    finish_warmups()
    done = fresh(box)
    assert (done.status, done.warmup_since, limit_today(done)) == ("active", None, 40)
    assert sentences("mailbox.warm") == [
        "box0@ada.test has warmed up; it may send to its whole limit of 40."
    ]
    assert fresh(other).status == "active"


def test_a_suspension_does_not_end_a_warm_up(ada: Person, boxes: list[Mailbox]) -> None:
    box = boxes[0]
    start_warmup(ada.actor, [box.pk], start=5, step=5)
    suspend_mailbox(ada.actor, box.pk)
    finish_warmups()
    assert fresh(box).status == "suspended"
    activate_mailbox(ada.actor, box.pk)
    assert fresh(box).status == "warming"
    suspend_mailbox(ada.actor, box.pk)
    stop_warmup(ada.actor, [box.pk])
    assert (fresh(box).status, fresh(box).warmup_since) == ("suspended", None)
    activate_mailbox(ada.actor, box.pk)
    assert fresh(box).status == "active"
    assert stop_warmup(ada.actor, [box.pk]) == []


def test_limit_and_ramp_at_once(ada: Person, boxes: list[Mailbox]) -> None:
    box = boxes[0]
    change_limits(ada.actor, [box.pk], daily_limit=50, start=5, step=5)
    begun = today() - timedelta(days=2)
    Mailbox.objects.filter(pk=box.pk).update(warmup_since=begun)
    change_limits(ada.actor, [box.pk], daily_limit=60, start=5, step=5)
    assert (fresh(box).warmup_since, fresh(box).daily_limit) == (begun, 60)
    change_limits(ada.actor, [box.pk], daily_limit=60, start=6, step=5)
    assert fresh(box).warmup_since == today()
    change_limits(ada.actor, [box.pk], daily_limit=60)
    assert (fresh(box).status, fresh(box).warmup_since) == ("active", None)


@pytest.mark.parametrize(
    ("ramp", "field"),
    [
        ((0, 5, None), "start"),
        ((200, 5, None), "start"),
        ((40, 5, 40), "start"),
        ((5, 0, None), "step"),
        ((5, 5, 0), "ceiling"),
        ((5, 5, MOST_A_DAY + 1), "ceiling"),
    ],
)
def test_ramps_that_make_no_sense(
    ada: Person, boxes: list[Mailbox], ramp: tuple[int, int, int | None], field: str
) -> None:
    start, step, ceiling = ramp
    with pytest.raises(Invalid) as error:
        start_warmup(ada.actor, [boxes[0].pk], start=start, step=step, ceiling=ceiling)
    assert list(error.value.details) == [field]
    assert fresh(boxes[0]).status == "active"


def test_what_cannot_be_changed(ada: Person, bo: Person, cy: Person, boxes: list[Mailbox]) -> None:
    box, other = boxes
    ids = [box.pk, other.pk]
    for number in (0, -1, MOST_A_DAY + 1):
        with pytest.raises(Invalid):
            set_limit(ada.actor, ids, number)
    for wrong in ([], [new_id() for _ in range(501)]):
        with pytest.raises(Invalid):
            set_limit(ada.actor, wrong, 5)
    for person, error in ((bo, Forbidden), (cy, NotFound)):
        with pytest.raises(error):
            set_limit(person.actor, ids, 5)
        with pytest.raises(error):
            start_warmup(person.actor, ids, start=1, step=1)
        with pytest.raises(error):
            stop_warmup(person.actor, ids)
        with pytest.raises(error):
            resume_sending(person.actor, box.pk)
        with pytest.raises(error):
            set_domain_ceiling(person.actor, box.domain_id, 5)
    # One that cannot warm up keeps all from it.
    Mailbox.objects.filter(pk=other.pk).update(status=Mailbox.SUSPENDED)
    with pytest.raises(NotRunning, match=r"box1@ada\.test is suspended"):
        start_warmup(ada.actor, ids, start=1, step=1)
    assert fresh(box).status == "active"
    MailDomain.objects.all().delete()
    with pytest.raises(NoMailHere):
        set_domain_ceiling(ada.actor, box.domain_id, 5)
    assert not Event.objects.filter(action__startswith="mailbox.").exists()


def test_a_ceiling_over_the_domain(ada: Person, boxes: list[Mailbox]) -> None:
    mail = set_domain_ceiling(ada.actor, boxes[0].domain_id, 3)
    assert mail.daily_ceiling == 3
    assert decide(boxes[0].address, 3) == "DUNNO"
    assert "of this domain" in decide(boxes[1].address, 1)
    set_domain_ceiling(ada.actor, boxes[0].domain_id, None)
    assert decide(boxes[1].address, 1) == "DUNNO"
    assert sorted(sentences("domain.sending_limited")) == [
        "All mailboxes of ada.test together may send at most 3 recipients a day.",
        "All mailboxes of ada.test together may send without a ceiling.",
    ]


def test_a_pause_ends_by_hand(ada: Person, boxes: list[Mailbox]) -> None:
    box = boxes[0]
    Mailbox.objects.filter(pk=box.pk).update(paused_at=timezone.now(), paused_reason="Bounces.")
    assert decide(box.address, 1).endswith("Bounces.")
    resume_sending(ada.actor, box.pk)
    resume_sending(ada.actor, box.pk)
    again = fresh(box)
    assert (again.paused_at, again.paused_reason, again.resumed_on) == (None, "", today())
    assert decide(box.address, 1) == "DUNNO"
    assert sentences("mailbox.resumed") == ["Resumed the sending of box0@ada.test."]


# --- Pages -----------------------------------------------------------------------------------


def test_the_page_shows_and_changes_it(ada: Person, bo: Person, boxes: list[Mailbox]) -> None:
    box = boxes[0]
    path = f"/mailboxes/{box.pk}/sending/"
    assert "Nothing was sent in the last 30 days." in ada.client.get(path).content.decode()
    assert decide(box.address, 12) == "DUNNO"
    answer = ada.client.post(
        path, {"daily_limit": "40", "warm_up": "on", "start": "15", "step": "5"}
    )
    assert (answer.status_code, answer["Location"]) == (302, path)
    page = ada.client.get(path).content.decode()
    reached = today() + timedelta(days=5)
    for text in ("12 of 15", "40 recipients a day", "5 more each day", f"{reached:%-d %b %Y}"):
        assert text in page, text
    assert "12 recipients in 30 days. At most 12 on a day." in page
    assert "12 of 15" in ada.client.get(f"/mailboxes/{box.pk}/").content.decode()
    assert "12 of 15" in ada.client.get("/mailboxes/").content.decode()
    assert "Warming up" in ada.client.get("/mailboxes/?status=warming").content.decode()
    # A member looks and does not touch.
    assert "Admins of your account can change these." in bo.client.get(path).content.decode()
    wrong = ada.client.post(path, {"daily_limit": "40", "warm_up": "on", "start": "40"})
    assert wrong.status_code == 422
    assert "A warm-up needs this." in wrong.content.decode()
    wrong = ada.client.post(
        path, {"daily_limit": "40", "warm_up": "on", "start": "40", "step": "1"}
    )
    assert "below the limit of 40" in wrong.content.decode()


def test_a_paused_mailbox_says_why_and_goes_on(ada: Person, boxes: list[Mailbox]) -> None:
    box = boxes[0]
    why = "9 of 30 recipients bounced."
    Mailbox.objects.filter(pk=box.pk).update(paused_at=timezone.now(), paused_reason=why)
    for path in (f"/mailboxes/{box.pk}/", f"/mailboxes/{box.pk}/sending/"):
        assert why in ada.client.get(path).content.decode()
    assert "Sending paused" in ada.client.get("/mailboxes/").content.decode()
    assert ada.client.post(f"/mailboxes/{box.pk}/resume/").status_code == 302
    assert why not in ada.client.get(f"/mailboxes/{box.pk}/sending/").content.decode()


def test_the_domains_page_sums_up_and_changes_all(ada: Person, boxes: list[Mailbox]) -> None:
    path = f"/mailboxes/domains/{boxes[0].domain_id}/sending/"
    decide(boxes[0].address, 3)
    decide(boxes[1].address, 4)
    assert ada.client.post(path.replace("sending", "ceiling"), {"ceiling": "70"}).status_code == 302
    page = ada.client.get(path).content.decode()
    for text in ("7 of 70", "7 of 1000", "400 recipients today"):
        assert text in page, text
    overview = ada.client.get(path.replace("sending/", "")).content.decode()
    assert "7 of 70" in overview
    given = {"daily_limit": "30", "warm_up": "on", "start": "5", "step": "5"}
    assert ada.client.post(path, given).status_code == 302
    assert {fresh(box).status for box in boxes} == {"warming"}
    assert "10 recipients today" in ada.client.get(path).content.decode()
    wrong = ada.client.post(path.replace("sending", "ceiling"), {"ceiling": "0"})
    assert wrong.status_code == 422
    Mailbox.objects.update(status=Mailbox.SUSPENDED)
    assert "No mailbox of this domain is active yet." in ada.client.get(path).content.decode()
    assert ada.client.post(path, given).status_code == 422


def test_bars_are_as_high_as_their_days() -> None:
    days = [Day(date(2026, 11, n), sent, bounced=lost) for n, sent, lost in
            ((1, 0, 0), (2, 1_000, 500), (3, 1, 0), (4, 0, 3))]  # fmt: skip
    chart = chart_of(days)
    assert [(bar.height, bar.bounced_height) for bar in chart.bars] == [
        *((0.0, 0.0), (HEIGHT, HEIGHT / 2), (1.0, 0.0), (0.0, 0.0))
    ]
    assert chart.says == "1,001 recipients in 4 days, 503 of them bounced. At most 1,000 on a day."
    assert chart_of([Day(date(2026, 11, 1))]).says == "0 recipients in 1 days."


# --- JSON ------------------------------------------------------------------------------------


def test_limits_over_json(ada: Person, boxes: list[Mailbox]) -> None:
    api, box = Api(ada.token), boxes[0]
    base = f"/api/mailboxes/{box.pk}"
    decide(box.address, 2)
    SendingDay.objects.create(
        tenant=ada.tenant, kind="mailbox", subject_id=box.pk, sent=9, bounced=1,
        day=today() - timedelta(days=DAYS_SHOWN - 1),
    )  # fmt: skip
    shown = api.get(f"{base}/sending").body
    days = shown.pop("days")
    assert shown == {
        "dailySent": 2,
        "dailyLimit": 200,
        "fullLimit": 200,
        "isUsualLimit": True,
        "warmup": None,
        "pausedAt": None,
        "pausedReason": "",
    }
    assert len(days) == DAYS_SHOWN
    nothing = {"delivered": 0, "deferred": 0, "complaints": 0}
    assert days[-1] == {"date": f"{today()}", "sent": 2, "bounced": 0, **nothing}
    assert (days[0]["sent"], days[0]["bounced"]) == (9, 1)

    given = {"dailyLimit": 40, "warmup": {"start": 5, "step": 5}}
    changed = api.put(f"{base}/limits", given)
    assert changed.status == 200
    assert (changed.body["dailyLimit"], changed.body["fullLimit"]) == (5, 40)
    assert changed.body["warmup"] == {
        "since": f"{today()}",
        "start": 5,
        "step": 5,
        "reachesLimitOn": f"{today() + timedelta(days=7)}",
    }
    assert api.get(f"/api/v1/email-accounts/{box.pk}").body["daily_limit"] == 5
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"dailyLimit": 40}, 400),
        ({"dailyLimit": "40", "warmup": None}, 400),
        ({"dailyLimit": 0, "warmup": None}, 400),
        ({"dailyLimit": 4, "warmup": {"start": 5, "step": 5, "more": 1}}, 400),
        ({"dailyLimit": 4, "warmup": {"start": 5, "step": 1}}, 400),
    ]
    for body, status in wrong:
        assert api.put(f"{base}/limits", body).status == status, body
    assert api.put(f"{base}/limits", {"dailyLimit": None, "warmup": None}).body["warmup"] is None
    Mailbox.objects.filter(pk=box.pk).update(status=Mailbox.SUSPENDED, paused_at=timezone.now())
    assert api.put(f"{base}/limits", given).error == "MAILBOX_NOT_ACTIVE"
    assert api.post(f"{base}/resume").body["pausedAt"] is None


def test_the_list_tells_use_and_limit(ada: Person, cy: Person, boxes: list[Mailbox]) -> None:
    decide(boxes[0].address, 3)
    decide(estate(cy, "cy.test").mailboxes[0].address, 5)
    start_warmup(ada.actor, [boxes[1].pk], start=4, step=1)
    rows = Api(ada.token).get("/api/v1/infrastructure/inboxes").body["inboxes"]
    assert [(row["daily_sent"], row["daily_limit"]) for row in rows] == [(3, 200), (0, 4)]
    Mailbox.objects.filter(pk=boxes[0].pk).update(provider="google-workspace")
    rows = Api(ada.token).get("/api/v1/infrastructure/inboxes").body["inboxes"]
    assert (rows[0]["daily_sent"], rows[0]["daily_limit"]) == (None, None)


def test_the_sweep_belongs_to_each_tenant(ada: Person, cy: Person, boxes: list[Mailbox]) -> None:
    theirs = estate(cy, "cy.test").mailboxes[0]
    old = {"status": Mailbox.WARMING, "warmup_since": today() - timedelta(days=100)}
    Mailbox.objects.filter(pk__in=[boxes[0].pk, theirs.pk]).update(**old)
    finish_warmups()
    for person in (ada, cy):
        event = Event.objects.get(action="mailbox.warm", tenant_id=person.tenant.pk)
        assert event.actor_name == system(person.tenant.pk).email


def test_counts_older_than_thirteen_months_go(ada: Person) -> None:
    for days in (399, 401):
        SendingDay.objects.create(
            tenant=ada.tenant,
            kind=SendingDay.TENANT,
            subject_id=ada.tenant.pk,
            day=today() - timedelta(days=days),
        )
    forget_old_days()
    assert SendingDay.objects.get().day == today() - timedelta(days=399)
