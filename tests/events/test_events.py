"""What happened is written down once, with who and from where, and read by its tenant only."""

import pytest
from django.db import transaction

from domains.models import Domain
from domains.services import connect_domain
from events.models import Event
from events.selectors import trail
from events.services import record
from mpanel.core.actor import system
from mpanel.core.errors import Conflict
from tests.cast import Person
from tests.wizard.rows import estate


def test_an_event_says_who_what_and_from_where(ada: Person) -> None:
    domain = estate(ada).domain
    event = record(ada.actor, "domain.tried", domain, "Tried.", changes={"a": 1})
    assert (event.user_id, event.actor_name) == (ada.user.pk, ada.user.email)
    assert (event.subject_type, event.subject_id) == ("domain", domain.pk)
    assert (event.address, event.changes) == ("127.0.0.1", {"a": 1})
    own = record(system(ada.actor.tenant_id), "domain.seen", domain, "Seen.")
    assert (own.user_id, own.actor_name) == (None, "mPanel")


def test_an_event_shares_the_fate_of_its_change(ada: Person) -> None:
    before = Event.objects.count()

    @transaction.atomic
    def half_done() -> None:
        connect_domain(ada.actor, "example.test", credential_id=ada.credential.pk)
        raise Conflict

    with pytest.raises(Conflict):
        half_done()
    assert Event.objects.count() == before
    assert not Domain.objects.exists()


def test_a_trail_is_the_tenants_own_newest_first(ada: Person, cy: Person) -> None:
    adas, cys = estate(ada), estate(cy, "cy.test")
    for text in ("one", "two"):
        record(ada.actor, "domain.tried", adas.domain, text)
    record(cy.actor, "domain.tried", cys.domain, "theirs")
    assert [e.sentence for e in trail(ada.actor, subject_ids=[adas.domain.pk])] == ["two", "one"]
    assert not trail(ada.actor, subject_ids=[cys.domain.pk]).exists()
    assert "theirs" not in ada.client.get("/overview/").content.decode()
    assert "two" in ada.client.get(f"/domains/{adas.domain.pk}/").content.decode()


def test_who_left_is_still_named(ada: Person, bo: Person) -> None:
    record(bo.actor, "domain.tried", estate(ada).domain, "By Bo.")
    left = bo.user.pk
    bo.user.delete()
    event = Event.objects.get(sentence="By Bo.")
    # By name and id: the trail stays as it was.
    assert (event.user_id, event.actor_name) == (left, "bo@people.test")
