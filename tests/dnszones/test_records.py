import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import given, settings
from hypothesis import strategies as st

from dnszones.dkim import records as dkim
from dnszones.record_types import TYPES
from dnszones.records import (
    RecordData,
    canonical,
    check_name,
    check_record,
    from_presentation,
    purpose_of,
    quote_txt,
    same_value,
    to_presentation,
    txt_strings,
    unquote_txt,
)
from mpanel.core.errors import Invalid

APEX = "ada.test"
KEY = dkim.make_key().value


def txt(content, name=APEX):
    return RecordData(name, "TXT", content)


# --- Normal form ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_record", "normal"),
    [
        (RecordData("Ada.Test.", "mx", "MX.Ada.Test.", 300, 10), "ada.test MX 10 mx.ada.test"),
        (RecordData("ada.test", "MX", ".", 300, 0), "ada.test MX 0 ."),
        (RecordData("bücher.test", "A", "192.0.2.1"), "xn--bcher-kva.test A 192.0.2.1"),
        (RecordData("a.test", "AAAA", "2001:DB8:0::1"), "a.test AAAA 2001:db8::1"),
        (
            RecordData("_sip._tcp.a.test", "SRV", "5 5060 SIP.a.test.", 300, 10),
            "_sip._tcp.a.test SRV 10 5 5060 sip.a.test",
        ),
        (RecordData("a.test", "CAA", '0  issue "ca.test"'), 'a.test CAA 0 issue "ca.test"'),
        (RecordData("a.test", "TXT", " Case and space stay "), "a.test TXT  Case and space stay "),
        (RecordData("a.test", "A", "nonsense"), "a.test A nonsense"),
        (RecordData("a.test", "TYPE65280", "\\# 1 00"), "a.test TYPE65280 \\# 1 00"),
    ],
)
def test_canonical(given_record, normal):
    assert str(canonical(given_record)) == normal


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (RecordData("bad name.test", "A", "192.0.2.1"), "name"),
        (RecordData("a..test", "A", "192.0.2.1"), "name"),
        (RecordData("-a.test", "A", "192.0.2.1"), "name"),
        (RecordData(f"{'a' * 64}.test", "A", "192.0.2.1"), "name"),
        (RecordData(".".join(["a" * 60] * 5), "A", "192.0.2.1"), "name"),
        (RecordData("a.test", "A", "192.0.2.256"), "content"),
        (RecordData("a.test", "AAAA", "192.0.2.1"), "content"),
        (RecordData("a.test", "A", "192.0.2.1\n192.0.2.2"), "content"),
        (RecordData("a.test", "CNAME", "two words"), "content"),
        (RecordData("a.test", "MX", "mx_1.ada.test", priority=10), "content"),
        (RecordData("a.test", "MX", "mx.ada.test"), "priority"),
        (RecordData("a.test", "MX", "mx.ada.test", priority=65_536), "priority"),
        (RecordData("a.test", "A", "192.0.2.1", priority=1), "priority"),
        (RecordData("a.test", "SRV", "x 5060 sip.test", priority=1), "content"),
        (RecordData("a.test", "TXT", ""), "content"),
        (RecordData("a.test", "TXT", "lone \ud800 surrogate"), "content"),
        (RecordData("a.test", "TXT", "x" * 2049), "content"),
        (RecordData("a.test", "A", "192.0.2.1", ttl=1), "ttl"),
        (RecordData("a.test", "NOTATYPE", "x"), "type"),
        (RecordData("a.test", "SOA", "a. b. 1 2 3 4 5"), "type"),
        (RecordData("a.test", "TXT", "x" * 65_536), "content"),
        (RecordData("a.test", "TXT", "nul \0"), "content"),
        (RecordData("a" * 65_536, "A", "192.0.2.1"), "name"),
        (RecordData("a.test", "MX", "192.0.2.1", priority=10), "content"),
        (RecordData("a.test", "CNAME", "."), "content"),
        (RecordData("a.test", "CNAME", "a.test"), "content"),
        (RecordData("a.test", "NS", "ns_1.b.test"), "content"),
        (RecordData("sip.a.test", "SRV", "5 5060 sip.a.test", priority=1), "name"),
        (RecordData("_sip._tcp.a.test", "SRV", "5 5060 two..dots", priority=1), "content"),
        (RecordData("a.test", "TLSA", "3 1 1 " + "ab" * 32), "name"),
        (RecordData("a.test", "CAA", '7 issue "ca.test"'), "content"),
        (RecordData("a.test", "CAA", "0 issue"), "content"),
        (RecordData("a.test", "DS", "60485 13 2 abcd"), "content"),
        (RecordData("a.test", "HTTPS", "1 . alpn"), "content"),
        (RecordData("a.test", "SSHFP", "4 2 xyz"), "content"),
        (RecordData("a.test", "URI", "1", priority=1), "content"),
        (RecordData("a.test", "NAPTR", "100 10 u"), "content"),
    ],
)
def test_what_cannot_be_published_is_refused_with_its_field(record, field):
    with pytest.raises(Invalid) as raised:
        check_record(record)
    assert list(raised.value.details) == [field]


@pytest.mark.parametrize(
    "record",
    [
        RecordData("*.a.test", "A", "192.0.2.1"),
        RecordData("_dmarc.a.test", "TXT", "v=DMARC1; p=none"),
        RecordData("a.test", "MX", ".", priority=0),
        RecordData("a.test", "CAA", '0 issue "ca.test"'),
        RecordData("s._domainkey.a.test", "CNAME", "s._domainkey.b.test"),
        RecordData("_sip._tcp.a.test", "SRV", "5 5060 sip.a.test", priority=10),
    ],
)
def test_what_can_be_published_passes_unchanged(record):
    assert check_record(record) == record


NAMES = {"SRV": "_sip._tcp.a.test", "TLSA": "_443._tcp.a.test"}
PRIORITIES = {"MX": 10, "SRV": 10, "URI": 10}
WORDS = st.sampled_from(
    [
        *("0", "1", "2", "3", ".", "128", "443", "65535", "65536", "192.0.2.1", "2001:DB8::1"),
        *(
            "a.test",
            "A.Test.",
            "two..dots",
            "issue",
            "iodef",
            '"ca.test"',
            '"\\"q"',
            '"',
            "ab" * 32,
        ),
        *("alpn=h2", 'alpn="h2,h3"', "port=443", "mandatory=alpn", "ipv4hint=192.0.2.1"),
    ]
)


def of_type(kind: str, content: str) -> RecordData:
    return RecordData(NAMES.get(kind, "w.a.test"), kind, content, 300, PRIORITIES.get(kind))


@pytest.mark.parametrize("kind", TYPES)
def test_the_example_of_each_type_can_be_published(kind: str) -> None:
    record = of_type(kind, TYPES[kind].example)
    assert check_record(record) == record


@settings(max_examples=1_500, deadline=None)
@given(
    kind=st.sampled_from(sorted(TYPES)),
    content=st.one_of(st.text(max_size=60), st.lists(WORDS, min_size=1, max_size=6).map(" ".join)),
)
def test_what_passes_is_the_same_after_presentation(kind: str, content: str) -> None:
    """Whatever is written into the field: it is refused, or it is a record that keeps its form."""
    try:
        checked = check_record(of_type(kind, content))
    except Invalid:
        return
    assert check_record(checked) == checked
    again = from_presentation(checked.name, checked.type, to_presentation(checked), checked.ttl)
    assert again == checked


def test_host_names_inside_of_content_are_in_normal_form() -> None:
    for kind, given_text, normal in (
        ("SRV", "5 5060 SIP.Bücher.test.", "5 5060 sip.xn--bcher-kva.test"),
        ("HTTPS", "1 SVC.a.test. alpn=h2", '1 svc.a.test alpn="h2"'),
        ("SVCB", "0 svc.a.test", "0 svc.a.test"),
        ("NAPTR", '100 10 "u" "E2U+sip" "" A.test.', '100 10 "u" "E2U+sip" "" a.test'),
    ):
        assert check_record(of_type(kind, given_text)).content == normal


def test_a_host_name_has_no_underscore():
    assert check_name("_dmarc.Ada.test.") == "_dmarc.ada.test"
    with pytest.raises(Invalid):
        check_name("_dmarc.ada.test", host=True)


# --- TXT --------------------------------------------------------------------------------------


def test_text_is_split_by_bytes_without_cutting_a_character():
    assert [len(part) for part in txt_strings("a" * 600)] == [255, 255, 90]
    parts = txt_strings("a" * 254 + "é" * 3)
    assert parts == ["a" * 254, "ééé"]
    assert txt_strings("") == [""]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400))
def test_text_survives_the_wire(text):
    """What dnspython sends and prints for our presentation form is the same text again."""
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, quote_txt(text))
    assert isinstance(rdata, TXT)
    assert b"".join(rdata.strings).decode() == text
    assert all(len(string) <= 255 for string in rdata.strings)
    assert unquote_txt(rdata.to_text()) == text


@given(st.text())
def test_a_hostile_presentation_is_read_somehow(text):
    for candidate in (text, f'"{text}'):
        unquote_txt(candidate).encode()  # nothing that a database could not store


def test_text_that_is_no_utf8_can_be_stored():
    assert unquote_txt('"caf\\233"') == "caf\\xe9"


@pytest.mark.parametrize(
    ("kind", "rdata"),
    [
        ("MX", "10 mx.ada.test."),
        ("SRV", "10 5 5060 sip.ada.test."),
        ("CNAME", "bo.test."),
        ("TXT", '"two words" "and more"'),
        ("CAA", '0 issue "ca.test"'),
        ("TLSA", "3 1 1 " + "ab" * 32),
    ],
)
def test_presentation_and_back(kind, rdata):
    record = from_presentation(APEX, kind, rdata)
    again = from_presentation(APEX, kind, to_presentation(record))
    assert again == record
    assert dns.rdata.from_text(dns.rdataclass.IN, kind, to_presentation(record)) is not None


# --- Comparison -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("v=spf1 MX ~all", "v=spf1  mx ~all", True),
        ("v=spf1 mx ~all", "v=spf1 mx -all", False),
        (
            KEY,
            KEY.replace("v=DKIM1; k=rsa; ", "v=DKIM1;k=rsa;t=s;").replace("p=MII", "p=M II"),
            True,
        ),
        (KEY, KEY[:-8] + "AAAAAAAA", False),
        (
            "v=DMARC1; p=none; rua=mailto:a@b.test",
            "v=DMARC1;rua=mailto:a@b.test;p=NONE;pct=100",
            True,
        ),
        ("v=DMARC1; p=none", "v=DMARC1; p=reject", False),
        ("Google-Verification=x", "google-verification=x", False),
    ],
)
def test_texts_are_compared_as_their_readers_do(one, other, same):
    assert same_value(txt(one), txt(other)) is same


def test_priority_and_name_belong_to_the_value_and_the_ttl_does_not():
    mx = RecordData(APEX, "MX", "mx.ada.test", 300, 10)
    assert same_value(mx, RecordData(APEX, "MX", "mx.ada.test", 60, 10))
    assert not same_value(mx, RecordData(APEX, "MX", "mx.ada.test", 300, 20))
    assert not same_value(mx, RecordData("b.test", "MX", "mx.ada.test", 300, 10))


def test_purposes_are_recognised():
    assert purpose_of(txt("v=spf1 -all")) == "spf"
    assert purpose_of(txt("v=DMARC1; p=none", "_dmarc.ada.test")) == "dmarc"
    assert purpose_of(RecordData("s._domainkey.ada.test", "CNAME", "x.test")) == "dkim"
    assert purpose_of(RecordData(APEX, "MX", "mx.test", priority=1)) == "mx"
    assert purpose_of(txt("hello")) == "other"
