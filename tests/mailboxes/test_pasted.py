"""Lists as spreadsheets and web pages make them: read as they were meant, or told where not."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from mailboxes.imports import Row, parse_csv, preview_import
from mailboxes.naming import Persona, parse_custom, parse_personas
from mpanel.core.errors import Invalid
from tests.api import Api
from tests.cast import Person
from tests.wizard.rows import estate

ANNA = Row(email="anna@example.test", first_name="Zoë", line=2)


@pytest.mark.parametrize(
    "raw",
    [
        "email;first_name\nanna@example.test;Zoë\n".encode(),
        "\ufeffemail;first_name\r\nanna@example.test;Zoë\r\n".encode(),
        "\ufeffemail;first_name\nanna@example.test;Zoë".encode("utf-16-le"),
        "email\u00a0;\u00a0First\u00a0Name\nanna@example.test;Zoë\n".encode(),
        "email|first_name\nanna@example.test|Zoë\n".encode(),
    ],
    ids=["plain", "mark and CR LF", "UTF-16", "no-break spaces in the header", "bars"],
)
def test_files_of_spreadsheets_are_read(raw: bytes) -> None:
    assert parse_csv(raw) == [ANNA]


@pytest.mark.parametrize("first", ["sep=;", "\ufeffsep=;", "SEP=;\r", '"sep=;"', "sep=; "])
def test_the_line_that_names_the_separator_is_no_header(first: str) -> None:
    # By counting, the comma would have won.
    text = f"{first}\nemail;first_name;Notes, more, and more\nanna@example.test;Zoë;x\n"
    assert parse_csv(text.encode()) == [Row(email="anna@example.test", first_name="Zoë", line=3)]
    people = f"{first}\nfirst_name;last_name\nAda;Lovelace"
    assert parse_personas(people) == [Persona("Ada", "Lovelace")]


def test_an_invisible_character_in_the_header_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        parse_csv("first_name,e\u200bmail\nZoë,anna@example.test\n".encode())
    assert "Line 1, column 2: " in caught.value.message
    assert "(U+200B ZERO WIDTH SPACE) after “e”" in caught.value.message


@pytest.mark.django_db
def test_each_row_says_where_its_invisible_character_is(ada: Person) -> None:
    name = estate(ada).domain.name
    text = (
        "email,first_name,last_name,password\n"
        f"anna@{name},Zoe\u0308,\u00a0von\u00a0\u00a0Berg\u00a0,\n"
        f"an\u200bna@{name},,,\n"
        f"cleo@{name},Cl\u00adeo,,\n"
        f"\u00a0dee@{name.upper()}\u00a0,,,\n"
        f"eve@{name},,,Secure\u200bPass123!\n"
        f"fay@{name}\u2060,,,\n"
    )
    outcomes = preview_import(ada.actor, parse_csv(text.encode()))
    found = [str(one.error.message) if one.error else "" for one in outcomes]
    assert found[0] == found[3] == ""
    assert outcomes[0].wanted is not None
    assert (outcomes[0].wanted.first_name, outcomes[0].wanted.last_name) == ("Zoë", "von Berg")
    assert "Line 3, column email: " in found[1]
    assert "(U+200B ZERO WIDTH SPACE) after “an”" in found[1]
    assert "Line 4, column first_name: " in found[2]
    assert "U+00AD SOFT HYPHEN" in found[2]
    assert "Line 6, column password: " in found[4]
    assert "Secure" not in found[4]
    assert "Line 7, column email: " in found[5]


@pytest.mark.django_db
def test_a_domain_may_be_written_in_any_of_its_spellings(ada: Person) -> None:
    domain = estate(ada).domain
    type(domain).objects.filter(pk=domain.pk).update(
        name="xn--mller-kva.test", unicode_name="müller.test"
    )
    rows = [
        Row(email=f"{local}@{host}")
        for local, host in {
            "a": "müller.test",
            "b": "mu\u0308ller.test",
            "c": "MÜLLER.test",
            "d": "xn--mller-kva.test",
            "e": "ｍüller。test",
        }.items()
    ]
    assert [one.error for one in preview_import(ada.actor, rows)] == [None] * 5


@pytest.mark.django_db
def test_the_page_and_the_api_name_the_place(ada: Person) -> None:
    name = estate(ada).domain.name
    text = f"email\nan\u200bna@{name}\n"
    file = SimpleUploadedFile("list.csv", text.encode())
    page = ada.client.post("/mailboxes/import/", {"file": file}).content.decode()
    assert "Line 2, column email: " in page
    assert "ZERO WIDTH SPACE" in page
    answer = Api(ada.token).post("/api/mailboxes/import", {"csv": text})
    assert "Line 2, column email: " in str(answer.body)


def refused(call: Any, *given: str) -> str:
    with pytest.raises(Invalid) as caught:
        call(*given)
    return str(caught.value.message)


def test_pasted_people_are_read_or_the_place_is_named() -> None:
    people = parse_personas("Zoe\u0308\u00a0Lovelace\nBo\u2003Berg")
    assert people == [Persona("Zoë", "Lovelace"), Persona("Bo", "Berg")]
    assert refused(parse_personas, "Ada Lovelace\nBo Be\u200brg") == (
        "Line 2, column 6: there is an invisible character (U+200B ZERO WIDTH SPACE)."
    )


def test_pasted_addresses_are_read_or_the_place_is_named() -> None:
    text = "ada@mu\u0308ller.test\u00a0bo@MÜLLER.test\ncy@ｍüller.test"
    assert parse_custom(text, "xn--mller-kva.test") == ["ada", "bo", "cy"]
    assert "Line 1, column 4: " in refused(parse_custom, "ada\u200d@example.test", "example.test")
