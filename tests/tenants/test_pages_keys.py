"""Settings: API keys, made and revoked on the pages, used over HTTP."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from events.models import Event
from mpanel.core.actor import ADMIN, SCOPES
from tenants import services
from tenants.models import ApiKey, User
from tenants.views.keys import example_path
from tests.api import Api
from tests.cast import Person, helper_of

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

HERE = "/settings/keys/"
NEW = f"{HERE}new/"
FORM = {"name": "Nightly", "scopes": ["account:read"], "expiry": "90"}


def make(person: Person, **changes: object) -> tuple[ApiKey, str]:
    """A key made on the page, and the key as it is shown."""
    answer = person.client.post(NEW, {**FORM, **changes})
    assert answer.status_code == 200, answer.content
    found = re.search(r"mpk_\w{10}_\w{40}", answer.content.decode())
    assert found
    return ApiKey.objects.get(prefix=found[0].split("_")[1]), found[0]


def test_a_key_is_shown_once_and_works(ada: Person, settings: LazySettings) -> None:
    answer = ada.client.post(NEW, FORM)
    assert answer["Cache-Control"] == "no-store, private"
    plain = answer.context["made"].plain
    text = answer.content.decode()
    assert plain in text
    assert f"Bearer {plain}&#x27; {settings.SITE_URL}/api/v1/profile" in text
    assert Api(plain).get("/api/v1/profile").body["data"]["email"] == ada.user.email
    # From now on only its beginning is told.
    listed = ada.client.get(HERE).content.decode()
    key = ApiKey.objects.get()
    assert f"mpk_{key.prefix}…" in listed
    assert plain.rpartition("_")[2] not in listed
    assert "127.0.0.1" in listed  # where it was used from
    assert plain.rpartition("_")[2] not in repr(list(Event.objects.values()))


def test_a_key_is_revoked_after_a_second_question(ada: Person) -> None:
    key, plain = make(ada)
    path = f"{HERE}{key.pk}/revoke/"
    assert "Revoke “Nightly”?" in ada.client.get(path).content.decode()
    assert Api(plain).get("/api/v1/profile").status == 200
    assert ada.client.post(path)["Location"] == HERE
    assert Api(plain).get("/api/v1/profile").error == "INVALID_TOKEN"
    assert ada.client.get(path).status_code == 404
    assert "No API keys yet" in ada.client.get(HERE).content.decode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"expiry": "30"}, timedelta(days=30)),
        ({"expiry": "90"}, timedelta(days=90)),
        ({"expiry": "365"}, timedelta(days=365)),
        ({"expiry": "never"}, None),
        ({"expiry": "never", "expires_on": "2001-01-01"}, None),
    ],
)
def test_how_long_a_key_lives(
    ada: Person, given: dict[str, str], expected: timedelta | None
) -> None:
    key, _ = make(ada, **given)
    if expected is None:
        assert key.expires_at is None
        assert "never" in ada.client.get(HERE).content.decode()
    else:
        assert key.expires_at
        assert abs(key.expires_at - timezone.now() - expected) < timedelta(minutes=1)


def test_a_key_lives_to_the_end_of_the_chosen_day(ada: Person) -> None:
    today = timezone.now().date()
    key, plain = make(ada, expiry="custom", expires_on=today.isoformat())
    assert key.expires_at
    assert key.expires_at.date() == today
    assert Api(plain).get("/api/v1/profile").status == 200
    far, _ = make(ada, expiry="custom", expires_on="2099-12-31")
    assert far.expires_at == datetime(2099, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": ["operator"]}, "scopes"),
        ({"expiry": "7"}, "expiry"),
        ({"expiry": "custom"}, "expires_on"),
        ({"expiry": "custom", "expires_on": "2001-01-01"}, "expires_on"),
        ({"expiry": "custom", "expires_on": "soon"}, "expires_on"),
        ({"allowed_networks": "192.0.2.0/24\nhome"}, "allowed_networks"),
        ({"allowed_networks": " ".join(["192.0.2.1"] * 21)}, "allowed_networks"),
    ],
)
def test_what_is_wrong_is_named_beside_its_field(
    ada: Person, changes: dict[str, object], field: str
) -> None:
    answer = ada.client.post(NEW, {**FORM, **changes})
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {field}
    assert not ApiKey.objects.exists()
    # What else was chosen stays chosen.
    assert 'value="account:read"' in answer.content.decode()


def test_a_key_is_bound_to_its_networks(ada: Person) -> None:
    key, plain = make(ada, allowed_networks="192.0.2.7, 2001:db8::/32\n198.51.100.0/24")
    assert key.allowed_networks == ["192.0.2.7/32", "2001:db8::/32", "198.51.100.0/24"]
    assert Api(plain).get("/api/v1/profile").error == "ADDRESS_NOT_ALLOWED"
    inside = Api(plain).client.get(
        "/api/v1/profile",
        headers={"Authorization": f"Bearer {plain}"},
        REMOTE_ADDR="198.51.100.9",
    )
    assert inside.status_code == 200


def test_every_scope_is_offered_with_what_it_allows(ada: Person) -> None:
    page = ada.client.get(NEW).content.decode()
    for scope, text in SCOPES.items():
        offered = f'value="{scope}"' in page and text in page
        assert offered == (scope != "operator"), scope
    User.objects.filter(pk=ada.user.pk).update(is_operator=True)
    assert 'value="operator"' in ada.client.get(NEW).content.decode()


@pytest.mark.parametrize("scope", SCOPES)
def test_the_example_is_one_that_the_key_may_read(ada: Person, scope: str) -> None:
    User.objects.filter(pk=ada.user.pk).update(is_operator=True)
    _, plain = make(ada, scopes=[scope])
    assert Api(plain).get(example_path([scope])).status == 200


def test_a_member_is_told_who_makes_keys(bo: Person) -> None:
    for path in (HERE, NEW):
        page = bo.client.get(path)
        assert page.status_code == 200
        assert "Admins make API keys" in page.content.decode()
    assert NEW not in bo.client.get(HERE).content.decode()
    assert 'name="scopes"' not in bo.client.get(NEW).content.decode()
    assert bo.client.post(NEW, FORM).status_code == 403
    assert not ApiKey.objects.exists()


def test_an_admin_sees_and_revokes_a_colleagues_key(ada: Person, bo: Person) -> None:
    key, _ = make(ada)
    path = f"{HERE}{key.pk}/revoke/"
    assert bo.client.get(path).status_code == 404
    assert bo.client.post(path).status_code == 404
    di = helper_of(ada, "di", ADMIN)
    assert ada.user.email.partition("@")[0] in di.client.get(HERE).content.decode()
    assert di.client.post(path).status_code == 302
    key.refresh_from_db()
    assert not key.is_live


def test_a_stranger_sees_no_key(ada: Person, cy: Person) -> None:
    key, _ = make(ada)
    listed = cy.client.get(HERE).content.decode()
    assert key.prefix not in listed
    for method in ("get", "post"):
        assert getattr(cy.client, method)(f"{HERE}{key.pk}/revoke/").status_code == 404
    key.refresh_from_db()
    assert key.is_live


def test_keys_are_searched_and_paged(ada: Person) -> None:
    for number in range(25):
        services.create_api_key(ada.actor, name=f"Robot {number:02}", scopes=["jobs:read"])
    assert "1–20 of 25 keys" in ada.client.get(HERE).content.decode()
    found = ada.client.get(HERE, {"q": "robot 07"}).content.decode()
    assert "Robot 07" in found
    assert "Robot 08" not in found
    prefix = ApiKey.objects.get(name="Robot 11").prefix
    for typed in (prefix[:6], f"mpk_{prefix}"):
        found = ada.client.get(HERE, {"q": typed}).content.decode()
        assert re.findall(r">(Robot \d\d)<", found) == ["Robot 11"]
    assert "No key matches" in ada.client.get(HERE, {"q": "nothing"}).content.decode()


def test_an_expired_key_is_marked(ada: Person) -> None:
    key, _ = make(ada)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert "Expired" in ada.client.get(HERE).content.decode()


def test_too_many_keys_are_told_on_the_form(ada: Person) -> None:
    for number in range(services.api_keys.MOST_KEYS):
        services.create_api_key(ada.actor, name=f"Robot {number}", scopes=["jobs:read"])
    answer = ada.client.post(NEW, FORM)
    assert answer.status_code == 422
    assert "as many API keys as are allowed" in answer.content.decode()
