"""What a record must be to be written: the same rules for pages, the API and zone files."""

from dataclasses import replace

import pytest

from dnszones import zonefiles
from dnszones.lint import findings
from dnszones.providers.base import Capabilities
from dnszones.record_types import TYPES
from dnszones.records import RecordData, typed_text, unquote_txt, value_of
from dnszones.validation import RecordRefused, Surroundings, checked_record, text_warnings
from mpanel.core.errors import Invalid

ZONE = "example.test"
STRICT = Capabilities(record_types=frozenset(TYPES), batch_size=1, atomic_batches=True)
FLATTENING = replace(STRICT, apex_cname=True, lone_cname=False)


def data(kind: str, content: str, name: str = f"www.{ZONE}", priority: int | None = None):
    return RecordData(name, kind, content, 300, priority)


def refused(record: RecordData, capabilities: Capabilities = STRICT) -> Invalid:
    with pytest.raises(Invalid) as raised:
        checked_record(record, zone_name=ZONE, capabilities=capabilities)
    return raised.value


# --- Host names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "meant"),
    [
        (data("CNAME", "www2"), f"www2.{ZONE}"),
        (data("CNAME", "www2."), f"www2.{ZONE}"),
        (data("CNAME", "@"), ZONE),
        (data("MX", "Mail", ZONE, 10), f"10 mail.{ZONE}"),
        (data("NS", "ns1", f"sub.{ZONE}"), f"ns1.{ZONE}"),
        (data("PTR", "host"), f"host.{ZONE}"),
        (data("DNAME", "other", f"old.{ZONE}"), f"other.{ZONE}"),
        (data("SRV", "5 5060 sip", f"_sip._tcp.{ZONE}", 1), f"1 5 5060 sip.{ZONE}"),
        (data("HTTPS", "1 svc alpn=h2"), f'1 svc.{ZONE} alpn="h2"'),
        (data("SVCB", "1 svc"), f"1 svc.{ZONE}"),
        (data("NAPTR", '100 10 "u" "E2U+sip" "" sip'), f'100 10 "u" "E2U+sip" "" sip.{ZONE}'),
    ],
    ids=str,
)
def test_a_host_name_of_one_label_is_refused_with_the_whole_name(
    record: RecordData, meant: str
) -> None:
    error = refused(record)
    assert isinstance(error, RecordRefused)
    assert error.proposal is not None
    assert value_of(error.proposal) == meant
    assert "Did you mean" in error.message
    assert list(error.details) == ["content"]


@pytest.mark.parametrize(
    "record",
    [
        data("MX", ".", ZONE, 0),
        data("SRV", "0 0 .", f"_sip._tcp.{ZONE}", 0),
        data("HTTPS", '1 . alpn="h2"'),
        data("NAPTR", '100 10 "u" "E2U+sip" "!^.*$!sip:a@b.test!" .'),
    ],
    ids=str,
)
def test_the_root_may_say_that_there_is_no_host(record: RecordData) -> None:
    assert checked_record(record, zone_name=ZONE, capabilities=STRICT) == record


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (data("SRV", "5 5060 192.0.2.1", f"_sip._tcp.{ZONE}", 1), "is an address"),
        (data("HTTPS", "1 192.0.2.1"), "is an address"),
        (data("DNAME", "192.0.2.1"), "is an address"),
        (data("DNAME", f"www.{ZONE}"), "points to itself"),
        (data("PTR", "."), "holds a host name"),
        (data("CNAME", "shop.test", ZONE), "cannot have a CNAME"),
        (data("NS", "ns1.test", ZONE), "not written here"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_with_a_sentence(record: RecordData, said: str) -> None:
    assert said in refused(record).message


def test_the_zones_own_name_has_a_cname_where_the_provider_answers_with_its_addresses() -> None:
    alias = data("CNAME", "shop.test", ZONE)
    assert checked_record(alias, zone_name=ZONE, capabilities=FLATTENING) == alias


# --- Texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("v=spf1 -all", "v=spf1 -all"),
        ('"v=spf1 " "-all"', "v=spf1 -all"),
        ('"a""b"', "ab"),
        (' "a" ', "a"),
        ('"say \\"hi\\""', 'say "hi"'),
        ('"\\195\\188"', "ü"),
        ('say "hi"', 'say "hi"'),
        ("back\\slash", "back\\slash"),
        ('""', ""),
    ],
)
def test_quotes_are_taken_off_what_is_wholly_quoted(typed: str, text: str) -> None:
    assert typed_text(typed) == text
    assert unquote_txt(typed) == text


@pytest.mark.parametrize(
    "typed", ['"left', '"v=spf1 -all', '"a" b', '"a" "b', '"a\\', '"', '"\\999"', '"a" b "c"']
)
def test_quotes_that_do_not_match_are_refused_and_nothing_is_lost(typed: str) -> None:
    with pytest.raises(Invalid, match="quotation marks do not match"):
        typed_text(typed)
    assert unquote_txt(typed) == typed


def test_typed_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Invalid, match="not UTF-8"):
        typed_text('"caf\\233"')


def test_a_lone_quotation_mark_is_published_as_it_stands_with_a_warning() -> None:
    assert "lone quotation mark" in text_warnings(data("TXT", '5" of rain'))[0]
    assert text_warnings(data("TXT", 'say "hi"')) == []


# --- SPF ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("v=spf1 –all", "v=spf1 -all"),
        ("v=spf1 inlcude:_spf.x.test ~all", "v=spf1 include:_spf.x.test ~all"),
        ("v=spf1 include=_spf.x.test -all", "v=spf1 include:_spf.x.test -all"),
        ("v=spf1 include: _spf.x.test -all", "v=spf1 include:_spf.x.test -all"),
        ("v=spf1 ip4=192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all"),
        ("v=spf1 ipv4:192.0.2.1, mx; -all;", "v=spf1 ip4:192.0.2.1 mx -all"),
        (" v=spf1 mx -all", "v=spf1 mx -all"),
        ("V = SPF1 mx -all", "v=spf1 mx -all"),
        ("“v=spf1 mx -all”", "v=spf1 mx -all"),
        ("v=spf1;mx -all", "v=spf1 mx -all"),
        ("v=spf1 redirect:_spf.x.test", "v=spf1 redirect=_spf.x.test"),
    ],
)
def test_spf_that_receivers_cannot_use_is_refused_with_what_was_meant(
    text: str, meant: str
) -> None:
    error = refused(data("TXT", text, ZONE))
    assert isinstance(error, RecordRefused)
    assert error.proposal is not None
    assert error.proposal.content == meant
    assert f"Did you mean “{meant}”?" in error.message


@pytest.mark.parametrize("text", ["v=spf1 ip4:192.0.2.300 -all", "v=spf1 mx what? -all", "v=spf2"])
def test_spf_that_nobody_can_mend_is_refused_or_is_no_spf(text: str) -> None:
    if text == "v=spf2":
        assert findings(ZONE, text) == []
        return
    error = refused(data("TXT", text, ZONE))
    assert isinstance(error, RecordRefused)
    assert (error.proposal, error.written) == (None, data("TXT", text, ZONE))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v=spf1 mx", "no “all”"),
        ("v=spf1 +all", "lets anyone send"),
        ("v=spf1 mx all", "lets anyone send"),
        ("v=spf1 ptr -all", "“ptr” must not be used"),
        ("v=spf1 -all mx", "after “all”"),
        ("v=spf1 redirect=x.test -all", "ignore redirect="),
        (f"v=spf1 {' '.join(f'include:s{n}.test' for n in range(11))} -all", "11 DNS lookups"),
    ],
)
def test_doubtful_spf_is_warned_about(text: str, said: str) -> None:
    record = checked_record(data("TXT", text, ZONE), zone_name=ZONE, capabilities=STRICT)
    assert any(said in warning for warning in text_warnings(record))


@pytest.mark.parametrize(
    "text",
    ["v=spf1 mx ~all", "v=spf1 redirect=x.test", "V=SPF1 MX -ALL", "v=spf10", "spf is v=spf1", "x"],
)
def test_right_spf_and_other_texts_are_left_alone(text: str) -> None:
    assert findings(ZONE, text) == []


# --- DMARC -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said", "meant"),
    [
        ("v=DMARC1; p=bob", "p=bob is not a policy", ""),
        ("v=DMARC1", "Without p=", ""),
        ("v=DMARC1; p=none; p=reject", "The tag p is there more than once", ""),
        ("v=DMARC1; p=none; rua=mailto:a@b.test; rua=mailto:c@d.test", "rua is there more", ""),
        (
            "v=DMARC1; p=none; rua=a@b.test",
            "needs mailto:",
            "v=DMARC1; p=none; rua=mailto:a@b.test",
        ),
        ("V=dmarc1; p=none", "begins with v=DMARC1", "v=DMARC1; p=none"),
        (" v=DMARC1; p=none", "begins with", "v=DMARC1; p=none"),
        ("“v=DMARC1; p=none”", "begins with", "v=DMARC1; p=none"),
        ("v=DMARC1\\; p=none", "begins with", "v=DMARC1; p=none"),
        ("v=DMARC1 p=none", "begins with", "v=DMARC1; p=none"),
    ],
)
def test_dmarc_that_receivers_cannot_use_is_refused(text: str, said: str, meant: str) -> None:
    error = refused(data("TXT", text, f"_dmarc.{ZONE}"))
    assert isinstance(error, RecordRefused)
    assert said in error.message
    assert (error.proposal.content if error.proposal else "") == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v=DMARC1; p=none; rua=ftp://x.test", "only to mailto:"),
        ("v=DMARC1; p=none; adkim=x", "adkim=x is ignored"),
        ("v=DMARC1; p=none; rau=mailto:a@x.test", "ignore the tag rau"),
        ("v=DMARC1; p=none; pct=50", "retired"),
        ("verification=1", "begins with v=DMARC1"),
    ],
)
def test_doubtful_dmarc_is_warned_about(text: str, said: str) -> None:
    record = data("TXT", text, f"_dmarc.{ZONE}")
    assert checked_record(record, zone_name=ZONE, capabilities=STRICT) == record
    assert any(said in warning for warning in text_warnings(record))


def test_right_dmarc_is_left_alone_and_is_looked_for_at_its_name_only() -> None:
    text = "v=DMARC1; p=reject; rua=mailto:a@x.test,mailto:b@x.test; adkim=s"
    assert findings(f"_dmarc.{ZONE}", text) == []
    assert "at _dmarc only" in findings(ZONE, text)[0].sentence
    assert findings(f"{ZONE}._report._dmarc.x.test", "v=DMARC1") == []


# --- Beside other records ----------------------------------------------------------------------

SUB = data("NS", "ns1.other.test", f"sub.{ZONE}")
GLUED = data("NS", f"ns1.sub.{ZONE}", f"sub.{ZONE}")
MAIL = data("MX", f"mail.{ZONE}", ZONE, 10)


@pytest.mark.parametrize(
    ("record", "others", "said"),
    [
        (data("MX", ".", ZONE, 0), [MAIL], "null MX"),
        (MAIL, [data("MX", ".", ZONE, 0)], "null MX"),
        (data("MX", ".", ZONE, 10), [], "preference of a null MX is 0"),
        (MAIL, [data("CNAME", "mx.other.test", f"mail.{ZONE}")], "write mx.other.test instead"),
        (
            data("CNAME", "mx.other.test", f"mail.{ZONE}"),
            [MAIL],
            "MX of example.test leads to this",
        ),
        (
            data("SRV", f"1 2 sip.{ZONE}", f"_sip._tcp.{ZONE}", 1),
            [data("CNAME", "a.test", f"sip.{ZONE}")],
            "SRV must not lead to a CNAME",
        ),
        (data("A", "192.0.2.1", f"www.sub.{ZONE}"), [SUB], "delegated to ns1.other.test"),
        (data("TXT", "x", f"sub.{ZONE}"), [SUB], "delegated to"),
        (data("A", "192.0.2.1", f"a.b.{ZONE}"), [data("DNAME", "x.test", f"b.{ZONE}")], "A DNAME"),
        (data("A", "192.0.2.1"), [data("DNAME", "x.test", ZONE)], "A DNAME leads all names below"),
        (data("TXT", "v=spf1 -all", ZONE), [data("TXT", "v=spf1 mx -all", ZONE)], "second SPF"),
        (
            data("TXT", "v=DMARC1; p=none", f"_dmarc.{ZONE}"),
            [data("TXT", "v=DMARC1; p=reject", f"_dmarc.{ZONE}")],
            "second DMARC",
        ),
    ],
    ids=str,
)
def test_what_a_record_does_beside_others_is_told(
    record: RecordData, others: list[RecordData], said: str
) -> None:
    (told,) = Surroundings(ZONE, [*others, record]).warnings(record)
    assert said in told


@pytest.mark.parametrize(
    ("record", "others"),
    [
        (data("A", "192.0.2.1", f"ns1.sub.{ZONE}"), [GLUED]),
        (data("DS", "60485 13 2 " + "d4" * 32, f"sub.{ZONE}"), [SUB]),
        (data("NS", "ns2.other.test", f"sub.{ZONE}"), [SUB]),
        (data("A", "192.0.2.1"), [SUB, MAIL]),
        (data("TXT", "x", f"b.{ZONE}"), [data("DNAME", "x.test", f"b.{ZONE}")]),
        (MAIL, [data("MX", "mx2.test", ZONE, 20), data("A", "192.0.2.1", f"mail.{ZONE}")]),
        (data("TXT", "v=spf1 -all", f"sub2.{ZONE}"), [data("TXT", "v=spf1 mx -all", ZONE)]),
    ],
    ids=str,
)
def test_what_belongs_together_is_not_warned_about(
    record: RecordData, others: list[RecordData]
) -> None:
    assert Surroundings(ZONE, [*others, record]).warnings(record) == []


def test_a_delegation_tells_which_records_it_hides() -> None:
    below = [data("A", f"192.0.2.{n}", f"h{n}.sub.{ZONE}") for n in range(5)]
    (told,) = Surroundings(ZONE, [*below, SUB]).hidden_below(SUB)
    assert told == f"This NS record hides records of the zone: {_first(below)} and 2 more."
    assert Surroundings(ZONE, [SUB, MAIL]).hidden_below(SUB) == []


def test_a_large_zone_is_looked_over_once() -> None:
    """Ten thousand records at twenty names: each is looked at beside its likes without a list."""
    texts = [
        data("TXT", f"v=spf1 ip4:192.0.{n % 20}.{n % 250} -all", f"n{n % 20}.{ZONE}")
        for n in range(10_000)
    ]
    text = zonefiles.write(ZONE, texts)
    assert len(zonefiles.read(text, ZONE).warnings) == 51


def _first(records: list[RecordData]) -> str:
    return ", ".join(f"{record.type} {record.name}" for record in records[:3])
