"""Sealed events cannot be changed unseen, nor, without taking the database apart, at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from events.chain import CHUNK, hash_of, verify, waiting_too_long
from events.models import Chain, Event, EventIsFinal
from events.relay import relay
from events.services import record
from mpanel.core.models import new_id
from tests.cast import Person


@pytest.fixture
def chain(ada: Person) -> Chain:
    """Ada's chain: at least ten sealed events."""
    for number in range(10):
        record(ada.actor, "tenant.tried", ada.tenant, f"Number {number}.", changes={"n": number})
    relay()
    return Chain.objects.get(pk=ada.actor.tenant_id)


@contextmanager
def broken_in() -> Iterator[None]:
    """As somebody who owns the database: past the trigger."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE events_event DISABLE TRIGGER events_event_is_final")
            yield
            cursor.execute("ALTER TABLE events_event ENABLE TRIGGER events_event_is_final")
        else:
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'events_event_is_final'")
            (made,) = cursor.fetchone()
            cursor.execute("DROP TRIGGER events_event_is_final")
            yield
            cursor.execute(made)


def run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def key(chain: Chain, seq: int) -> object:
    """The id of the event at this place, as the database keeps it."""
    pk = Event.objects.get(tenant_id=chain.pk, seq=seq).pk
    return pk if connection.vendor == "postgresql" else pk.hex


def test_a_chain_that_nobody_touched_is_whole(chain: Chain) -> None:
    verdict = verify(chain.pk)
    assert verdict.broken_at is None
    assert (verdict.events, verdict.head) == (chain.seq, chain.hash)
    assert chain.seq >= 11
    assert not Event.objects.waiting().exists()
    assert verify(uuid4()).broken_at is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sentence", "It was somebody else."),
        ("actor_name", "cy@people.test"),
        ("action", "tenant.deleted"),
        ("address", "192.0.2.1"),
        ("changes", '{"n": 5}'),
        ("via", "API key"),
        ("created_at", "2020-01-01 00:00:00+00:00"),
        ("subject_id", None),
        ("user_id", None),
    ],
)
def test_a_changed_event_is_found(chain: Chain, column: str, value: object) -> None:
    with broken_in():
        run(f"UPDATE events_event SET {column} = %s WHERE id = %s", value, key(chain, 5))  # noqa: S608
    verdict = verify(chain.pk)
    assert (verdict.broken_at, verdict.why) == (5, "changed, or inserted here")


@pytest.mark.parametrize("seq", [1, 5, -1])
def test_a_deleted_event_is_found(chain: Chain, seq: int) -> None:
    seq = seq if seq > 0 else chain.seq
    with broken_in():
        run("DELETE FROM events_event WHERE id = %s", key(chain, seq))
    verdict = verify(chain.pk)
    assert (verdict.broken_at, verdict.why) == (seq, "missing")


def test_events_that_changed_places_are_found(chain: Chain) -> None:
    third, fourth = key(chain, 3), key(chain, 4)
    with broken_in():
        run("UPDATE events_event SET seq = 9999 WHERE id = %s", third)
        run("UPDATE events_event SET seq = 3 WHERE id = %s", fourth)
        run("UPDATE events_event SET seq = 4 WHERE id = %s", third)
    assert verify(chain.pk).broken_at == 3


def test_an_event_that_was_slipped_in_is_found(ada: Person, chain: Chain) -> None:
    forged = Event(
        tenant_id=chain.pk,
        actor_name="Ada",
        action="tenant.tried",
        sentence="Never happened.",
        seq=chain.seq + 1,
    )
    forged.hash = hash_of(forged, after=chain.hash)
    forged.save()
    verdict = verify(chain.pk)
    assert (verdict.broken_at, verdict.why) == (chain.seq + 1, "inserted behind the end")
    # In the middle, where all behind it is moved along.
    with broken_in():
        run("DELETE FROM events_event WHERE seq = %s", forged.seq)
        for seq in range(chain.seq, 4, -1):
            run("UPDATE events_event SET seq = seq + 1 WHERE id = %s", key(chain, seq))
    forged.pk, forged.seq, forged._state.adding = new_id(), 5, True
    forged.save()
    assert verify(chain.pk).broken_at == 5


def test_a_chain_that_was_written_anew_is_found_by_an_old_head(chain: Chain) -> None:
    kept, before = chain.hash, ""
    with broken_in():
        run("UPDATE events_event SET sentence = 'Nothing.' WHERE id = %s", key(chain, 2))
        for event in Event.objects.filter(tenant_id=chain.pk).order_by("seq"):
            before = hash_of(event, after=before)
            run(
                "UPDATE events_event SET hash = %s WHERE id = %s",
                before,
                key(chain, event.seq or 0),
            )
        Chain.objects.filter(pk=chain.pk).update(hash=before)
    assert verify(chain.pk).broken_at is None
    assert not verify(chain.pk, head=kept).has_head
    assert verify(chain.pk, head=before).has_head


def test_a_cut_off_end_is_found(chain: Chain) -> None:
    Chain.objects.filter(pk=chain.pk).update(hash="0" * 64)
    assert verify(chain.pk).why == "not the end that was sealed"
    Chain.objects.filter(pk=chain.pk).delete()
    assert verify(chain.pk).why == "inserted behind the end"


def test_an_event_is_written_once(ada: Person, chain: Chain) -> None:
    event = Event.objects.filter(tenant_id=chain.pk)[0]
    attempts = (
        event.save,
        event.delete,
        lambda: Event.objects.filter(pk=event.pk).update(sentence="No."),
        lambda: Event.objects.bulk_update([event], ["sentence"]),
        Event.objects.all().delete,
        lambda: Event.objects.update(sentence="No."),
    )
    for attempt in attempts:
        with pytest.raises(EventIsFinal, match="never changed"):
            attempt()
    ada.user.memberships.all().delete()
    with pytest.raises(Exception, match="protected"):
        ada.tenant.delete()
    assert verify(chain.pk).broken_at is None


def test_the_database_refuses_too(chain: Chain) -> None:
    pk = key(chain, 3)
    statements = ["UPDATE events_event SET sentence = 'No.' WHERE id = %s"]
    if connection.vendor == "postgresql":
        statements.append("DELETE FROM events_event WHERE id = %s")
    for statement in statements:
        with pytest.raises(DatabaseError, match="events are final"), transaction.atomic():
            run(statement, pk)
    assert verify(chain.pk).broken_at is None


def test_chains_of_tenants_are_apart(ada: Person, cy: Person, chain: Chain) -> None:
    before = Chain.objects.get(pk=cy.actor.tenant_id)
    record(ada.actor, "tenant.tried", ada.tenant, "Once more.")
    relay()
    after = Chain.objects.get(pk=cy.actor.tenant_id)
    assert (after.seq, after.hash) == (before.seq, before.hash)
    assert Chain.objects.get(pk=ada.actor.tenant_id).seq == chain.seq + 1


def test_more_events_than_a_chunk_are_walked(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHUNK >= 1000
    monkeypatch.setattr("events.chain.CHUNK", 3)
    for number in range(7):
        record(ada.actor, "tenant.tried", ada.tenant, f"Number {number}.")
    relay()
    assert verify(ada.actor.tenant_id).events == Event.objects.filter(tenant=ada.tenant).count()


# --- The command -----------------------------------------------------------------------------


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_events", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def test_the_command_prints_heads_and_finds_them_again(
    ada: Person, cy: Person, chain: Chain
) -> None:
    everything = said()
    assert f"{chain.pk}: {chain.seq} events, head {chain.hash}" in everything
    assert str(cy.actor.tenant_id) in everything
    assert str(cy.actor.tenant_id) not in said("--tenant", str(chain.pk))
    record(ada.actor, "tenant.tried", ada.tenant, "Later.")
    relay()
    assert "head" in said("--head", chain.hash)
    with pytest.raises(CommandError, match="no whole chain"):
        said("--head", "f" * 64)


def test_the_command_ends_badly_on_a_break(chain: Chain) -> None:
    with broken_in():
        run("UPDATE events_event SET sentence = 'No.' WHERE id = %s", key(chain, 7))
    out = StringIO()
    with pytest.raises(CommandError, match="Broken chains: 1"):
        call_command("verify_events", stdout=out, no_color=True)
    assert f"{chain.pk}: broken at event 7" in out.getvalue()


def test_the_command_says_what_waits(ada: Person, chain: Chain) -> None:
    assert "wait for their seal" not in said()
    Event.objects.create(
        tenant_id=chain.pk,
        actor_name="Ada",
        action="tenant.tried",
        sentence="Waits.",
        created_at=timezone.now() - timedelta(minutes=2),
    )
    assert "1 events wait for their seal" in said()
    assert waiting_too_long(ada.actor.tenant_id) == 1
    assert waiting_too_long(uuid4()) == 0
