"""Which policy applies to a name, and who may have reports: the tree walk of RFC 9989 §4.10."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnszones import dmarc
from mpanel.dns.client import TemporaryFailure


class Dns:
    """DMARC records by domain, each a text or several; `broken` names do not answer."""

    def __init__(self, *broken: str, **texts: str | list[str]) -> None:
        self.texts = {name.replace("_", "."): text for name, text in texts.items()}
        self.broken, self.asked = broken, list[str]()

    async def txt(self, name: str) -> list[str]:
        self.asked.append(name)
        if name in self.broken:
            raise TemporaryFailure(name, "TXT", "silent")
        found = self.texts.get(name.removeprefix("_dmarc."), [])
        return [found] if isinstance(found, str) else found


def discover(domain: str, dns: Dns) -> tuple[str, str] | None:
    found = asyncio.run(dmarc.discover(domain, dns))
    return (found.domain, found.policy) if found else None


def test_a_walk_asks_eight_names_at_most() -> None:
    assert dmarc.walk_targets("a.mail.example.com") == [
        "a.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    deep = "a.b.c.d.e.f.g.h.i.j.mail.example.com"
    assert dmarc.walk_targets(deep) == [
        deep,
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40))
def test_a_walk_goes_up_to_the_top_and_no_further(labels: list[str]) -> None:
    targets = dmarc.walk_targets(".".join(labels))
    assert len(targets) == min(len(labels), 8)
    assert targets[-1] == labels[-1]
    assert all(one.endswith(other) for one, other in pairwise(targets))


@pytest.mark.parametrize(
    ("domain", "dns", "applied"),
    [
        ("ada.test", Dns(), None),
        ("ada.test", Dns(ada_test="v=DMARC1; p=reject; sp=none"), ("ada.test", "reject")),
        ("mail.ada.test", Dns(ada_test="v=DMARC1; p=reject"), ("ada.test", "reject")),
        ("mail.ada.test", Dns(ada_test="v=DMARC1; p=reject; sp=none"), ("ada.test", "none")),
        (
            "mail.ada.test",
            Dns(ada_test="v=DMARC1; p=reject", mail_ada_test="v=DMARC1; p=none"),
            ("mail.ada.test", "none"),
        ),
        # The one with the fewest labels counts, not the nearest.
        (
            "a.b.ada.test",
            Dns(ada_test="v=DMARC1; p=reject", b_ada_test="v=DMARC1; p=none"),
            ("ada.test", "reject"),
        ),
        (
            "a.b.ada.test",
            Dns(ada_test="v=DMARC1; p=reject", b_ada_test="v=DMARC1; p=none; psd=n"),
            ("b.ada.test", "none"),
        ),
        # A public suffix speaks for organizations that say nothing themselves.
        ("ada.test", Dns(test="v=DMARC1; p=reject; sp=quarantine; psd=y"), ("test", "quarantine")),
        (
            "x.ada.test",
            Dns(test="v=DMARC1; p=reject; psd=y", ada_test="v=DMARC1; p=none"),
            ("ada.test", "none"),
        ),
        # Two records are none, and what is no record is not counted.
        ("ada.test", Dns(ada_test=["v=DMARC1; p=none", "v=DMARC1; p=reject"]), None),
        (
            "ada.test",
            Dns(ada_test=["v=DMARC1; p=none", "v=dmarc1; p=reject"]),
            ("ada.test", "none"),
        ),
        # A record that cannot be used is not passed over in favour of the next.
        ("m.ada.test", Dns(m_ada_test="v=DMARC1; p=x", ada_test="v=DMARC1; p=reject"), None),
    ],
)
def test_the_policy_of_a_name(domain: str, dns: Dns, applied: tuple[str, str] | None) -> None:
    assert discover(domain, dns) == applied


def test_silence_is_no_answer() -> None:
    with pytest.raises(TemporaryFailure):
        discover("mail.ada.test", Dns("_dmarc.ada.test"))


@pytest.mark.parametrize(
    ("domain", "dns", "organization"),
    [
        (
            "a.mail.ada.test",
            Dns(mail_ada_test="v=DMARC1; p=none", ada_test="v=DMARC1; p=none"),
            "ada.test",
        ),
        ("a.mail.ada.test", Dns(test="v=DMARC1; p=none; psd=y"), "ada.test"),
        ("a.mail.ada.test", Dns(), "a.mail.ada.test"),
        ("test", Dns(test="v=DMARC1; p=none; psd=y"), "test"),
    ],
)
def test_the_organizational_domain(domain: str, dns: Dns, organization: str) -> None:
    assert asyncio.run(dmarc.organizational_domain(domain, dns)) == organization


REPORTS = "v=DMARC1; p=none; rua=mailto:a@{},mailto:a@ada.test"


@pytest.mark.parametrize(
    ("host", "dns", "codes"),
    [
        ("bo.test", Dns(), ["reports_not_allowed"]),
        ("bo.test", Dns("ada.test._report._dmarc.bo.test"), ["reports_unknown"]),
        ("mail.ada.test", Dns(), []),
        ("other.ada.test", Dns(), []),
    ],
)
def test_a_stranger_must_allow_reports(host: str, dns: Dns, codes: list[str]) -> None:
    problems = asyncio.run(dmarc.report_problems("ada.test", REPORTS.format(host), dns))
    assert [one.code for one in problems] == codes
    assert all(host in one.sentence for one in problems)


def test_who_allows_reports_gets_them() -> None:
    dns = Dns()
    dns.texts["ada.test._report._dmarc.bo.test"] = "v=DMARC1"
    assert asyncio.run(dmarc.report_problems("ada.test", REPORTS.format("bo.test"), dns)) == []


def test_a_record_with_many_destinations_is_not_asked_about_for_ever() -> None:
    dns = Dns()
    hosts = ",".join(f"mailto:a@h{number}.test" for number in range(200))
    problems = asyncio.run(dmarc.report_problems("ada.test", f"v=DMARC1; p=none; rua={hosts}", dns))
    assert len(problems) == 10
    assert len(dns.asked) < 100


@pytest.mark.parametrize(
    ("parent", "own", "told"),
    [
        ("v=DMARC1; p=reject", "v=DMARC1; p=none", "weaker than that (reject)"),
        ("v=DMARC1; p=reject; sp=none", "v=DMARC1; p=none", "takes its place."),
        ("v=DMARC1; p=none", "v=DMARC1; p=reject", "takes its place."),
        ("v=dmarc1; p=reject", "v=DMARC1; p=none", ""),
    ],
)
def test_the_policy_of_a_parent_is_told_before_a_record_replaces_it(
    parent: str, own: str, told: str
) -> None:
    dns = Dns(ada_test=parent)
    problems = asyncio.run(dmarc.replaced_policy("mail.ada.test", own, dns))
    assert [told in one.sentence and parent in one.sentence for one in problems] == [True] * bool(
        told
    )
    assert asyncio.run(dmarc.replaced_policy("bo.test", own, dns)) == []
    suffix = Dns(test="v=DMARC1; p=reject; psd=y")
    assert asyncio.run(dmarc.replaced_policy("bo.test", own, suffix)) == []
