"""`manage.py reseal`: every secret moves to the new key, whoever writes meanwhile."""

import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from events.models import WebhookEndpoint
from mpanel.core.secrets import front_key_id, new_key, prefix_of
from mpanel.operations import resealing
from mpanel.operations.resealing import SLICE, Progress, reseal, values_by_key
from tenants.models import ProviderCredential
from tests.cast import Person
from tests.processes import Process, at_once, eventually

pytestmark = pytest.mark.django_db


def credential(person: Person, token: str) -> ProviderCredential:
    made = ProviderCredential(
        tenant=person.tenant, port="dns", provider="cloudflare", label=f"Account {token}"
    )
    made.set_values({"api_token": token})
    made.save()
    return made


def token_of(row: ProviderCredential) -> str:
    return ProviderCredential.objects.get(pk=row.pk).values()["api_token"]


def rotate(settings: LazySettings) -> str:
    """Put a new key in front; the id of the one before."""
    before = front_key_id()
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]
    return before


def told(**options: Any) -> str:
    out = StringIO()
    call_command("reseal", stdout=out, stderr=out, **options)
    return out.getvalue()


def test_after_resealing_the_old_key_may_go(ada: Person, settings: LazySettings) -> None:
    rows = [credential(ada, f"token-{number}") for number in range(5)]
    hook = WebhookEndpoint(tenant=ada.tenant, url="https://hooks.example.com/")
    hook.set_secret("whsec_old")
    hook.set_secret("whsec_new")
    hook.save()
    old = rotate(settings)
    assert f"Key {old} is still needed: 7 secrets" in told(dry_run=True)
    assert values_by_key()[old].total() == 7  # the dry run changed nothing

    said = told()
    assert "tenants.ProviderCredential.sealed: 5 of 5" in said
    assert f"Key {old} is no longer needed." in said
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert [token_of(row) for row in rows] == [f"token-{number}" for number in range(5)]
    assert WebhookEndpoint.objects.get().secrets() == ["whsec_new", "whsec_old"]
    assert sum(progress.resealed for progress in reseal()) == 0


def test_a_run_that_was_stopped_goes_on(
    ada: Person, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        credential(ada, f"token-{number}")
    old = rotate(settings)
    monkeypatch.setattr(resealing, "SLICE", 2)

    def stop(progress: Progress) -> None:
        if progress.resealed:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseal(stop)
    assert values_by_key()[old].total() == 3
    assert sum(progress.resealed for progress in reseal()) == 3
    assert values_by_key()[old].total() == 0


@pytest.mark.postgresql
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite locks no single row")
@pytest.mark.django_db(transaction=True)
def test_a_process_that_was_killed_in_a_slice_leaves_the_rest_to_the_next(
    ada: Person, settings: LazySettings
) -> None:
    rows = [credential(ada, f"token-{number}") for number in range(SLICE + 5)]
    old = rotate(settings)
    ring = ",".join(settings.ENCRYPTION_KEYS)
    with Process("reseal", ENCRYPTION_KEYS=ring) as killed, transaction.atomic():
        # It waits for this row in its second slice.
        ProviderCredential.objects.select_for_update().get(pk=rows[-1].pk)
        eventually(lambda: f"{SLICE} of {SLICE + 5}" in killed.output, seconds=900)
        killed.kill()
    assert values_by_key()[old].total() == 5
    with Process("reseal", ENCRYPTION_KEYS=ring) as resumed:
        assert resumed.wait(900) == 0, resumed.output
        assert f"Key {old} is no longer needed." in resumed.output
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert [token_of(row) for row in rows] == [f"token-{number}" for number in range(SLICE + 5)]


def test_a_secret_that_does_not_open_stays_and_is_told(ada: Person, settings: LazySettings) -> None:
    one, other = credential(ada, "one"), credential(ada, "other")
    ProviderCredential.objects.filter(pk=one.pk).update(sealed=other.sealed)
    old = rotate(settings)
    with pytest.raises(CommandError, match="1 secrets do not open"):
        told()
    assert values_by_key()[old].total() == 1
    assert token_of(other) == "other"
    assert ProviderCredential.objects.get(pk=one.pk).sealed == other.sealed
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert values_by_key()[""] == {"tenants.ProviderCredential.sealed": 1}


@pytest.mark.django_db(transaction=True)
def test_what_is_written_meanwhile_is_kept(
    ada: Person, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers change the rows while they are resealed; each keeps what it was given last."""
    rows = [credential(ada, f"{number} new") for number in range(12)]
    last = {row.pk: f"{number} new" for number, row in enumerate(rows)}
    rotate(settings)
    monkeypatch.setattr(resealing, "SLICE", 3)
    over = threading.Event()

    def writer(mine: list[ProviderCredential]) -> Callable[[], int]:
        def write() -> int:
            writes = 0
            while not over.is_set():
                for row in mine:
                    row.set_values({"api_token": f"{row.pk} {writes}"})
                    row.save(update_fields=["sealed"])
                    last[row.pk] = f"{row.pk} {writes}"
                    writes += 1
            return writes

        return write

    def runs() -> int:
        try:
            return sum(sum(one.resealed for one in reseal()) for _ in range(10))
        finally:
            over.set()

    results = at_once(runs, writer(rows[:4]), writer(rows[4:8]))
    moved = results[0]
    assert all(isinstance(result, int) for result in results), results
    assert isinstance(moved, int)
    assert moved >= 4  # those that nobody wrote
    assert {row.pk: token_of(row) for row in rows} == last
    reseal()
    sealed = ProviderCredential.objects.exclude(sealed="").values_list("sealed", flat=True)
    assert all(value.startswith(prefix_of(front_key_id())) for value in sealed)
    connection.close()
