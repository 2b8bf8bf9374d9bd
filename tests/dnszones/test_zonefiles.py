"""Zone files: read line by line, hostile ones refused at once, written so that they can be read."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnszones import zonefiles
from dnszones.records import RecordData, check_record
from dnszones.recordtypes import TYPES
from mpanel.core.errors import Invalid, TooLarge
from tests.dnszones.test_records import of_type

ZONE = "example.test"
USUAL = """\ufeff$ORIGIN Example.TEST.
$TTL 1h
@ IN SOA ns1 hostmaster ( 1 ; serial
     2 3 4 5 )
     NS ns1
@  3600 IN MX 10 mail
   IN MX 20 mx.other.net.
www\tA 192.0.2.1
    AAAA 2001:db8::1
ftp 60 CNAME www
long TXT ( "one; " "two"
   " (three)" )
words TXT "grüße"
_sip._tcp SRV 10 5 5060 sip
svc HTTPS 1 . alpn="h2,h3" key65000="a b"
other.org. A 192.0.2.66
place LOC 52 22 23.000 N 4 53 32.000 E -2.00m
$ORIGIN sub
bücher A 192.0.2.9
*.w IN 1d A 192.0.2.3
"""
FOUND = {
    "example.test MX 10 mail.example.test": 3600,
    "example.test MX 20 mx.other.net": 3600,
    "www.example.test A 192.0.2.1": 3600,
    "www.example.test AAAA 2001:db8::1": 3600,
    "ftp.example.test CNAME www.example.test": 60,
    "long.example.test TXT one; two (three)": 3600,
    "words.example.test TXT grüße": 3600,
    "_sip._tcp.example.test SRV 10 5 5060 sip.example.test": 3600,
    'svc.example.test HTTPS 1 . alpn="h2,h3" key65000="a b"': 3600,
    "xn--bcher-kva.sub.example.test A 192.0.2.9": 3600,
    "*.w.sub.example.test A 192.0.2.3": 86_400,
}


def refusals(text: str) -> list[str]:
    with pytest.raises(Invalid) as raised:
        zonefiles.read(text, ZONE)
    found: list[str] = raised.value.details["zone_file"]
    return found


def test_a_usual_file_is_read() -> None:
    file = zonefiles.read(USUAL, ZONE)
    assert {str(record): record.ttl for record in file.records} == FOUND
    assert file.left_out == (
        "Line 3: SOA of the zone itself is the provider's.",
        "Line 5: NS of the zone itself is the provider's.",
        "Line 16: other.org is not in this zone.",
        "Line 17: mPanel writes no records of type LOC.",
    )


def test_what_the_provider_cannot_hold_is_left_out() -> None:
    file = zonefiles.read(USUAL, ZONE, types=["A"], provider="Cloudflare")
    assert {record.type for record in file.records} == {"A"}
    assert "Line 6: Cloudflare writes no records of type MX." in file.left_out


def test_ttls_are_brought_into_bounds_and_copies_count_once() -> None:
    file = zonefiles.read("a 1w A 192.0.2.1\na 5 A 192.0.2.1\nb 0 A 192.0.2.1", ZONE)
    assert [(str(record), record.ttl) for record in file.records] == [
        ("a.example.test A 192.0.2.1", 86_400),
        ("b.example.test A 192.0.2.1", 60),
    ]
    assert file.left_out == ("3 TTLs were brought between 60 and 86400 seconds.",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("www A 192.0.2.256", "Line 2"),
        ("www NOTYPE x", "'NOTYPE' is no type"),
        ("www CH A 192.0.2.1", "another class"),
        ("   A 192.0.2.1", "has no name"),
        ("www 99999999999999 A 192.0.2.1", "is no TTL"),
        ("$INCLUDE /etc/passwd", "$INCLUDE is not followed"),
        ("$GENERATE 1-1000000 h$ A 192.0.2.$", "$GENERATE is not followed"),
        ("$TTL", "lacks its value"),
        ('www TXT "\\200\\201"', "not UTF-8"),
        ('www TXT "\\010"', "unseen characters"),
        ("www A", "A record"),
        ("bad_host MX 10 under_score.test.", "no valid domain name"),
        (f"{'a' * 64} A 192.0.2.1", "no valid domain name"),
        ("w A 192.0.2.1\nw CNAME www", "stands alone"),
        ("sip SRV 1 2 3 sip", "begins with service"),
    ],
)
def test_each_line_that_cannot_be_read_is_named(line: str, said: str) -> None:
    (refusal,) = refusals(f"; a file\n{line}\n")
    assert said in refusal
    assert refusal.startswith("Line ")


def test_all_bad_lines_are_told_but_not_endlessly() -> None:
    found = refusals("".join(f"h{n} A nonsense\n" for n in range(500)))
    assert len(found) == 51
    assert found[-1] == "And 450 more."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h A 192.0.2.1\n" * 750_000, "1,000,000 bytes"),  # ten megabytes
        ("h A " + "(" * 900_000, "parentheses"),
        ("h A (" + "\n" * 900_000, "not closed"),
        ("h\n" * 200_000, "more than 10,000 records"),
        (" ; nothing\n" * 80_000, "no record for this zone"),
        ('h TXT "' + '\\"' * 400_000, "does not end"),
        ('"' * 900_000, "too long"),
        ("\\" * 900_000, "too long"),
        ("h A 192.0.2.1 )", "parentheses"),
        ("h" * 900_000, "too long"),
        ("".join(f"h A 192.0.{n // 250}.{n % 250}\n" for n in range(600)), "more than 500"),
        ("", "no record"),
    ],
    ids=lambda text: str(text)[:16],
)
def test_hostile_files_are_refused_at_once(text: str, said: str) -> None:
    started = time.process_time()
    with pytest.raises((Invalid, TooLarge)) as raised:
        zonefiles.read(text, ZONE)
    assert said in raised.value.message
    assert time.process_time() - started < 3


def test_a_quoted_text_that_does_not_end_is_refused_at_once() -> None:
    started = time.process_time()
    found = refusals(f'w TXT "{"a" * 26}\n')
    assert found == ["Line 1: A quoted text does not end."]
    refusals(f'w TXT "{"a;" * 200_000}\n')
    assert time.process_time() - started < 1


def test_an_exported_zone_is_the_same_when_it_is_imported() -> None:
    records = zonefiles.read(USUAL, ZONE).records
    text = zonefiles.write(ZONE, records)
    assert text.startswith("$ORIGIN example.test.\n$TTL 3600\n@\tIN\tMX\t10 mail.example.test.\n")
    again = zonefiles.read(text, ZONE)
    assert (set(again.records), again.left_out) == (set(records), ())


def test_a_long_text_is_split_and_the_soa_comes_first() -> None:
    soa = RecordData(ZONE, "SOA", "ns1.x.test. a.x.test. 1 2 3 4 5")
    text = zonefiles.write(ZONE, [RecordData(ZONE, "TXT", 'a"' * 200), soa])
    assert text.splitlines()[2].split("\t")[2] == "SOA"
    assert '" "' in text
    (record,) = zonefiles.read(text, ZONE).records
    assert record.content == 'a"' * 200


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([of_type(kind, shape.example) for kind, shape in TYPES.items()]),
            st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=300).map(
                lambda text: RecordData("w.a.test", "TXT", text)
            ),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda record: (record.name, record.type == "CNAME", str(record)),
    )
)
def test_whatever_a_zone_holds_survives_a_file(records: list[RecordData]) -> None:
    alias = [record for record in records if record.type == "CNAME"]
    kept = {check_record(record) for record in (alias or records)}
    assert set(zonefiles.read(zonefiles.write("a.test", kept), "a.test").records) == kept


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('$TLORIGN w@A1"\\();.\n\t 0é*_-'), max_size=120))
def test_any_text_is_read_or_refused_with_sentences(text: str) -> None:
    try:
        zonefiles.read(text, ZONE)
    except Invalid as error:
        assert all(error.details["zone_file"])  # noqa: PT017
