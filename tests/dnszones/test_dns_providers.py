"""The contract of the DNS port: one suite, run against every provider.

A provider joins with one entry in `BACKENDS`: a context manager that starts the vendor's server, or
what stands for it, and yields the provider on it and a way to ask its nameservers.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from dnszones.dkim import records as dkim
from dnszones.providers.base import DNSProvider, DnssecState, RemoteRecord
from dnszones.providers.cloudflare import CloudflareDNS
from dnszones.providers.powerdns import PowerDNS
from dnszones.records import AUTOMATIC_TTL, RecordData, canonical, same_value
from mpanel.core.errors import ProviderError
from sandbox.accounts import account_of
from tests.powerdns import KEY, PrivatePowerDNS
from tests.sandboxes import NAMESERVERS, RunningSandbox

# A provider, and a way to ask its nameservers for a name and a type.
Opened = tuple[DNSProvider, Callable[[str, str], list[str]]]


@contextlib.contextmanager
def cloudflare_on_sandbox(state: Path) -> Iterator[Opened]:
    account = account_of(TOKEN)
    assert account is not None
    with RunningSandbox(state) as sandbox:
        provider = CloudflareDNS(
            {"api_token": TOKEN, "account_id": account.id},
            base_url=sandbox.cloudflare_url,
            timeout=5,
        )
        yield provider, lambda name, kind: sandbox.texts(NAMESERVERS[0], name, kind)


@contextlib.contextmanager
def powerdns_itself(state: Path) -> Iterator[Opened]:
    with PrivatePowerDNS() as server:
        yield PowerDNS(server.credentials, base_url=server.url, timeout=5), server.texts


BACKENDS = [
    pytest.param(cloudflare_on_sandbox, id="cloudflare on the sandbox"),
    pytest.param(powerdns_itself, id="powerdns on the real server", marks=pytest.mark.powerdns),
]

TOKEN = "sandbox-ada"
names = count(1)
DKIM_VALUE = dkim.make_key().value


@pytest.fixture(scope="module", params=BACKENDS)
def opened(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("backend")) as both:
        yield both


@pytest.fixture
def provider(opened):
    return opened[0]


@pytest.fixture
def dig(opened):
    """What the vendor's nameservers answer to a name and a type."""
    return opened[1]


@pytest.fixture
def zone(provider):
    created = provider.create_zone(f"ada{next(names)}.test")
    yield created
    provider.delete_zone(created.id)


def records(provider, zone):
    """What the zone holds; its own SOA and NS are the provider's matter."""
    return provider.list_records(zone.id)


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
    printed = repr(provider) + str(provider)
    assert TOKEN not in printed and KEY not in printed


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


def test_what_is_written_is_answered(provider, zone, dig):
    provider.apply_batch(zone.id, creates=samples(zone.name))
    assert dig(zone.name, "MX") == ["10 mx1.mail.test.", "20 mx2.mail.test."]
    assert dig(zone.name, "TXT") == ['"v=spf1 include:_spf.mail.test ~all"']
    assert dig(f"_submission._tcp.{zone.name}", "SRV") == ["0 5 587 mail.test."]
    (key,) = dig(f"mpanel._domainkey.{zone.name}", "TXT")
    assert key.replace('" "', "").strip('"') == DKIM_VALUE
    assert sorted(dig(zone.name, "NS")) == sorted(f"{name}." for name in zone.nameservers)
    provider.apply_batch(zone.id, deletes=records(provider, zone))
    assert dig(zone.name, "MX") == []


# Of each type that mail does not need: a name below the zone, content and priority.
OTHERS = {
    "CAA": ("odd", '0 iodef "mailto:ada@people.test"', None),
    "DNAME": ("old", "new.test", None),
    "DS": ("signed", "12345 13 2 " + "ab" * 32, None),
    "HTTPS": ("www", '1 . alpn="h2,h3" port="8443" ipv4hint="192.0.2.1"', None),
    "NAPTR": ("sip", '100 10 "S" "SIP+D2U" "" _sip._udp.voice.test.', None),
    "NS": ("below", "ns1.elsewhere.test", None),
    "PTR": ("1", "host.elsewhere.test", None),
    "SSHFP": ("shell", "4 2 " + "cd" * 32, None),
    "SVCB": ("_dns.resolver", '1 dns.test. alpn="dot"', None),
    "TLSA": ("_25._tcp.mx", "3 1 1 " + "ef" * 32, None),
    "URI": ("_ftp._tcp", '1 "ftp://files.test/public"', 10),
}


def test_every_type_that_it_takes_is_known_here(provider, zone):
    known = {data.type for data in samples(zone.name)} | set(OTHERS)
    assert provider.capabilities.record_types <= known


@pytest.mark.parametrize("kind", OTHERS)
def test_every_type_that_it_takes(provider, zone, kind):
    if kind not in provider.capabilities.record_types:
        pytest.skip(f"it takes no {kind}")
    label, content, priority = OTHERS[kind]
    wanted = canonical(RecordData(f"{label}.{zone.name}", kind, content, priority=priority))
    for _ in range(2):
        provider.apply_batch(zone.id, creates=[wanted])
        (found,) = provider.list_records(zone.id)
        assert found.data == wanted
    provider.apply_batch(zone.id, deletes=[found])
    assert provider.list_records(zone.id) == []


def test_a_ttl_is_of_the_whole_rrset(provider, zone):
    if not provider.capabilities.one_ttl_per_rrset:
        pytest.skip("each record keeps a TTL of its own")
    first, second = (RecordData(zone.name, "MX", f"mx{n}.mail.test", 3600, n) for n in (1, 2))
    provider.apply_batch(zone.id, creates=[first, second])
    provider.apply_batch(zone.id, creates=[RecordData(zone.name, "MX", "mx3.mail.test", 300, 3)])
    assert {record.data.ttl for record in records(provider, zone)} == {300}
    assert len(records(provider, zone)) == 3


def test_only_the_ttl_is_changed(provider, zone):
    provider.apply_batch(zone.id, creates=[RecordData(f"a.{zone.name}", "TXT", "text", 3600)])
    (found,) = records(provider, zone)
    provider.apply_batch(zone.id, updates=[(found, replace(found.data, ttl=120))])
    assert [record.data for record in records(provider, zone)] == [replace(found.data, ttl=120)]


def test_records_of_one_name_and_type_do_not_touch_each_other(provider, zone):
    texts = [RecordData(zone.name, "TXT", f"proof {n}") for n in range(3)]
    provider.apply_batch(zone.id, creates=texts)
    gone = next(record for record in records(provider, zone) if record.data == texts[1])
    provider.apply_batch(zone.id, deletes=[gone])
    assert {record.data for record in records(provider, zone)} == {texts[0], texts[2]}


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


@pytest.mark.parametrize("kind", ["A", "TXT"])
def test_a_cname_stands_beside_what_its_capability_says(provider, zone, kind):
    name = f"www.{zone.name}"
    content = {"A": "192.0.2.1", "TXT": "x"}[kind]
    provider.apply_batch(zone.id, creates=[RecordData(name, kind, content)])
    alias = RecordData(name, "CNAME", "bo.test")
    if kind == "TXT" and not provider.capabilities.lone_cname:
        provider.apply_batch(zone.id, creates=[alias])
        assert alias in {record.data for record in records(provider, zone)}
        return
    with pytest.raises(ProviderError) as refused:
        provider.apply_batch(zone.id, creates=[alias])
    assert refused.value.error_code == "RECORD_CONFLICT"


def test_the_zones_own_name_has_a_cname_only_where_the_capability_says(provider, zone):
    alias = RecordData(zone.name, "CNAME", "bo.test")
    if provider.capabilities.apex_cname:
        provider.apply_batch(zone.id, creates=[alias])
        assert alias in {record.data for record in records(provider, zone)}
        return
    with pytest.raises(ProviderError):
        provider.apply_batch(zone.id, creates=[alias])


def test_a_record_is_proxied_only_where_the_capability_says(provider, zone, dig):
    shown = RecordData(f"www.{zone.name}", "A", "192.0.2.1")
    if not provider.capabilities.proxies:
        provider.apply_batch(zone.id, creates=[shown])
        (read,) = [one.data for one in records(provider, zone) if one.data.name == shown.name]
        assert read == shown
        return
    hidden = replace(shown, ttl=AUTOMATIC_TTL, proxied=True)
    provider.apply_batch(zone.id, creates=[hidden])
    (found,) = [one for one in records(provider, zone) if one.data.name == shown.name]
    assert found.data == hidden
    assert dig(shown.name, "A") != ["192.0.2.1"]
    provider.apply_batch(zone.id, updates=[(found, shown)])
    assert dig(shown.name, "A") == ["192.0.2.1"]
    (found,) = [one for one in records(provider, zone) if one.data.name == shown.name]
    provider.apply_batch(zone.id, updates=[(found, hidden)])
    assert [one.data for one in records(provider, zone) if one.data.name == shown.name] == [hidden]


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


# --- DNSSEC ---------------------------------------------------------------------------------------


def needs_dnssec(provider):
    if not provider.capabilities.dnssec:
        pytest.skip("it signs no zones")


def test_a_new_zone_is_not_signed(provider, zone):
    needs_dnssec(provider)
    assert provider.dnssec(zone.id) == DnssecState(is_on=False)
    assert provider.disable_dnssec(zone.id) == DnssecState(is_on=False)


def test_a_zone_is_signed_and_signed_no_more(provider, zone):
    needs_dnssec(provider)
    signed = provider.enable_dnssec(zone.id)
    assert signed.is_on
    # ECDSA P-256 with SHA-256, which every validating resolver knows (RFC 8624).
    assert (13, 2, 64) in [
        (ds.algorithm, ds.digest_type, len(ds.digest)) for ds in signed.ds_records
    ]
    assert all(ds.is_fit for ds in signed.ds_records)
    assert len({ds.key_tag for ds in signed.ds_records}) == 1
    assert provider.enable_dnssec(zone.id) == provider.dnssec(zone.id) == signed, "one key"
    assert provider.disable_dnssec(zone.id) == DnssecState(is_on=False)
    assert provider.dnssec(zone.id) == provider.disable_dnssec(zone.id)
    assert provider.enable_dnssec(zone.id) == signed, "the same DS as before"


def test_records_are_written_to_a_signed_zone_as_to_others(provider, zone, dig):
    needs_dnssec(provider)
    provider.enable_dnssec(zone.id)
    wanted = samples(zone.name)
    provider.apply_batch(zone.id, creates=wanted)
    assert sorted((record.data for record in records(provider, zone)), key=str) == sorted(
        wanted, key=str
    )
    assert dig(f"v6.{zone.name}", "AAAA") == ["2001:db8::1"]


def test_dnssec_of_a_zone_that_is_gone(provider):
    needs_dnssec(provider)
    gone = provider.create_zone(f"gone{next(names)}.test")
    provider.delete_zone(gone.id)
    for call in (provider.dnssec, provider.enable_dnssec, provider.disable_dnssec):
        with pytest.raises(ProviderError) as raised:
            call(gone.id)
        assert raised.value.error_code == "ZONE_GONE"
