"""Who a domain is registered for: what is kept of what a person types."""

from typing import Any

import pytest

from domains.contacts import clean_contact
from mpanel.core.countries import COUNTRIES
from mpanel.core.errors import Invalid
from tenants.services.operators import make_operator
from tests.api import Api
from tests.cast import Person

ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "phone": "+44 20 7946 0000",
    "address1": "12 St James Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}


def refused(**changes: str) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as caught:
        clean_contact({**ADA, **changes})
    return dict(caught.value.details)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+44 20 7946 0000", "+44.2079460000"),
        ("+44 (0)20 7946 0000", "+44.2079460000"),
        ("+44 ( 0 ) 20 7946 0000", "+44.2079460000"),
        ("+44 (0) 20-7946.0000", "+44.2079460000"),
        ("+44 (020) 7946 0000", "+44.2079460000"),
        ("+44 020 7946 0000", "+44.2079460000"),
        ("+44\u00a020\u00a07946\u20110000", "+44.2079460000"),
        ("+44 20 7946–0000", "+44.2079460000"),
        ("+44 (20) 7946 0000", "+44.2079460000"),
        ("+49 (0)30 1234567", "+49.301234567"),
        ("+49 (0) 171/1234567", "+49.1711234567"),
        ("+36 (0)1 234 5678", "+36.12345678"),
        ("+7 495 123-45-67", "+7.4951234567"),
        ("+1 (202) 555-0100", "+1.2025550100"),
        ("+353 (0)1 234 5678", "+353.12345678"),
        # A zero that belongs to the number, in parentheses or not.
        ("+39 06 1234 5678", "+39.0612345678"),
        ("+39 (0)6 1234 5678", "+39.0612345678"),
        ("+225 01 23 45 67 89", "+225.0123456789"),
        ("+44.2079460000", "+44.2079460000"),
    ],
)
def test_a_phone_number_keeps_what_is_dialled_from_abroad(written: str, kept: str) -> None:
    assert clean_contact({**ADA, "phone": written}).phone == kept


@pytest.mark.parametrize(
    "written", ["020 7946 0000", "0044 20 7946 0000", "+44", "+0 20 7946 0000", "+44 20 CALL ME"]
)
def test_what_is_no_international_number_is_refused(written: str) -> None:
    assert "country code" in refused(phone=written)["phone"][0]


def test_a_number_too_long_for_its_country_is_not_read_as_another_countrys() -> None:
    assert "country code" in refused(phone="+44 1234567890123")["phone"][0]


def test_invisible_characters_are_named() -> None:
    found = refused(
        phone="\u202a+44 20 7946 0000\u202c", city="Lon\u200bdon", email="a\u00adb@x.test"
    )
    assert "U+202A LEFT-TO-RIGHT EMBEDDING" in found["phone"][0]
    assert "U+200B ZERO WIDTH SPACE" in found["city"][0]
    assert "after “Lon”" in found["city"][0]
    assert "U+00AD SOFT HYPHEN" in found["email"][0]


def test_letters_and_addresses_are_kept_in_one_form() -> None:
    contact = clean_contact({**ADA, "city": "Mu\u0308nchen", "email": "Ada@MÜLLER.example.com"})
    assert (contact.city, contact.email) == ("München", "ada@xn--mller-kva.example.com")


def test_countries_are_those_of_iso_3166() -> None:
    assert len(COUNTRIES) == 249
    assert clean_contact({**ADA, "country": "gb"}).country == "GB"
    assert "did you mean GB?" in refused(country="UK")["country"][0]
    for none in ("XX", "ZZ", "A1", "ﬁ", "EU", "AN", "SU"):
        assert "ISO 3166" in refused(country=none)["country"][0]


def test_operators_give_countries_of_iso_3166_too(ada: Person) -> None:
    make_operator(ada.user)
    api = Api(ada.token)

    def customer(country: str, email: str) -> Any:
        body = {"name": "Di", "email": email, "address": {"city": "Paris", "country": country}}
        return api.post("/api/customers", body)

    refused = customer("XX", "di@people.test")
    assert refused.status == 400
    assert "ISO 3166" in str(refused.body["error"]["details"])
    made = customer("fr", "di@people.test")
    assert made.body["address"]["country"] == "FR"
    assert customer("", "ed@people.test").status == 201


def test_a_contact_is_checked_over_the_api_before_anything_is_bought(ada: Person) -> None:
    api = Api(ada.token)
    for changes, field in (({"country": "UK"}, "country"), ({"email": "a@x\u200b.test"}, "email")):
        body = {"domain": "example.test", "contact": {**ADA, **changes}, "max_cost": 12.5}
        answer = api.post("/api/v1/domains/register", body)
        assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
        assert field in str(answer.body["error"]["details"])
