import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnszones import dmarc
from mpanel.core.errors import Invalid


def test_a_record_has_only_what_differs_from_the_defaults():
    assert dmarc.build("none", rua=["dmarc@ada.test"]) == (
        "v=DMARC1; p=none; rua=mailto:dmarc@ada.test"
    )
    assert dmarc.build(
        "reject",
        subdomain_policy="quarantine",
        nonexistent_policy="reject",
        rua=["a@ada.test", "b@bo.test"],
        ruf=["c@ada.test"],
        adkim="s",
        aspf="s",
    ) == (
        "v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:a@ada.test,mailto:b@bo.test; "
        "ruf=mailto:c@ada.test; adkim=s; aspf=s"
    )


def test_what_is_built_is_read_alike():
    record = dmarc.parse(dmarc.build("quarantine", rua=["a+b!c@Ada.test"], adkim="s"))
    assert (record.policy, record.subdomain_policy, record.adkim) == ("quarantine",) * 2 + ("s",)
    assert record.rua == ("mailto:a+b%21c@ada.test",)  # a bare ! would start a size limit


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"policy": "block"}, "dmarc_policy"),
        ({"policy": "none", "subdomain_policy": "x"}, "dmarc_policy"),
        ({"policy": "none", "rua": ["nobody"]}, "dmarc_rua"),
        ({"policy": "none", "rua": ["a@b.test; p=none"]}, "dmarc_rua"),
        ({"policy": "none", "ruf": ["a@b.test,mailto:c@d.test"]}, "dmarc_ruf"),
        ({"policy": "none", "adkim": "x"}, "dmarc_alignment"),
    ],
)
def test_bad_input_names_its_field(arguments, field):
    policy = arguments.pop("policy")
    with pytest.raises(Invalid) as raised:
        dmarc.build(policy, **arguments)
    assert list(raised.value.details) == [field]


@pytest.mark.parametrize(
    ("text", "policy", "percent"),
    [
        ("v=DMARC1; p=reject; pct=50; rf=afrf; ri=86400", "reject", 50),
        ("v=DMARC1;P=Reject ;unknown=x; =; nonsense", "reject", 100),
        ("v=DMARC1; rua=mailto:a@b.test; p=junk", "none", 100),
        ("v=DMARC1; pct=many; p=quarantine", "quarantine", 100),
        ("v=DMARC1", "none", 100),
    ],
)
def test_records_are_read_leniently(text, policy, percent):
    record = dmarc.parse(text)
    assert (record.policy, record.percent) == (policy, percent)


@pytest.mark.parametrize("text", ["", "p=none; v=DMARC1", "v=DMARC10; p=none", "v=DMARC1; p=junk"])
def test_what_is_no_policy(text):
    with pytest.raises(dmarc.DMARCSyntaxError):
        dmarc.parse(text)


@given(st.text())
def test_reading_fails_in_one_way_only(text):
    for candidate in (text, f"v=DMARC1; {text}"):
        try:
            dmarc.parse(candidate)
        except dmarc.DMARCSyntaxError:
            continue


@pytest.mark.parametrize(
    ("found", "wanted", "answer"),
    [
        ("v=DMARC1; p=none", "v=DMARC1; p=none", True),
        ("v=DMARC1; p=reject", "v=DMARC1; p=none", True),
        ("v=DMARC1; p=none", "v=DMARC1; p=quarantine", False),
        ("v=DMARC1; p=reject; sp=none", "v=DMARC1; p=quarantine", False),
        ("v=DMARC1; p=reject; np=none", "v=DMARC1; p=quarantine", False),
        ("v=DMARC1; p=reject; t=y", "v=DMARC1; p=reject", False),
        ("v=DMARC1; p=reject; t=y", "v=DMARC1; p=quarantine", True),
        ("v=DMARC1; p=quarantine; pct=20", "v=DMARC1; p=quarantine", False),
        ("v=DMARC1; p=none; adkim=s", "v=DMARC1; p=none", True),
        ("v=DMARC1; p=reject", "v=DMARC1; p=none; aspf=s", False),
    ],
)
def test_strictness(found, wanted, answer):
    assert dmarc.at_least_as_strict(dmarc.parse(found), dmarc.parse(wanted)) is answer


def test_sameness():
    one = "v=DMARC1; p=none; rua=mailto:a@x.test,mailto:b@x.test"
    assert dmarc.same(one, "v=DMARC1;rua=mailto:b@x.test , mailto:a@x.test;pct=100;sp=none;p=none")
    assert not dmarc.same(one, one + "; pct=10")
    assert not dmarc.same(one, one.replace("none", "reject"))
