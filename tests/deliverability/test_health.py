"""The health score: its parts, their evidence, and the whole."""

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from deliverability import blocklists, health
from deliverability.blocklists import Listing
from deliverability.health import Outcomes, Part
from deliverability.limits import today
from deliverability.models import SendingDay
from dnszones.models import Record
from mailboxes.models import Mailbox
from mailservers.models import MailDomain
from mailservers.vendors import house_server
from mpanel.dns.messages import Answer
from tests.api import Api
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import Estate, estate

PARTS = st.builds(
    Part,
    key=st.sampled_from(sorted(health.WEIGHTS)),
    score=st.none() | st.integers(0, 100),
    evidence=st.just("seen"),
)


@given(st.lists(PARTS, unique_by=lambda part: part.key))
def test_the_score_lies_between_its_parts_and_unknown_ones_do_not_count(parts: list[Part]) -> None:
    score = health.total(parts)
    known = [part for part in parts if part.score is not None]
    assert score == health.total(known)
    if known:
        scores = [part.score for part in known if part.score is not None]
        assert score is not None
        assert min(scores) <= score <= max(scores)
    else:
        assert score is None


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_bounces_are_never_better(delivered: int, lost: int) -> None:
    one = health.bounces(Outcomes(delivered, lost)).score
    more = health.bounces(Outcomes(delivered, lost + 1)).score
    assert one is None or (more is not None and 0 <= more <= one <= 100)


def test_weights_are_per_cent() -> None:
    assert sum(health.WEIGHTS.values()) == 100
    assert set(health.WEIGHTS) == set(health.LABELS)


def test_authentication_names_what_is_missing() -> None:
    part = health.authentication({"spf": ["matches"], "dkim": ["missing"], "mx": ["unknown"]})
    assert part.score == 50
    assert "DKIM" in part.evidence
    assert "SPF" in part.evidence
    assert part.advice
    assert health.authentication({"spf": ["unknown"]}).score is None


def test_blocklists_distinguish_a_listing_from_a_refusal() -> None:
    found = blocklists.listing_of(
        {
            "zen.test": Answer("answer", values=("127.0.0.2",)),
            "refusing.test": Answer("answer", values=("127.255.255.254",)),
            "clean.test": Answer("nxdomain"),
            "silent.test": Answer("unknown"),
        }
    )
    assert found == Listing(("zen.test",), 2)
    assert health.blocklists({"192.0.2.1": found}).score == 30
    assert "192.0.2.1 on zen.test" in health.blocklists({"192.0.2.1": found}).evidence
    assert health.blocklists({"192.0.2.1": Listing()}).score is None
    assert health.blocklists({"192.0.2.1": Listing((), 2)}).score == 100


def test_names_that_blocklists_answer_to() -> None:
    assert blocklists.name_at("192.0.2.99", "zen.test") == "99.2.0.192.zen.test"
    assert blocklists.name_at("example.test", "dbl.test") == "example.test.dbl.test"
    assert blocklists.name_at("2001:db8::1", "zen.test").endswith("8.b.d.0.1.0.0.2.zen.test")


# --- Measured --------------------------------------------------------------------------------


@pytest.fixture
def place(ada: Person, settings: LazySettings) -> Estate:
    settings.BLOCKLIST_RESOLVER = ""
    found = estate(ada)
    placed(found)
    return found


def placed(found: Estate) -> MailDomain:
    domain = found.domain
    return MailDomain.objects.create(
        tenant_id=domain.tenant_id, domain=domain, server=house_server()
    )


@pytest.mark.django_db
def test_the_sweep_measures_domain_and_mailboxes_once_an_interval(place: Estate) -> None:
    Record.objects.filter(purpose="spf").update(own={"verdict": "matches"})
    Record.objects.filter(purpose="dkim").update(own={"verdict": "missing"})
    box = place.mailboxes[0]
    SendingDay.objects.create(
        tenant_id=box.tenant_id,
        kind=SendingDay.MAILBOX,
        subject_id=box.pk,
        day=today(),
        delivered=95,
        bounced=5,
    )
    health.sweep()
    box.refresh_from_db()
    parts = {part.key: part for part in health.parts_of(box.health)}
    assert parts["authentication"].score == 50
    assert parts["bounces"].score == 50
    assert parts["complaints"].score is None
    assert parts["age"].score == 0
    assert box.health_score == round((30 * 50 + 25 * 50) / 60)
    mail = MailDomain.objects.get()
    assert mail.health_score is not None
    first = mail.health_at
    health.sweep()
    mail.refresh_from_db()
    assert mail.health_at == first


@pytest.mark.django_db
def test_blocklists_are_really_asked(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    settings.MAILSERVER_ADDRESSES = ["127.0.0.2", "192.0.2.77"]
    listed, clean = (placed(estate(ada, name)) for name in ("listed.test", "clean.test"))
    health.sweep()
    evidence = {}
    for mail in (listed, clean):
        mail.refresh_from_db()
        (part,) = [part for part in health.parts_of(mail.health) if part.key == "blocklists"]
        evidence[mail.domain.name] = (part.score, part.evidence)
    assert evidence["clean.test"] == (30, "Listed: 127.0.0.2 on bl.mail-sandbox.test.")
    assert evidence["listed.test"][0] == 0
    assert "listed.test on dbl.mail-sandbox.test" in evidence["listed.test"][1]


@pytest.mark.django_db
def test_a_warm_up_counts_by_how_far_it_is(place: Estate) -> None:
    Mailbox.objects.filter(pk=place.mailboxes[0].pk).update(
        warmup_since=today() - timedelta(days=3), warmup_start=5, warmup_step=5, daily_limit=40
    )
    health.sweep()
    box = Mailbox.objects.get(pk=place.mailboxes[0].pk)
    (part,) = [part for part in health.parts_of(box.health) if part.key == "warm-up"]
    assert part.score == 50
    assert "20 of 40" in part.evidence


@pytest.mark.django_db
def test_measuring_costs_the_same_for_few_and_many(
    ada: Person, settings: LazySettings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.BLOCKLIST_RESOLVER = ""
    house_server()
    costs = []
    for number, inboxes in enumerate((2, 30)):
        mail = placed(estate(ada, f"d{number}.test", inboxes=inboxes))
        with django_assert_num_queries(7) as counted:
            health.measure([mail.pk])
        costs.append(len(counted))
    assert costs[0] == costs[1]
    assert (
        MailDomain.objects.filter(health_at__gt=timezone.now() - timedelta(minutes=1)).count() == 2
    )


@pytest.mark.django_db
def test_the_api_tells_the_parts_with_their_evidence(
    place: Estate, ada: Person, cy: Person
) -> None:
    box, domain = place.mailboxes[0], place.domain
    path = f"/api/mailboxes/{box.pk}/health"
    before = Api(ada.token).get(path)
    assert before.body == {"score": None, "measuredAt": None, "parts": []}
    Record.objects.filter(purpose="spf").update(own={"verdict": "matches"})
    health.sweep()
    answer = Api(ada.token).get(path)
    assert answer.status == 200
    assert answer.body["measuredAt"]
    assert {part["key"] for part in answer.body["parts"]} == set(health.WEIGHTS)
    of_domain = Api(ada.token).get(f"/api/email/domains/{domain.pk}/health")
    assert of_domain.body["score"] == MailDomain.objects.get(domain=domain).health_score
    assert Api(ada.token).get(f"/api/v1/domains/{domain.pk}").body["health_score"] is not None
    for stranger in (path, f"/api/email/domains/{domain.pk}/health"):
        assert Api(cy.token).get(stranger).status == 404


@pytest.mark.django_db
def test_the_pages_show_it(place: Estate, ada: Person) -> None:
    box = place.mailboxes[0]
    page = ada.client.get(f"/mailboxes/{box.pk}/")
    assert "The first score appears within a minute" in page.text
    Record.objects.filter(purpose="spf").update(own={"verdict": "missing"})
    health.sweep()
    for url in (f"/mailboxes/{box.pk}/", f"/mailboxes/domains/{place.domain.pk}/"):
        text = ada.client.get(url).text
        assert "Not as planned: SPF." in text
        assert "apply the plan again" in text
