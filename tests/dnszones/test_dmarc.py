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
        ("v=DMARC1; rua=mailto:a@b.test", "none", 100),
        ("v=DMARC1; p=reject; sp=junk; rua=mailto:a@b.test", "none", 100),
        ("V = DMARC1 ;\tp=quarantine;", "quarantine", 100),
    ],
)
def test_records_are_read_leniently(text, policy, percent):
    record = dmarc.parse(text)
    assert (record.policy, record.percent) == (policy, percent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p=none; v=DMARC1",
        "v=DMARC10; p=none",
        "v=dmarc1; p=none",
        " v=DMARC1; p=none",
        '"v=DMARC1; p=none"',
        "v=DMARC1\\; p=none",
        "v=DMARC1\n",
        "v=DMARC1",
        "v=DMARC1; p=junk",
        "v=DMARC1; p=junk; rua=a@b.test",
        "v=DMARC1; p=reject; np=junk",
        "v=DMARC1; p=reject; p=none",
    ],
)
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
    assert dmarc.same(one, one.replace("b@x.test", "b@x.test!10m"))


# --- What was meant as a record --------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "V=DMARC1; p=none",
        "v=dmarc1; p=none",
        "  v = DMARC1;p=none",
        '"v=DMARC1; p=none"',
        "v=DMARC1\\; p=none",
        "\ufeffv=DMARC1; p=none",
        "v=DMARC2; p=none",
        "'v=DMARC1' ; p=none",
    ],
)
def test_what_begins_like_a_record_is_seen(text):
    assert dmarc.looks_like_dmarc(text)


@pytest.mark.parametrize(
    "text", ["", "p=none", "v=spf1 -all", "vendor-dmarc=1", "dmarc", "=" * 4096]
)
def test_other_texts_are_none(text):
    assert not dmarc.looks_like_dmarc(text)


# --- The validator ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v=DMARC1; p=none; rua=mailto:a@b.test", []),
        ("V=DMARC1;p=reject;sp=none;np=reject;t=y;psd=n;adkim=s;aspf=r", []),
        ("v=DMARC1; p=none; ruf=mailto:a@b.test; fo=1", []),
        ("v=dmarc1; p=none", ["not_dmarc!"]),
        ('"v=DMARC1; p=none"', ["not_dmarc!"]),
        ("v=DMARC1\\; p=none", ["not_dmarc!"]),
        ("v=DMARC1; p=none\\; rua=mailto:a@b.test", ["bad_policy!", "escaped_semicolon!"]),
        ("v=DMARC1; p=bob", ["bad_policy!"]),
        ("v=DMARC1; p=none; sp=bob; np=", ["bad_policy!", "bad_policy!"]),
        ("v=DMARC1; p=none p=none", ["bad_policy!"]),
        ("v=DMARC1; p=none; p=reject", ["repeated_tag!"]),
        ("v=DMARC1; p=none; rua=a@b.test", ["no_mailto!"]),
        ("v=DMARC1; p=none; rua=mailto:nobody", ["bad_address!"]),
        ("v=DMARC1; p=none; rua=ftp://b.test", ["not_mailto"]),
        ("v=DMARC1; p=none; rua=mailto:a@b.test!10m,mailto:c@d.test", ["size_limit"]),
        ("v=DMARC1; p=none; rua=", ["no_destination"]),
        ("v=DMARC1; p=none\u2013", ["bad_policy!", "characters!"]),
        ("v=DMARC1", ["missing_policy!"]),
        ("v=DMARC1; rua=mailto:a@b.test", ["missing_policy"]),
        ("v=DMARC1; sp=none; p=none", ["policy_not_first"]),
        ("v=DMARC1; p=none; pct=50; rf=afrf; ri=1", ["retired_tag"] * 3),
        ("v=DMARC1; p=none; foo=bar", ["unknown_tag"]),
        ("v=DMARC1; p=none; nonsense", ["not_a_tag"]),
        ("v=DMARC1; p=none; adkim=x; t=1; psd=z", ["bad_value"] * 3),
        ("v=DMARC1; p=none; psd=y", ["public_suffix"]),
        ("v=DMARC1; p=none; fo=1", ["fo_without_ruf"]),
    ],
)
def test_every_problem_of_a_record_is_told(text, found):
    problems = dmarc.validate(text)
    told = [f"{one.code}{'!' if one.severity == 'error' else ''}" for one in problems]
    assert sorted(told) == sorted(found)
    assert told == sorted(told, key=lambda code: not code.endswith("!")), "errors first"
    assert all(one.sentence.endswith(".") for one in problems)


def test_a_permission_for_reports_has_no_policy():
    name = "ada.test._report._dmarc.bo.test"
    assert dmarc.validate("v=DMARC1", name=name) == []
    assert dmarc.validate("v=DMARC1;", name=name) == []
    assert [one.code for one in dmarc.validate("v=dmarc1", name=name)] == ["not_dmarc"]


# --- Properties ------------------------------------------------------------------------------

policies = st.sampled_from(dmarc.POLICIES)
values = st.sampled_from([*dmarc.POLICIES, "Reject", "junk", "", "none reject"])
blanks = st.sampled_from(["", " ", "\t"])
addresses = st.builds(
    "{}@{}.test".format,
    st.from_regex(r"[a-z+!%&']{1,5}(\.[a-z+!%&']{1,3})?", fullmatch=True),
    policies,
)
texts = st.one_of(
    st.text(),
    st.text().map("v=DMARC1;{}".format),
    st.lists(
        st.sampled_from(
            [
                "v",
                "=",
                "DMARC1",
                ";",
                "p",
                "sp",
                "np",
                "rua",
                "none",
                "reject",
                "mailto:",
                "\\",
                '"',
                "!",
                ",",
                "@",
            ]
        )
    )
    .map("".join)
    .map("v=DMARC1;{}".format),
)


@given(texts)
def test_nothing_that_anybody_publishes_raises(text):
    problems = dmarc.validate(text)
    assert dmarc.is_dmarc(text) or [one.code for one in problems] == ["not_dmarc"]
    assert dmarc.looks_like_dmarc(text) or not dmarc.is_dmarc(text)
    assert dmarc.same(text, text)
    try:
        dmarc.parse(text)
    except dmarc.DMARCSyntaxError:
        assert problems[0].severity == "error", "what receivers do not use has a problem"


@given(
    policy=policies,
    subdomain_policy=st.none() | policies,
    nonexistent_policy=st.none() | policies,
    rua=st.lists(addresses, max_size=3),
    ruf=st.lists(addresses, max_size=3),
    adkim=st.sampled_from("rs"),
    aspf=st.sampled_from("rs"),
)
def test_what_is_written_is_read_back_without_a_problem(policy, **given_fields):
    text = dmarc.build(policy, **given_fields)
    record = dmarc.parse(text)
    subdomains = given_fields["subdomain_policy"] or policy
    assert dmarc.validate(text) == []
    assert (record.policy, record.subdomain_policy) == (policy, subdomains)
    assert record.nonexistent_policy == (given_fields["nonexistent_policy"] or subdomains)
    assert (record.adkim, record.aspf) == (given_fields["adkim"], given_fields["aspf"])
    assert (len(record.rua), len(record.ruf)) == (
        len(given_fields["rua"]),
        len(given_fields["ruf"]),
    )
    assert not record.is_testing
    assert record.percent == 100


@given(
    tags=st.dictionaries(st.sampled_from(["p", "sp", "np"]), values),
    reports=st.booleans(),
    blank=blanks,
    order=st.randoms(use_true_random=False),
)
def test_a_policy_is_never_stricter_or_looser_than_its_text(tags, reports, blank, order):
    pairs = [*tags.items(), ("x", "y"), *([("rua", "mailto:a@b.test")] if reports else [])]
    order.shuffle(pairs)
    text = "v=DMARC1;" + ";".join(f"{blank}{name}{blank}={blank}{value}" for name, value in pairs)
    given_policies = {name: value.lower() for name, value in tags.items()}
    is_readable = "p" in tags and set(given_policies.values()) <= set(dmarc.POLICIES)
    if not is_readable and not reports:
        with pytest.raises(dmarc.DMARCSyntaxError):
            dmarc.parse(text)
        return
    said = given_policies if is_readable else {"p": "none"}
    record = dmarc.parse(text)
    assert record.policy == said["p"]
    assert record.subdomain_policy == said.get("sp", said["p"])
    assert record.nonexistent_policy == said.get("np", said.get("sp", said["p"]))


records = st.builds(
    dmarc.DMARCRecord,
    policies,
    policies,
    policies,
    adkim=st.sampled_from("rs"),
    aspf=st.sampled_from("rs"),
    is_testing=st.booleans(),
    percent=st.integers(0, 100),
)


@given(records, records, records)
def test_strictness_is_an_order(one, two, three):
    assert dmarc.at_least_as_strict(one, one)
    if dmarc.at_least_as_strict(one, two) and dmarc.at_least_as_strict(two, three):
        assert dmarc.at_least_as_strict(one, three)
    strictest = dmarc.DMARCRecord("reject", "reject", "reject", adkim="s", aspf="s")
    assert dmarc.at_least_as_strict(strictest, one)
