"""What counts as published, and what competes with it."""

import pytest

from dnszones.dkim import records as dkim
from dnszones.propagation.verdicts import Expected, expectation_key, expectations, judge
from dnszones.records import RecordData

APEX = "ada.test"
KEY = dkim.make_key().value


def txt(content, name=APEX):
    return RecordData(name, "TXT", content)


SPF = Expected("spf", APEX, "TXT", frozenset({"v=spf1 include:bo.test ~all"}))
DMARC = Expected("dmarc", "_dmarc.ada.test", "TXT", frozenset({"v=DMARC1; p=none"}))
DKIM = Expected("dkim", "s._domainkey.ada.test", "TXT", frozenset({KEY}))
TOKEN = Expected("other", APEX, "TXT", frozenset({"site-verification=1"}))
STS = Expected("mta-sts", "_mta-sts.ada.test", "TXT", frozenset({"v=STSv1; id=1;"}))
MX = Expected("mx", APEX, "MX", frozenset({"10 mx1.ada.test", "20 mx2.ada.test"}))
CNAME = Expected("tracking", "track.ada.test", "CNAME", frozenset({"open.sleadtrack.com"}))


@pytest.mark.parametrize(
    ("expected", "found", "result", "foreign"),
    [
        (SPF, [], "missing", ()),
        (SPF, ["google-site-verification=x"], "missing", ()),
        (SPF, ["v=spf1 include:bo.test ~all", "other"], "matches", ()),
        (SPF, ["V=spf1  include:BO.test ~all"], "matches", ()),
        (SPF, ["v=spf1 -all"], "conflicts", ("v=spf1 -all",)),
        (SPF, ["v=spf1 include:bo.test ~all", "v=spf1 a"], "conflicts", ("v=spf1 a",)),
        (SPF, ["v=spf1 include:bo.test ~all"] * 2, "conflicts", ()),
        (DMARC, ["v=DMARC1;p=none;"], "matches", ()),
        (DMARC, ["v=DMARC1; p=reject"], "conflicts", ("v=DMARC1; p=reject",)),
        (DMARC, ["verification"], "missing", ()),
        (DKIM, [KEY], "matches", ()),
        (DKIM, [KEY.replace("; ", ";")], "matches", ()),
        (DKIM, ["v=spf1 -all"], "missing", ()),
        (DKIM, ["v=DKIM1; p="], "conflicts", ("v=DKIM1; p=",)),
        (DKIM, [KEY, "v=spf1 -all"], "conflicts", ("v=spf1 -all",)),
        (MX, ["20 MX2.ada.test.", "10 mx1.ada.test."], "matches", ()),
        (MX, [], "missing", ()),
        (MX, ["10 mx1.ada.test."], "conflicts", ()),
        (MX, ["20 mx1.ada.test.", "20 mx2.ada.test."], "conflicts", ("20 mx1.ada.test",)),
        # Quotes that were published are part of the text, so readers do not find the record.
        (SPF, ['"v=spf1 include:bo.test ~all"'], "conflicts", ('"v=spf1 include:bo.test ~all"',)),
        (SPF, ["v=spf1 include:bo.test ~all", '"v=spf1 -all"'], "matches", ()),
        (DMARC, ['"v=DMARC1; p=none"'], "conflicts", ('"v=DMARC1; p=none"',)),
        (DKIM, [f'"{KEY}"'], "conflicts", (f'"{KEY}"',)),
        (TOKEN, ['"site-verification=1"'], "conflicts", ('"site-verification=1"',)),
        # Some receivers count what others ignore.
        (DMARC, ["v=DMARC1; p=none", "v=dmarc1; p=none"], "conflicts", ("v=dmarc1; p=none",)),
        (DMARC, ["v=DMARC1; p=none", "vendor-verification=1"], "matches", ()),
        # What has no marker stands beside anything.
        (TOKEN, ["v=spf1 -all", "site-verification=1", "other=2"], "matches", ()),
        (TOKEN, ["v=spf1 -all", "other=2"], "missing", ()),
        (STS, ["v=STSv1; id=1;", "note"], "matches", ()),
        (STS, ["v=STSv1; id=1;", "v=STSv1; id=2;"], "conflicts", ("v=STSv1; id=2;",)),
        (STS, ["note"], "missing", ()),
        (CNAME, ["Open.sleadtrack.com."], "matches", ()),
        (CNAME, ["evil.test."], "conflicts", ("evil.test",)),
    ],
)
def test_judge(expected, found, result, foreign):
    verdict = judge(expected, found)
    assert (verdict.result, verdict.foreign) == (result, foreign)


def test_expectations_gather_rrsets():
    mx = [RecordData(APEX, "MX", f"mx{n}.ada.test", priority=n * 10) for n in (1, 2)]
    wanted = [("mx", mx[0]), ("spf", txt("v=spf1 include:bo.test ~all")), ("mx", mx[1])]
    assert list(expectations(wanted).values()) == [MX, SPF]


def test_texts_without_a_marker_are_expected_one_by_one():
    wanted = [("other", txt("a=1")), ("other", txt("b=2")), ("spf", txt("v=spf1 -all"))]
    found = list(expectations(wanted).values())
    assert [judge(one, ["a=1", "v=spf1 -all"]).result for one in found] == [
        "matches",
        "missing",
        "matches",
    ]
    assert len({expectation_key(*one) for one in wanted}) == 3
