"""Bad input to the JSON API: each a clear 4xx in the one error body, and nothing done."""

import json
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from mpanel.core.actor import ADMIN
from tenants import tokens
from tenants.models import ApiKey, Membership, Session, Tenant, User
from tenants.services import create_api_key
from tests.api import Api
from tests.cast import Person, helper_of

pytestmark = pytest.mark.django_db
PROFILE = "/api/v1/profile"


@pytest.fixture
def api(ada: Person) -> Api:
    return Api(ada.token)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": "a"',
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"a": [' + b"[]," * 110_000 + b"[]]}",
        b'{"a": [' + b"{}," * 110_000 + b"{}]}",
        b"[{" * 17 + b"}]" * 17,
        b'{"name": "\\ud800"}',
        b'{"\\udfff": "x"}',
        b'{"name": "\\u0000"}',
        b'{"name": NaN}',
        b'{"name": 1e400}',
        b'{"name": ' + b"9" * 5_000 + b"}",
        b'{"name": "a", "name": "b"}',
        b"\xff\xfe{}",
        b'"text"',
        b"[]",
        b"null",
        b"17",
        b'{"name": 5}',
        b'{"name": true}',
        b'{"name": ["a"]}',
        b'{"name": {"a": 1}}',
        b'{"name": "' + b"a" * 200_000 + b'"}',
        b'{"preferences": {"a": {"b": 1}}}',
        b'{"preferences": ' + json.dumps({f"k{n}": "v" for n in range(100)}).encode() + b"}",
        b'{"unknown": 1}',
        b'{"role": "owner"}',
        b'{"email": "other@people.test"}',
        b'{"is_operator": true}',
        b'{"tenant_id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11"}',
    ],
)
def test_a_bad_body_is_refused(api: Api, ada: Person, body: bytes) -> None:
    answer = api.patch(PROFILE, body)
    assert answer.status == 400
    assert answer.error in {"MALFORMED_REQUEST", "VALIDATION_ERROR"}
    ada.user.refresh_from_db()
    assert (ada.user.name, ada.user.preferences, ada.user.is_operator) == ("", {}, False)


def test_a_refusal_says_which_field_it_is_about(api: Api) -> None:
    assert api.patch(PROFILE, {"display_name": "A"}).body["detail"] == (
        "display_name: There is no such field."
    )
    assert api.patch(PROFILE, b"[]").body["detail"] == "Send one JSON object."


def test_brackets_inside_of_text_are_not_depth(api: Api) -> None:
    assert api.patch(PROFILE, {"name": "[{" * 50 + '\\"'}).status == 200


def test_a_body_beyond_the_limit_is_413(api: Api) -> None:
    body = b'{"name": "' + b"a" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}'
    assert api.patch(PROFILE, body).error == "TOO_LARGE"
    assert api.post("/api/v1/auth/session-token", body, key="k").error == "TOO_LARGE"


def test_another_content_type_is_415(api: Api) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = api.client.generic("PATCH", PROFILE, b"{}", content_type=kind, headers=api.headers)
        assert answer.status_code == 415
        assert answer.json()["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


def test_unknown_paths_methods_and_ids_have_the_one_body(api: Api) -> None:
    assert api.get("/api/v1/nowhere").error == "NOT_FOUND"
    assert api.delete("/api/v1/auth/sessions/not-a-uuid").error == "NOT_FOUND"
    assert api.delete("/api/v1/auth/sessions/%00").status in {400, 404}
    assert api.put(PROFILE, {}).error == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    "query",
    [
        {"page": "0"},
        {"page": "-1"},
        {"page": "x"},
        {"page": "9" * 400},
        {"page_size": "101"},
        {"page_size": "1e3"},
        {"unknown": "1"},
        {"search": "\x00"},
        {"search": "a" * 500},
        {"order": "secret_hash"},
        {"page": ["1", "2"]},
    ],
)
def test_a_bad_query_is_refused(api: Api, query: dict[str, Any]) -> None:
    assert api.get("/api/v1/api-keys", query).status == 400


def forged(session: Session, *, key: str = "", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "token_type": "access",
        "exp": now + 600,
        "iat": now,
        "jti": "0123456789abcdef0123456789abcdef",
        "iss": "mpanel",
        "sid": str(session.pk),
        "sub": str(session.membership.user_id),
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    algorithm = claims.pop("algorithm", "HS256")
    secret = "" if algorithm == "none" else key or settings.SIMPLE_JWT["SIGNING_KEY"]
    return jwt.encode(claims, str(secret), algorithm=str(algorithm))


def test_a_forged_token_is_refused(ada: Person) -> None:
    session = ada.session
    assert Api(forged(session)).get(PROFILE).status == 200  # the forger's own baseline
    tokens_to_refuse = [
        forged(session, algorithm="none"),
        forged(session, key="another key that is long enough for HS256"),
        forged(session, algorithm="HS512", key="x" * 64),
        forged(session, exp=None),
        forged(session, exp=int(time.time()) - 1),
        forged(session, exp="soon"),
        forged(session, exp=-1),
        forged(session, token_type="refresh"),
        forged(session, iss="somebody"),
        forged(session, iss=None),
        forged(session, sid=None),
        forged(session, sid="x"),
        forged(session, sid=["a"]),
        forged(session, sid="01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11"),
        tokens.refresh_token(session),
        "a.b.c",
        "ü",
        "x" * 100_000,
        "mpk_",
        "mpk_abc_def",
        "mpk_ü_ü",
    ]
    for token in tokens_to_refuse:
        assert Api(token).get(PROFILE).error == "INVALID_TOKEN", token[:80]
    for header in ("Basic YTpi", "Bearer", "Bearer ", "bearer\t", "Token x"):
        assert Api(Authorization=header).get(PROFILE).error == "INVALID_TOKEN"
    assert Api().get(PROFILE).error == "UNAUTHORIZED"


def test_an_ended_session_and_suspended_people_are_refused(ada: Person) -> None:
    bo = helper_of(ada, "bo", ADMIN)
    key = key_of(bo)
    assert Api(bo.token).get(PROFILE).status == 200
    assert Api(key).get(PROFILE).status == 200
    User.objects.filter(pk=bo.user.pk).update(is_active=False)
    assert Api(bo.token).get(PROFILE).error == "ACCOUNT_CLOSED"
    assert Api(key).get(PROFILE).error == "ACCOUNT_CLOSED"
    User.objects.filter(pk=bo.user.pk).update(is_active=True)
    Tenant.objects.filter(pk=ada.tenant.pk).update(status=Tenant.SUSPENDED)
    assert Api(bo.token).get(PROFILE).error == "ACCOUNT_CLOSED"
    assert Api(key).get(PROFILE).error == "ACCOUNT_CLOSED"
    Tenant.objects.filter(pk=ada.tenant.pk).update(status=Tenant.ACTIVE)
    Session.objects.filter(pk=bo.session.pk).update(ended_at=timezone.now())
    assert Api(bo.token).get(PROFILE).error == "INVALID_TOKEN"
    Membership.objects.filter(user=bo.user).delete()
    assert Api(key).get(PROFILE).error == "INVALID_TOKEN"


def key_of(person: Person, **changes: Any) -> str:
    made = create_api_key(person.actor, name="CI", scopes=["account:read"])
    ApiKey.objects.filter(pk=made.key.pk).update(**changes)
    return made.plain


def test_a_key_ends_and_keeps_to_its_networks(ada: Person) -> None:
    past = timezone.now() - timedelta(seconds=1)
    assert Api(key_of(ada, expires_at=past)).get(PROFILE).error == "INVALID_TOKEN"
    assert Api(key_of(ada, revoked_at=past)).get(PROFILE).error == "INVALID_TOKEN"
    elsewhere = key_of(ada, allowed_networks=["192.0.2.0/24"])
    assert Api(elsewhere).get(PROFILE).error == "ADDRESS_NOT_ALLOWED"
    here = key_of(ada, allowed_networks=["192.0.2.0/24", "127.0.0.0/8"])
    assert Api(here).get(PROFILE).status == 200


def test_the_browser_session_needs_the_csrf_header(ada: Person) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = ada.client.cookies
    assert browser.get(PROFILE).status_code == 200
    kind = "application/json"
    refused = browser.patch(PROFILE, {"name": "A"}, content_type=kind)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "CSRF_FAILED")
    browser.get("/settings/profile/")
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    accepted = browser.patch(
        PROFILE, {"name": "A"}, content_type=kind, headers={"X-CSRFToken": token}
    )
    assert accepted.status_code == 200


@pytest.mark.parametrize("body", [b"{bad", b"[" * 20_000, b"[]", b'{"x": 1}', b'"x"'])
@pytest.mark.parametrize("key", ["", "a-key"])
def test_an_operation_without_a_body_takes_none(api: Api, body: bytes, key: str) -> None:
    assert api.post("/api/v1/auth/sessions/end-others", body, key=key).status == 400
    assert api.post("/api/v1/auth/sessions/end-others", b"{}", key=key).status == 204
    assert api.post("/api/v1/auth/sessions/end-others", key=f"{key}-2" if key else "").status == 204


def test_a_token_is_only_good_for_the_user_it_was_made_for(ada: Person, cy: Person) -> None:
    key = str(settings.SIMPLE_JWT["SIGNING_KEY"])
    for text in (ada.token, tokens.refresh_token(ada.session)):
        claims = jwt.decode(text, key, algorithms=["HS256"], issuer="mpanel")
        forged = jwt.encode(claims | {"sub": str(cy.user.pk)}, key, algorithm="HS256")
        without = jwt.encode({k: v for k, v in claims.items() if k != "sub"}, key)
        for token in (forged, without):
            if claims["token_type"] == "access":
                assert Api(token).get(PROFILE).error == "INVALID_TOKEN"
            else:
                refused = Api().post("/api/v1/auth/refresh", {"refresh_token": token})
                assert refused.error == "INVALID_TOKEN"
    assert Api(ada.token).get(PROFILE).status == 200


def test_brackets_inside_of_text_are_text(api: Api) -> None:
    name = '[[{"' * 15 + "]\\"
    assert api.patch(PROFILE, {"name": name}).status == 200
    assert api.get(PROFILE).body["data"]["name"] == name
    assert api.patch(PROFILE, {"name": "a \\u0000 in words"}).status == 200
