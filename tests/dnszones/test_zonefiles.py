"""Zone files: read line by line, hostile ones refused at once, written so that they can be read."""

import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnszones import zonefiles
from dnszones.providers.base import Capabilities
from dnszones.records import RecordData
from dnszones.zonefiles import Question
from dnszones.zonefiles.reading import ANYWHERE
from mpanel.core.errors import Invalid, TooLarge

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


GOOD = "good A 192.0.2.77\n"


def warnings(text: str, capabilities: Capabilities = ANYWHERE) -> tuple[str, ...]:
    """What is said about a file that has one good line, too; that line is read."""
    file = zonefiles.read(f"{GOOD}{text}\n", ZONE, capabilities=capabilities)
    assert "good.example.test A 192.0.2.77" in {str(record) for record in file.records}
    return file.warnings


def records(text: str, **more: Any) -> set[str]:
    return {str(record) for record in zonefiles.read(text, ZONE, **more).records}


def question(text: str, **more: Any) -> Question:
    file = zonefiles.read(f"{GOOD}{text}\n", ZONE, **more)
    (found,) = file.questions
    assert found.line == 2
    assert len(file.records) == 1, "it is left out until somebody answers"
    return found


def proposal(text: str, **more: Any) -> str:
    return str(question(text, **more).proposal)


def test_a_usual_file_is_read() -> None:
    file = zonefiles.read(USUAL, ZONE)
    assert {str(record): record.ttl for record in file.records} == FOUND
    assert file.warnings == (
        "Line 3: SOA of the zone itself is the provider's.",
        "Line 5: NS of the zone itself is the provider's.",
        "Line 16: other.org is not in this zone.",
        "Line 17: mPanel writes no records of type LOC.",
    )


def test_what_the_provider_cannot_hold_is_left_out() -> None:
    file = zonefiles.read(
        USUAL,
        ZONE,
        capabilities=replace(ANYWHERE, record_types=frozenset({"A"})),
        provider="Cloudflare",
    )
    assert {record.type for record in file.records} == {"A"}
    assert "Line 6: Cloudflare writes no records of type MX." in file.warnings


def test_ttls_are_brought_into_bounds_and_copies_count_once() -> None:
    file = zonefiles.read("a 1w A 192.0.2.1\na 5 A 192.0.2.1\nb 0 A 192.0.2.1", ZONE)
    assert [(str(record), record.ttl) for record in file.records] == [
        ("a.example.test A 192.0.2.1", 86_400),
        ("b.example.test A 192.0.2.1", 60),
    ]
    assert file.warnings == ("3 TTLs outside of 60 to 86400 seconds became the nearest of these.",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("www A 192.0.2.256", "Line 2"),
        ("www NOTYPE x", "'NOTYPE' is not a record type"),
        ("www CH A 192.0.2.1", "class other than IN"),
        ("www 99999999999999 A 192.0.2.1", "is not a TTL"),
        ("www 300", "record type is missing"),
        ("$INCLUDE /etc/passwd", "$INCLUDE is not followed"),
        ("$GENERATE 1-1000000 h$ A 192.0.2.$", "$GENERATE is not followed"),
        ("$TTL", "value is missing"),
        ('www TXT "\\200\\201"', "not UTF-8"),
        ('www TXT "\\010"', "unseen characters"),
        ('www TXT "\\256"', "not followed by a number up to 255"),
        ('www TXT "left', "quoted text does not end"),
        ('www TXT "a" b', "partly in quotes"),
        ('www TXT ""', "text is empty"),
        ("www TXT", "text is empty"),
        ("www A", "A record"),
        ("www A 192.0.2.1 )", "lone “)”"),
        ("www\\", "lone “)” or “\\”"),
        ("name.@ A 192.0.2.1", "“@” cannot be part of a name"),
        ('"www" A 192.0.2.1', "must not be in quotes"),
        ("@ LUA A \"ifportup(443, {'192.0.2.1'})\"", "'LUA' is not a record type"),
        ("bad_host MX 10 under_score.test.", "no valid domain name"),
        (f"{'a' * 64} A 192.0.2.1", "no valid domain name"),
        (f"{'a' * 17_000} A 192.0.2.1", "longer than 16,384 characters"),
        ("w CNAME www\nw A 192.0.2.1", "cannot have this CNAME, because it has A"),
        ("w CNAME www.test.\nw CNAME www2.test.", "it has another CNAME"),
        ("@ CNAME www", "cannot have a CNAME"),
        ("sip SRV 1 2 3 sip", "begins with service"),
        ("_sip._tcp SRV 1 2 3 192.0.2.1.", "is an address"),
    ],
)
def test_a_line_that_cannot_be_kept_is_left_out_with_a_sentence(line: str, said: str) -> None:
    told = [warning for warning in warnings(line) if said in warning]
    assert told, warnings(line)
    assert told[0].startswith(("Line 2: ", "Line 3: "))


def test_a_line_without_a_name_takes_none_from_a_line_that_was_not_read() -> None:
    for broken in ('mail TXT "left', "mail.@ A 192.0.2.1", '"mail" A 192.0.2.1'):
        told = warnings(f"{broken}\n   A 192.0.2.2")
        assert told[1] == "Line 3: The line has no name, and no readable line before it has one."
    with pytest.raises(Invalid, match="Line 2: \\$ORIGIN has no name"):
        warnings("$ORIGIN\nwww A 192.0.2.1")


def test_all_bad_lines_are_told_but_not_endlessly() -> None:
    found = warnings("".join(f"h{n} A nonsense\n" for n in range(500)))
    assert len(found) == 51
    assert found[-1] == "And 450 more."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h A 192.0.2.1\n" * 750_000, "1,000,000 bytes"),  # ten megabytes
        ("h A " + "(" * 900_000, "parenthesis is not closed"),
        ("h A (" + "\n" * 900_000, "not closed"),
        ("h\n" * 200_000, "more than 10,000 records"),
        (" ; nothing\n" * 80_000, "no record for this zone"),
        ('h TXT "' + '\\"' * 400_000, "does not end"),
        ('"' * 900_000, "longer than"),
        ("\\" * 900_000, "longer than"),
        ("h A ( ( ( ( ( ( ( ( ( 192.0.2.1 ) ) ) ) ) ) ) ) )", "8 deep"),
        ("h" * 900_000, "longer than"),
        ("", "no record"),
    ],
    ids=lambda text: str(text)[:16],
)
def test_hostile_files_are_refused_at_once(text: str, said: str) -> None:
    with pytest.raises((Invalid, TooLarge)) as raised:
        zonefiles.read(text, ZONE)
    assert said in " ".join([raised.value.message, *raised.value.details.get("zone_file", ())])


@pytest.mark.parametrize(
    "unit",
    [
        *("(", ")", "()", "(\n", '"', '""', '"\n', "\\", "\\\n", "\\a", "h", "h ", "h\n"),
        *(";", "\n", " ", 'h TXT "', 'h TXT "a"\n', "h TXT a ;", "h TXT v=spf1 mx\n"),
        *("h A 192.0.2.1\n", "h NS n\n", "h MX 1 h\n", "h CNAME a.example.test\n", "$ORIGIN h\n"),
    ],
    ids=ascii,
)
def test_the_work_grows_with_the_file_and_no_faster(unit: str) -> None:
    """Counted in calls of functions, since seconds would measure the machine."""

    def calls(size: int) -> int:
        count = 0

        def step(*_: object) -> None:
            nonlocal count
            count += 1

        text = unit * (size // len(unit))
        sys.setprofile(step)
        try:
            zonefiles.read(text, ZONE)
        except Invalid:
            pass
        finally:
            sys.setprofile(None)
        return count

    small, large = calls(10_000), calls(40_000)
    assert large < 5 * small + 5_000


def test_a_name_has_five_hundred_records_at_most() -> None:
    text = "".join(f"h A 192.0.{n // 250}.{n % 250}\n" for n in range(600))
    file = zonefiles.read(text, ZONE)
    assert len(file.records) == 500
    assert file.warnings[0] == "Line 501: h.example.test has more than 500 records."


def test_an_exported_zone_is_the_same_when_it_is_imported() -> None:
    found = zonefiles.read(USUAL, ZONE).records
    text = zonefiles.write(ZONE, found)
    assert text.startswith("$ORIGIN example.test.\n$TTL 3600\n@\tIN\tMX\t10 mail.example.test.\n")
    again = zonefiles.read(text, ZONE)
    assert (set(again.records), again.warnings, again.questions) == (set(found), (), ())


def test_a_long_text_is_split_and_the_soa_comes_first() -> None:
    soa = RecordData(ZONE, "SOA", "ns1.x.test. a.x.test. 1 2 3 4 5")
    text = zonefiles.write(ZONE, [RecordData(ZONE, "TXT", 'a"' * 200), soa])
    assert text.splitlines()[2].split("\t")[2] == "SOA"
    assert '" "' in text
    (record,) = zonefiles.read(text, ZONE).records
    assert record.content == 'a"' * 200


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('$TLORIGN w@A1"\\();.\n\t 0é*_-'), max_size=120))
def test_any_text_is_read_or_refused_with_sentences(text: str) -> None:
    try:
        zonefiles.read(text, ZONE)
    except Invalid as error:
        assert all(error.details["zone_file"])  # noqa: PT017


# --- What people bring -------------------------------------------------------------------------

FLATTENING = replace(ANYWHERE, apex_cname=True, lone_cname=False, proxies=True)


def test_names_without_a_dot_are_below_the_origin_and_the_origin_may_be_the_root() -> None:
    """As named-compilezone and pdnsutil write zones."""
    text = """$ORIGIN .
example.test 3600 IN SOA ns1.test. host.test. 1 2 3 4 5
example.test\t3600 IN NS ns1.test.
example.test 3600 IN A 192.0.2.1
             3600 IN MX 10 mail.example.test.
www.example.test 60 IN CNAME example.test
$ORIGIN example.test.
mail A 192.0.2.2
$ORIGIN _tcp.example.test.
_sip SRV 1 2 5060 sip.example.test.
"""
    file = zonefiles.read(text, ZONE)
    assert {str(record) for record in file.records} == {
        "example.test A 192.0.2.1",
        "example.test MX 10 mail.example.test",
        "www.example.test CNAME example.test",
        "mail.example.test A 192.0.2.2",
        "_sip._tcp.example.test SRV 1 2 5060 sip.example.test",
    }
    assert file.questions == ()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "@ TXT v=spf1 include:_spf.vendor.test ~all",
            "v=spf1 include:_spf.vendor.test ~all",
        ),
        ("@ TXT v=spf1 mx ~all ; our servers", "v=spf1 mx ~all"),
        ("@ TXT hello   world", "hello world"),
        ("_dmarc TXT v=DMARC1; p=reject", "v=DMARC1; p=reject"),
        ("_dmarc TXT v=DMARC1;p=none; rua=mailto:a@x.test", "v=DMARC1;p=none; rua=mailto:a@x.test"),
        ("_dmarc TXT v=DMARC1\\; p=reject", "v=DMARC1; p=reject"),
        ("k._domainkey TXT k=rsa; p=MIGf", "k=rsa; p=MIGf"),
    ],
)
def test_a_text_without_quotes_is_one_text_and_the_person_is_told(line: str, text: str) -> None:
    file = zonefiles.read(line, ZONE)
    assert [record.content for record in file.records] == [text]
    assert f"Line 1: The text has no quotes; it is read as “{text}”." in file.warnings


def test_a_comment_behind_one_word_stays_a_comment() -> None:
    file = zonefiles.read("@ TXT token=1 ; for=us\n@ TXT v=spf1;p=x\n", ZONE)
    assert "token=1" in {record.content for record in file.records}


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("www.example.test A 192.0.2.1", "www.example.test A 192.0.2.1"),
        ("example.test MX 10 mx.x.test.", "example.test MX 10 mx.x.test"),
        ("*.example.test A 192.0.2.1", "*.example.test A 192.0.2.1"),
        ("www CNAME web.example.test", "www.example.test CNAME web.example.test"),
        ("www CNAME Example.TEST", "www.example.test CNAME example.test"),
        ("@ MX 10 mail.example.test", "example.test MX 10 mail.example.test"),
        ("sub NS ns1.example.test", "sub.example.test NS ns1.example.test"),
        (
            "_sip._tcp.example.test SRV 1 2 3 sip.example.test",
            "_sip._tcp.example.test SRV 1 2 3 sip.example.test",
        ),
        (
            "svc HTTPS 1 web.example.test alpn=h2",
            'svc.example.test HTTPS 1 web.example.test alpn="h2"',
        ),
        ("@ MX 1 aspmx.l.google.com", "example.test MX 1 aspmx.l.google.com"),
        ("www CNAME web.", "www.example.test CNAME web.example.test"),
        ("@ MX 10 mail.", "example.test MX 10 mail.example.test"),
        ('@ TXT "v=spf1 –all"', "example.test TXT v=spf1 -all"),
    ],
)
def test_what_looks_wrong_is_asked_about_with_what_was_probably_meant(
    line: str, meant: str
) -> None:
    assert proposal(line) == meant
    assert question(line).answers[0] == "left_out"


def test_a_name_that_looks_public_is_the_zones_own_where_the_file_has_it() -> None:
    text = "www CNAME shop.com\nshop.com A 192.0.2.1"
    assert "www.example.test CNAME shop.com.example.test" in records(text)


def test_a_line_that_points_to_itself_when_it_is_corrected_has_no_proposal() -> None:
    found = question("www CNAME www.example.test")
    assert (found.proposal, str(found.written)) == (
        None,
        "www.example.test CNAME www.example.test.example.test",
    )


def test_aliases_of_other_providers_may_become_cnames() -> None:
    for kind in ("ALIAS", "ANAME"):
        assert proposal(f"@ 60 IN {kind} shop.test.", capabilities=FLATTENING) == (
            "example.test CNAME shop.test"
        )
        (told,) = warnings(f"@ IN {kind} shop.test.")
        assert "Write A and AAAA records instead" in told


def test_cloudflares_export_is_understood() -> None:
    text = """;; Domain: example.test.
example.test.\t1\tIN\tA\t192.0.2.1 ; cf_tags=cf-proxied:true
www.example.test.\t1\tIN\tCNAME\texample.test. ; cf_tags=cf-proxied:false
example.test.\t1\tIN\tCNAME\tshop.test.
mail.example.test.\t1\tIN\tTXT\t"cf_tags=cf-proxied:true"
alias.example.test. 1 IN CNAME shop.test.
alias.example.test. 1 IN TXT "beside"
"""
    file = zonefiles.read(text, ZONE, capabilities=FLATTENING)
    assert {(record.type, record.name, record.proxied) for record in file.records} == {
        ("A", "example.test", True),
        ("CNAME", "www.example.test", False),
        ("TXT", "mail.example.test", False),
        ("CNAME", "alias.example.test", False),
        ("TXT", "alias.example.test", False),
    }
    assert file.warnings == (
        "Line 4: example.test cannot have this CNAME, because it has A.",
        "6 TTLs of 1 second, which stands for “automatic”, became 300 seconds.",
    )
    elsewhere = zonefiles.read(text, ZONE, provider="PowerDNS")
    assert not any(record.proxied for record in elsewhere.records)
    said = "Line 2: Cloudflare proxied this name; PowerDNS shows the address itself."
    assert said in elsewhere.warnings
    again = zonefiles.write(ZONE, file.records)
    assert set(zonefiles.read(again, ZONE, capabilities=FLATTENING).records) == set(file.records)


def test_white_space_of_web_pages_and_both_line_ends_are_white_space() -> None:
    text = "www\u00a0300\u3000IN A 192.0.2.1\r\nw2 A 192.0.2.2\rw3 A 192.0.2.3"
    assert len(records(text)) == 3


def test_doubtful_records_are_kept_with_a_warning() -> None:
    text = """@ TXT "v=spf1 mx"
sub NS ns1.x.test.
www.sub A 192.0.2.1
@ MX 0 .
@ MX 10 m
m CNAME else.test.
"""
    told = warnings(text)
    for line, said in (
        (2, "has no “all”"),
        (4, "delegated to ns1.x.test"),
        (5, "null MX"),
        (6, "is a CNAME of else.test"),
    ):
        assert any(found.startswith(f"Line {line}: ") and said in found for found in told), told
