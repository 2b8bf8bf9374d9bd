"""The contract of the DNS port: one suite, run against every provider.

A provider joins with one entry in `BACKENDS`: a context manager that starts what stands for the
vendor and yields the provider on it.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import pytest

from dnszones import dkim
from dnszones.providers.base import DNSProvider, RemoteRecord
from dnszones.providers.cloudflare import CloudflareDNS
from dnszones.records import RecordData, same_value
from mpanel.core.errors import ProviderError
from sandbox.accounts import account_of
from tests.sandboxes import RunningSandbox


@contextlib.contextmanager
def cloudflare_on_sandbox(state: Path) -> Iterator[DNSProvider]:
    token = "sandbox-ada"
    account = account_of(token)
    assert account is not None
    with RunningSandbox(state) as sandbox:
        yield CloudflareDNS(
            {"api_token": token, "account_id": account.id},
            base_url=sandbox.cloudflare_url,
            timeout=5,
        )


BACKENDS: dict[str, Callable[[Path], AbstractContextManager[DNSProvider]]] = {
    "cloudflare on the sandbox": cloudflare_on_sandbox,
}

names = count(1)
DKIM_VALUE = dkim.make_key().value


@pytest.fixture(scope="module", params=BACKENDS)
def provider(request, tmp_path_factory):
    with BACKENDS[request.param](tmp_path_factory.mktemp("backend")) as opened:
        yield opened


@pytest.fixture
def zone(provider):
    created = provider.create_zone(f"ada{next(names)}.test")
    yield created
    provider.delete_zone(created.id)


def records(provider, zone):
    """What the zone holds besides the provider's own NS and SOA."""
    found = provider.list_records(zone.id)
    return [record for record in found if record.data.type not in {"NS", "SOA"}]


def samples(apex):
    """One record of every type that mail needs, as awkward as they get."""
    return [
        RecordData(apex, "A", "192.0.2.1"),
        RecordData(f"v6.{apex}", "AAAA", "2001:db8::1", 3600),
        RecordData(f"track.{apex}", "CNAME", "open.sleadtrack.com", 3600),
        RecordData(apex, "MX", "mx1.mail.test", 300, 10),
        RecordData(apex, "MX", "mx2.mail.test", 300, 20),
        RecordData(apex, "TXT", "v=spf1 include:_spf.mail.test ~all"),
        RecordData(f"mpanel._domainkey.{apex}", "TXT", DKIM_VALUE),
        RecordData(f"_dmarc.{apex}", "TXT", f"v=DMARC1; p=none; rua=mailto:dmarc@{apex}"),
        RecordData(f"odd.{apex}", "TXT", 'quotes " and \\ and é and ; ' + "x" * 300),
        RecordData(f"_submission._tcp.{apex}", "SRV", "5 587 mail.test", 300, 0),
        RecordData(apex, "CAA", '0 issue "ca.test"'),
    ]


def test_the_connection_names_the_account(provider):
    assert provider.check_connection().endswith(".")


def test_nothing_secret_is_printed(provider):
    assert "sandbox-ada" not in repr(provider) + str(provider)


def test_a_zone_is_created_found_and_deleted(provider):
    name = f"new{next(names)}.test"
    assert provider.find_zone(name) is None
    created = provider.create_zone(name)
    assert (created.name, created.status) == (name, "pending")
    assert len(created.nameservers) >= 2
    assert provider.find_zone(name) == provider.get_zone(created.id) == created
    provider.delete_zone(created.id)
    assert provider.find_zone(name) is None
    assert provider.get_zone(created.id) is None
    provider.delete_zone(created.id)


def test_a_zone_is_created_once(provider, zone):
    with pytest.raises(ProviderError) as raised:
        provider.create_zone(zone.name)
    assert (raised.value.error_code, raised.value.retryable) == ("ZONE_EXISTS", False)


def test_what_is_written_is_read_back_alike(provider, zone):
    wanted = samples(zone.name)
    assert {data.type for data in wanted} <= provider.capabilities.record_types
    provider.apply_batch(zone.id, creates=wanted)
    found = [record.data for record in records(provider, zone)]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_records_are_updated_and_deleted(provider, zone):
    provider.apply_batch(zone.id, creates=samples(zone.name))
    there = {str(record.data): record for record in records(provider, zone)}
    spf = there[f"{zone.name} TXT v=spf1 include:_spf.mail.test ~all"]
    mx = there[f"{zone.name} MX 10 mx1.mail.test"]
    new_spf = RecordData(zone.name, "TXT", "v=spf1 mx -all")
    new_mx = RecordData(zone.name, "MX", "mx3.mail.test", 600, 5)
    gone = there[f"{zone.name} A 192.0.2.1"]
    provider.apply_batch(zone.id, deletes=[gone], updates=[(spf, new_spf), (mx, new_mx)])
    found = [record.data for record in records(provider, zone)]
    assert new_spf in found and new_mx in found
    assert not {spf.data, mx.data, gone.data} & set(found)
    assert len(found) == len(there) - 1


def test_deletes_come_first_so_that_one_name_can_change_its_type(provider, zone):
    name = f"track.{zone.name}"
    provider.apply_batch(zone.id, creates=[RecordData(name, "A", "192.0.2.1")])
    old = records(provider, zone)
    alias = RecordData(name, "CNAME", "open.sleadtrack.com")
    provider.apply_batch(zone.id, deletes=old, creates=[alias])
    assert [record.data for record in records(provider, zone)] == [alias]


def test_doing_it_twice_is_harmless(provider, zone):
    provider.apply_batch(zone.id, creates=samples(zone.name))
    first = records(provider, zone)
    provider.apply_batch(zone.id, creates=samples(zone.name))
    assert records(provider, zone) == first
    changes = {
        "deletes": first[:1],
        "updates": [(first[3], RecordData(zone.name, "MX", "mx9.mail.test", 300, 9))],
        "creates": [RecordData(f"new.{zone.name}", "TXT", "hello")],
    }
    provider.apply_batch(zone.id, **changes)
    once = records(provider, zone)
    provider.apply_batch(zone.id, **changes)
    assert records(provider, zone) == once


def test_what_is_done_is_skipped_and_the_rest_is_written(provider, zone):
    stands = RecordData(f"a.{zone.name}", "TXT", "stands")
    provider.apply_batch(zone.id, creates=[stands])
    missing = RecordData(f"b.{zone.name}", "TXT", "missing")
    provider.apply_batch(zone.id, creates=[stands, missing])
    assert {record.data for record in records(provider, zone)} == {stands, missing}


def test_an_update_to_what_stands_there_leaves_one_record(provider, zone):
    old, new = (RecordData(zone.name, "MX", f"mx{n}.mail.test", 300, 10) for n in (1, 2))
    provider.apply_batch(zone.id, creates=[old, new])
    stale = next(record for record in records(provider, zone) if record.data == old)
    provider.apply_batch(zone.id, updates=[(stale, new)])
    assert [record.data for record in records(provider, zone)] == [new]


def test_a_refused_batch_changes_nothing(provider, zone):
    if not provider.capabilities.atomic_batches:
        pytest.skip("this provider writes one record at a time")
    provider.apply_batch(zone.id, creates=[RecordData(f"www.{zone.name}", "A", "192.0.2.1")])
    before = records(provider, zone)
    with pytest.raises(ProviderError) as raised:
        provider.apply_batch(
            zone.id,
            creates=[
                RecordData(f"fine.{zone.name}", "TXT", "fine"),
                RecordData(f"www.{zone.name}", "CNAME", "bo.test"),
            ],
        )
    assert (raised.value.error_code, raised.value.retryable) == ("RECORD_CONFLICT", False)
    assert records(provider, zone) == before


def test_more_than_one_batch_and_one_page(provider, zone):
    size = provider.capabilities.batch_size + 20
    wanted = [RecordData(f"h{n}.{zone.name}", "TXT", f"number {n}") for n in range(size)]
    provider.apply_batch(zone.id, creates=wanted)
    found = records(provider, zone)
    assert {record.data for record in found} == set(wanted)
    provider.apply_batch(zone.id, deletes=found)
    assert records(provider, zone) == []


def test_nothing_to_do_asks_nothing(provider):
    provider.apply_batch("no such zone")


def test_records_of_a_zone_that_is_gone(provider):
    gone = provider.create_zone(f"gone{next(names)}.test")
    provider.delete_zone(gone.id)
    with pytest.raises(ProviderError) as raised:
        provider.list_records(gone.id)
    assert raised.value.error_code == "ZONE_GONE"


def test_an_update_of_a_record_that_is_gone_is_not_lost_silently(provider, zone):
    ghost = RemoteRecord("0" * 32, RecordData(f"a.{zone.name}", "TXT", "old"))
    new = RecordData(f"a.{zone.name}", "TXT", "new")
    with contextlib.suppress(ProviderError):
        provider.apply_batch(zone.id, updates=[(ghost, new)])
        assert any(same_value(record.data, new) for record in records(provider, zone))
