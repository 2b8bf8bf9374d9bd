"""A zone that is exported and imported again is the same zone, whatever it holds."""

import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnszones import zonefiles
from dnszones.plans import ExistingRecord, excludes, plan_import
from dnszones.providers.base import Capabilities
from dnszones.record_types import TYPES
from dnszones.records import PRIORITY_TYPES, RecordData
from dnszones.validation import checked_record
from dnszones.zonefiles import ZoneFile
from mpanel.core.errors import Invalid
from tests.dnszones.test_records import WORDS
from tests.powerdns import SCHEMA, is_installed

ZONE = "example.test"
STRICT = Capabilities(record_types=frozenset(TYPES), batch_size=1, atomic_batches=True)
FLATTENING = Capabilities(
    record_types=frozenset(TYPES),
    batch_size=1,
    atomic_batches=True,
    apex_cname=True,
    lone_cname=False,
    proxies=True,
)

# Labels that could be taken for something else at the beginning of a line.
LABELS = st.one_of(
    st.sampled_from(
        ["www", "a", "mx", "in", "ch", "300", "1h", "txt", "com", "_sip", "_tcp", "xn--bcher-kva"]
    ),
    st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,5}[a-z0-9_])?", fullmatch=True),
)
BELOW = st.lists(LABELS, max_size=3).map(lambda labels: "".join(f"{label}." for label in labels))
NAMES = st.one_of(
    BELOW.map(lambda below: f"{below}{ZONE}"),
    st.sampled_from(
        [
            f"*.{ZONE}",
            f"_sip._tcp.{ZONE}",
            f"_443._tcp.{ZONE}",
            f"_dmarc.{ZONE}",
            f"www.{ZONE}.{ZONE}",
            f"{ZONE}.{ZONE}",
        ]
    ),
)
HOSTS = st.one_of(
    NAMES, st.sampled_from(["mx.google.com", "shop.test", f"www.{ZONE}.{ZONE}", f"{ZONE}.com"])
)
NUMBERS = st.integers(0, 65_535).map(str)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=700),
    st.text(st.sampled_from('";\\()@$ =ab\u00fc1,'), min_size=1, max_size=40),
    st.sampled_from(
        [
            '"left',
            '"a" b',
            "v=spf1 mx ~all",
            "v=DMARC1; p=none",
            "cf_tags=cf-proxied:true",
            "; cf_tags=cf-proxied:true",
            " leading and trailing ",
            "k=rsa; p=MIGf",
        ]
    ),
)


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(" ".join)


CONTENTS: dict[str, st.SearchStrategy[str]] = {
    "A": st.ip_addresses(v=4).map(str),
    "AAAA": st.ip_addresses(v=6).map(str),
    "TXT": TEXTS,
    "SRV": joined(NUMBERS, NUMBERS, HOSTS),
    "HTTPS": joined(NUMBERS, HOSTS, st.sampled_from(["", 'alpn="h2,h3"', 'key65000="a; b"'])),
    "SVCB": joined(NUMBERS, HOSTS, st.sampled_from(["", "port=443", "ipv4hint=192.0.2.1"])),
    "CAA": joined(
        st.sampled_from(["0", "128"]),
        st.sampled_from(["issue", "iodef"]),
        st.sampled_from(['"ca.test; x=1"', '";"', '"a\\"b"']),
    ),
    "NAPTR": joined(NUMBERS, NUMBERS, st.just('"u" "E2U+sip" "!^.*$!sip:a;b@c.test!"'), HOSTS),
    "URI": joined(NUMBERS, st.sampled_from(['"https://a.test/;x"', '"ftp://a.test/(b)"'])),
    **dict.fromkeys(("CNAME", "DNAME", "MX", "NS", "PTR"), HOSTS),
    **{kind: st.just(TYPES[kind].example) for kind in ("DS", "SSHFP", "TLSA")},
}


@st.composite
def records(draw: st.DrawFn) -> RecordData:
    """Any record of any type, fit or not."""
    kind = draw(st.sampled_from(sorted(TYPES)))
    content = draw(st.one_of(CONTENTS[kind], st.lists(WORDS, max_size=4).map(" ".join)))
    priority = draw(st.integers(0, 65_535)) if kind in PRIORITY_TYPES else None
    ttl = draw(st.one_of(st.sampled_from([60, 300, 3_600]), st.integers(60, 86_400)))
    proxied = kind in {"A", "AAAA", "CNAME"} and draw(st.booleans())
    return RecordData(draw(NAMES), kind, content, ttl, priority, proxied)


def fit(found: list[RecordData], capabilities: Capabilities) -> list[RecordData]:
    """Those of which a zone at such a provider can consist."""
    zone: dict[str, RecordData] = {}
    for record in found:
        given = record if capabilities.proxies else RecordData(**{**vars(record), "proxied": False})
        try:
            checked = checked_record(given, zone_name=ZONE, capabilities=capabilities)
        except Invalid:
            continue
        others = [one for one in zone.values() if one.name == checked.name]
        if not any(excludes(one, checked, lone_cname=capabilities.lone_cname) for one in others):
            zone.setdefault(
                f"{checked.name} {checked.type} {checked.priority} {checked.content}", checked
            )
    return list(zone.values())


def read(text: str, capabilities: Capabilities) -> ZoneFile:
    return zonefiles.read(text, ZONE, capabilities=capabilities)


def test_every_type_has_contents_here() -> None:
    assert set(CONTENTS) == set(TYPES)


@settings(max_examples=400, deadline=None)
@given(found=st.lists(records(), max_size=12), capabilities=st.sampled_from([STRICT, FLATTENING]))
def test_a_zone_that_is_exported_and_imported_is_the_same(
    found: list[RecordData], capabilities: Capabilities
) -> None:
    zone = fit(found, capabilities)
    if not zone:
        return
    file = read(zonefiles.write(ZONE, zone), capabilities)
    assert set(file.records) == set(zone)
    assert file.questions == ()
    existing = [ExistingRecord(str(number), record) for number, record in enumerate(zone)]
    plan = plan_import(ZONE, existing, file.records, lone_cname=capabilities.lone_cname)
    assert {change.action for change in plan.changes} == {"keep"}


GOOD = RecordData(ZONE, "A", "192.0.2.77")


@settings(max_examples=400, deadline=None)
@given(
    record=st.one_of(
        records(),
        st.sampled_from(
            [
                RecordData(ZONE, "LUA", "A \"ifportup(443, {'192.0.2.1'})\""),
                RecordData(ZONE, "ALIAS", "shop.test."),
                RecordData(ZONE, "TXT", ""),
                RecordData(ZONE, "TYPE65280", "\\# 1 00"),
                RecordData(f"a b.{ZONE}", "A", "192.0.2.1"),
                RecordData(f"a;b.{ZONE}", "A", "192.0.2.1"),
                RecordData(f"$a.{ZONE}", "A", "192.0.2.1"),
            ]
        ),
    ),
    capabilities=st.sampled_from([STRICT, FLATTENING]),
)
def test_what_cannot_be_imported_of_an_export_is_told(
    record: RecordData, capabilities: Capabilities
) -> None:
    """Also a zone with a record that mPanel would not write can be read back, without it."""
    file = read(zonefiles.write(ZONE, [GOOD, record]), capabilities)
    try:
        expected = {GOOD, checked_record(record, zone_name=ZONE, capabilities=capabilities)}
    except Invalid:
        expected = {GOOD}
    if set(file.records) != expected:
        assert file.warnings or file.questions


# --- What real servers write -------------------------------------------------------------------

NAMED_COMPILEZONE = """\
$ORIGIN .
example.test                                      3600 IN SOA      ns1.example.net. hostmaster.example.net. 2026112701 10800 3600 604800 3600
example.test                                      3600 IN NS       ns1.example.net.
example.test                                      3600 IN MX       10 mail.example.test.
example.test                                      3600 IN TXT      "v=spf1 mx include:_spf.vendor.test ~all"
_dmarc.example.test                               3600 IN TXT      "v=DMARC1; p=reject"
*.example.test                                    3600 IN A        192.0.2.9
_sip._tcp.example.test                            3600 IN SRV      10 5 5060 sip.example.test.
mail.example.test                                 60 IN AAAA       2001:db8::25
shop.example.test                                 3600 IN CNAME    shop.vendor.test.
sub.example.test                                  3600 IN NS       ns1.other.test.
"""  # noqa: E501

ZONE_TEXT = f"""$ORIGIN {ZONE}.
$TTL 3600
@ IN SOA ns1.example.net. hostmaster.example.net. 1 10800 3600 604800 3600
@ IN NS ns1.example.net.
@ IN MX 10 mail
@ IN TXT "v=spf1 mx include:_spf.vendor.test ~all"
_dmarc IN TXT "v=DMARC1; p=reject"
*      IN A 192.0.2.9
_sip._tcp IN SRV 10 5 5060 sip
mail 60 IN AAAA 2001:db8::25
shop IN CNAME shop.vendor.test.
sub IN NS ns1.other.test.
"""
LEFT_OUT = ("SOA of the zone itself is the provider's.", "NS of the zone itself is the provider's.")


def test_what_named_compilezone_writes_is_the_zone() -> None:
    file, wanted = read(NAMED_COMPILEZONE, STRICT), read(ZONE_TEXT, STRICT)
    assert set(file.records) == set(wanted.records)
    assert tuple(said.partition(": ")[2] for said in file.warnings) == LEFT_OUT
    assert file.questions == ()


@pytest.mark.skipif(not is_installed(), reason="PowerDNS is not installed")
def test_what_pdnsutil_lists_is_the_zone(tmp_path: Path) -> None:
    """`pdnsutil list-zone` of the real PowerDNS, which writes `$ORIGIN .` and whole names."""
    pdnsutil = shutil.which("pdnsutil")
    assert pdnsutil
    database, zone_file = tmp_path / "zones.sqlite3", tmp_path / "zone"
    (tmp_path / "pdns.conf").write_text(f"launch=gsqlite3\ngsqlite3-database={database}\n")
    zone_file.write_text(
        ZONE_TEXT.replace("1 10800", "2026112701 10800")
        + "@ IN LUA A \"ifportup(443, {'192.0.2.1'})\"\n@ IN ALIAS shop.vendor.test.\n"
    )

    def run(*arguments: str) -> str:
        command = [pdnsutil or "", f"--config-dir={tmp_path}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with sqlite3.connect(database) as connection:
        connection.executescript(SCHEMA.read_text())
    connection.close()
    run("load-zone", ZONE, str(zone_file))
    listed = run("list-zone", ZONE)
    assert f"\n{ZONE}\t3600\tIN\tMX\t10 mail.{ZONE}" in listed
    file = read(listed, STRICT)
    assert set(file.records) == set(read(ZONE_TEXT, STRICT).records)
    said = " ".join(file.warnings)
    assert "'LUA' is not a record type" in said
    assert "ALIAS is not a DNS record" in said
    assert file.questions == ()
