"""Which addresses a convention gives, and what is said about a list that cannot be used."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.naming import (
    CONVENTIONS,
    RESERVED,
    Address,
    Persona,
    parse_custom,
    parse_personas,
    plan_addresses,
)
from mailboxes.personas import FIRST_NAMES, LAST_NAMES, ROLES
from mpanel.core.errors import Invalid

NAME_BASED = [key for key in CONVENTIONS if key not in {"role", "custom"}]
ADA = Persona("Ada", "Lovelace")
BO = Persona("Bo", "O'Brien")


def local_parts(addresses: list[Address]) -> list[str]:
    return [address.local_part for address in addresses]


def complaints(field: str, call: Callable[..., object], *args: Any, **kwargs: Any) -> list[str]:
    """What `Invalid` says about the one field that is wrong."""
    with pytest.raises(Invalid) as refused:
        call(*args, **kwargs)
    assert list(refused.value.details) == [field]
    return list(refused.value.details[field])


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("firstname", ["ada", "bo"]),
        ("firstname.lastname", ["ada.lovelace", "bo.obrien"]),
        ("firstinitial.lastname", ["a.lovelace", "b.obrien"]),
        ("firstinitiallastname", ["alovelace", "bobrien"]),
    ],
)
def test_personas_come_first_in_their_order(convention: str, expected: list[str]) -> None:
    planned = plan_addresses(3, convention, personas=[ADA, BO], taken=[], seed="one")
    assert local_parts(planned)[:2] == expected
    assert planned[0] == Address(expected[0], "Ada", "Lovelace")
    assert planned[2].first_name in FIRST_NAMES


@pytest.mark.parametrize("convention", [*NAME_BASED, "role"])
def test_a_thousand_inboxes_twice_on_one_domain(convention: str) -> None:
    first = plan_addresses(1000, convention, taken=[], seed="one")
    again = plan_addresses(1000, convention, taken=local_parts(first), seed="one")
    names = local_parts(first + again)
    assert len(set(names)) == 2000
    assert all(re.fullmatch(r"[a-z]+([.-]?[a-z]+)*[0-9]*", name) for name in names)


@pytest.mark.parametrize("convention", NAME_BASED[1:])
def test_the_built_in_names_reach_a_thousand_without_numbers(convention: str) -> None:
    planned = plan_addresses(1000, convention, taken=[], seed="one")
    assert not any(character.isdigit() for name in local_parts(planned) for character in name)


def test_the_same_seed_gives_the_same_addresses_and_another_seed_others() -> None:
    one, same, other = (
        plan_addresses(50, "firstname.lastname", taken=["ada.lovelace"], seed=seed)
        for seed in ("one", "one", "other")
    )
    assert one == same
    assert len(set(local_parts(one)) & set(local_parts(other))) < 5


def test_a_smaller_plan_is_the_beginning_of_a_larger_one() -> None:
    small, large = (plan_addresses(n, "firstname", taken=[], seed="one") for n in (10, 400))
    assert large[:10] == small


def test_first_names_are_used_up_before_numbers_and_a_number_is_another_person() -> None:
    planned = plan_addresses(len(FIRST_NAMES) + 1, "firstname", taken=[], seed="one")
    *plain, numbered = planned
    assert {name.local_part for name in plain} == {name.lower() for name in FIRST_NAMES}
    namesake = next(a for a in plain if f"{a.local_part}2" == numbered.local_part)
    assert namesake.first_name == numbered.first_name
    assert namesake.last_name != numbered.last_name


def test_roles_keep_their_order_and_skip_what_is_taken() -> None:
    planned = plan_addresses(3, "role", taken=["Support"], seed="one")
    assert local_parts(planned) == [ROLES[0], *ROLES[2:4]]
    assert planned[0] == Address("sales", "Sales", "Team")


def test_roles_are_numbered_when_they_run_out() -> None:
    planned = plan_addresses(len(ROLES) + 2, "role", taken=[], seed="one")
    assert local_parts(planned)[-2:] == ["sales2", "support2"]


def test_a_persona_whose_address_is_taken_is_numbered() -> None:
    planned = plan_addresses(
        3,
        "firstname",
        personas=[Persona("Ada", "Lovelace"), Persona("Ada", "Byron"), Persona("ADA", "King")],
        taken=["ADA", "ada3"],
        seed="one",
    )
    assert local_parts(planned) == ["ada2", "ada4", "ada5"]
    assert [address.last_name for address in planned] == ["Lovelace", "Byron", "King"]


def test_no_convention_gives_a_reserved_address() -> None:
    planned = plan_addresses(1, "firstname", personas=[Persona("Root", "Ann")], taken=[], seed="")
    assert local_parts(planned) == ["root2"]
    assert RESERVED.isdisjoint(ROLES)
    assert RESERVED.isdisjoint(name.lower() for name in FIRST_NAMES)


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("José", "jose"),
        ("Jose\u0301", "jose"),
        ("Müller", "muller"),
        ("Weiß", "weiss"),
        ("Ærø", "aero"),
        ("Łukasz", "lukasz"),
        ("İrem", "irem"),
        ("Đặng", "dang"),
        ("O'Brien", "obrien"),
        ("D’Arcy", "darcy"),
        ("van der Berg", "vanderberg"),
        ("Jean-Luc", "jean-luc"),
        ("Jean‑Luc", "jean-luc"),
        ("St. John", "stjohn"),
        (" Ada  Maria ", "adamaria"),
    ],
)
def test_how_names_are_spelt(name: str, spelt: str) -> None:
    persona = Persona(name, "Xu")
    assert local_parts(plan_addresses(1, "firstname", personas=[persona], taken=[], seed="")) == [
        spelt
    ]


@pytest.mark.parametrize(
    "name", ["Иван", "Νίκος", "李", "🦊", "A\x00da", "Ada<b>", "a@b", "-", "''"]
)
def test_a_name_that_cannot_be_spelt_is_named_with_its_row(name: str) -> None:
    [complaint] = complaints(
        "personas",
        plan_addresses,
        2,
        "firstname",
        personas=[ADA, Persona(name, "Xu")],
        taken=[],
        seed="",
    )
    assert complaint.startswith(f"Name 2: “{name}” cannot be spelt")


def test_a_name_that_makes_too_long_an_address_is_refused() -> None:
    long = Persona("A" * 40, "B" * 40)
    options = {"personas": [long], "taken": [], "seed": ""}
    [complaint] = complaints("personas", plan_addresses, 1, "firstname.lastname", **options)
    assert "longer than 64" in complaint
    [fits] = plan_addresses(1, "firstinitiallastname", personas=[long], taken=[], seed="")
    assert fits.local_part == "a" + "b" * 40


def test_a_number_never_makes_an_address_too_long() -> None:
    persona = Persona("A" * 31, "B" * 32)
    planned = plan_addresses(11, "firstname.lastname", personas=[persona] * 11, taken=[], seed="")
    assert local_parts(planned)[0] == "a" * 31 + "." + "b" * 32
    assert {len(name) for name in local_parts(planned)} == {64}
    assert len(set(local_parts(planned))) == 11


@pytest.mark.parametrize("count", [0, -1, 1001, 10**30, True, 1.0, "5", None])
def test_a_count_is_a_whole_number_of_one_to_a_thousand(count: Any) -> None:
    complaints("inbox_count", plan_addresses, count, "role", taken=[], seed="")


@pytest.mark.parametrize("convention", ["", "Firstname", "lastname", None])
def test_an_unknown_convention_is_told_which_there_are(convention: Any) -> None:
    [said] = complaints("naming_convention", plan_addresses, 1, convention, taken=[], seed="")
    assert "firstinitial.lastname" in said


def test_a_list_of_ones_own_is_taken_as_it_is() -> None:
    planned = plan_addresses(
        3, "custom", custom=["postmaster", "anna.schmidt", "q4_news"], taken=[], seed=""
    )
    assert planned == [
        Address("postmaster", "Postmaster", ""),
        Address("anna.schmidt", "Anna", "Schmidt"),
        Address("q4_news", "Q4", "News"),
    ]


@pytest.mark.parametrize(
    ("custom", "said"),
    [
        (["ada", "ada"], "given twice"),
        (["ada", "bo"], "already exists"),
        (["ada"], "1 addresses, but 2"),
        (["ada", "cy", "dee"], "3 addresses, but 2"),
        (["ada", "a..b"], "cannot be used before the @"),
        (["ada", "Cy"], "cannot be used before the @"),
    ],
)
def test_a_list_of_ones_own_is_never_changed_in_silence(custom: list[str], said: str) -> None:
    [complaint] = complaints(
        "custom", plan_addresses, 2, "custom", custom=custom, taken=["bo"], seed=""
    )
    assert said in complaint


def test_a_pasted_list_of_addresses() -> None:
    text = "\ufeffAda@Example.test\r\nbo, cy;dee\n\n\tq4.news@example.test  "
    assert parse_custom(text, "example.test") == ["ada", "bo", "cy", "dee", "q4.news"]


def test_a_pasted_address_may_show_its_domain_in_unicode() -> None:
    assert parse_custom("a@bücher.test b@xn--bcher-kva.test", "xn--bcher-kva.test") == ["a", "b"]


@pytest.mark.parametrize(
    "entry",
    ["-ada", ".ada", "ada.", "a..da", "a+da", "=ada", "adá", '"ada"', "@example.test", "a" * 65],
)
def test_what_cannot_stand_before_the_at(entry: str) -> None:
    [complaint] = complaints("custom", parse_custom, f"bo\n{entry}", "example.test")
    assert complaint.startswith("Line 2: ")


def test_every_bad_line_of_a_pasted_list_is_named() -> None:
    text = "ada\nbo@other.test\nADA\n\nc c"
    assert complaints("custom", parse_custom, text, "example.test") == [
        "Line 2: “bo@other.test” is not an address of example.test.",
        "Line 3: “ada” is already on line 1.",
        "Line 5: “c” is already on line 5.",
    ]


def test_a_list_full_of_errors_is_cut_short() -> None:
    said = complaints("custom", parse_custom, "é\n" * 500, "example.test")
    assert len(said) == 21
    assert said[-1] == "… and 480 more."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one"),
        (" ,;\n", "at least one"),
        ("\n".join(f"a{n}" for n in range(1001)), "1,001 addresses"),
        ("a" * 200_001, "200,000 characters"),
    ],
)
def test_how_long_a_pasted_list_may_be(text: str, said: str) -> None:
    [complaint] = complaints("custom", parse_custom, text, "example.test")
    assert said in complaint


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace\n\n  Bo   O'Brien\n",
        "\ufeffAda\tLovelace\r\nBo\tO'Brien",
        "first_name,last_name\nAda,Lovelace\n\nBo,O'Brien",
        "\nSurname;E-Mail;Given name\nLovelace;x;Ada\nO'Brien;;Bo;more",
        'First Name\tLast Name\nAda\tLovelace\n"Bo"\t"O\'Brien"',
    ],
)
def test_a_pasted_list_of_people(text: str) -> None:
    assert parse_personas(text) == [ADA, BO]


def test_the_first_word_of_a_line_is_the_first_name() -> None:
    assert parse_personas("Anna van der Berg") == [Persona("Anna", "van der Berg")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ada Lovelace\nBo", "Line 2: The last name is missing"),
        ("Ada Lovelace\n\nИван Петров", "Line 3: “Иван” cannot be spelt"),
        ("Lovelace, Ada", "Line 1: Write “First Last”"),
        ("first_name,last_name\nAda,Lovelace\nBo,", "Line 3: The last name is missing"),
        ("first_name,last_name\n\"Ada,Lovelace\nBo,O'Brien", "Line 2: Write"),
        ("Ada " + "L" * 61, "longer than 60"),
        ("", "at least one name"),
        ("first_name,last_name\n", "at least one name"),
        ("Ada Lovelace\n" * 1001, "1,001 names"),
        ("A" * 200_001, "200,000 characters"),
    ],
)
def test_what_is_said_about_a_list_of_people(text: str, said: str) -> None:
    [complaint] = complaints("personas", parse_personas, text)
    assert said in complaint


pasted = st.text() | st.lists(st.text("aZé.-_ ,;\t\n@'ßИ1", max_size=30)).map("\n".join)


@given(pasted)
def test_any_text_is_a_list_of_addresses_or_is_refused(text: str) -> None:
    try:
        found = parse_custom(text, "example.test")
    except Invalid:
        return
    planned = plan_addresses(len(found), "custom", custom=found, taken=[], seed="")
    assert local_parts(planned) == found
    assert all(is_safe(name) for name in found)


@given(pasted, st.sampled_from(NAME_BASED))
def test_any_text_is_a_list_of_people_or_is_refused(text: str, convention: str) -> None:
    try:
        people = parse_personas(text)
    except Invalid:
        return
    planned = plan_addresses(len(people), convention, personas=people, taken=[], seed="")
    names = local_parts(planned)
    assert len(set(names)) == len(people)
    assert all(is_safe(name) for name in names)


def is_safe(local_part: str) -> bool:
    dot_atom = re.fullmatch(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*", local_part)
    return bool(dot_atom) and len(local_part) <= 64


def test_the_pool_is_of_many_plain_names() -> None:
    for names in (FIRST_NAMES, LAST_NAMES, ROLES):
        assert len(set(names)) == len(names)
    for name in itertools.chain(FIRST_NAMES, LAST_NAMES):
        assert re.fullmatch("[A-Z][a-z]+", name)
    assert len(FIRST_NAMES) >= 120
    assert len(LAST_NAMES) >= 160
    assert len(ROLES) >= 60
