"""Accounts, sessions and keys over HTTP, as sources 1, 4 and 5 tell it."""

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from events.models import Event
from tenants.services import create_api_key
from tests.api import Answer, Api
from tests.cast import Person
from tests.work import work_off

pytestmark = pytest.mark.django_db


def code_for(email: str) -> str:
    work_off()
    newest = [message for message in mail.outbox if email in message.to][-1]
    found = re.search(r"\b(\d{6})\b", str(newest.body))
    assert found
    return found[1]


def sign_in(email: str = "ada@people.test", **more: Any) -> dict[str, Any]:
    api = Api()
    assert api.post("/api/v1/auth/trial/request-otp", {"email": email}).status == 200
    answer = api.post(
        "/api/v1/auth/trial/verify-otp", {"email": email, "otp": code_for(email), **more}
    )
    assert answer.status == 200, answer.body
    return dict(answer.body)


def test_a_code_by_email_starts_the_trial() -> None:
    api = Api()
    email = "new@people.test"
    sent = api.post("/api/v1/auth/trial/request-otp", {"email": email, "plan": "professional"})
    assert sent.status == 200
    verified = api.post("/api/v1/auth/trial/verify-otp", {"email": email, "otp": code_for(email)})
    assert verified.status == 200
    assert {"access_token", "refresh_token", "trial"} <= set(verified.body)
    assert verified.body["trial"]["plan"] == "professional"
    assert verified.body["trial"]["plan_limits"] == {"max_inboxes": 50, "max_domains": 5}

    status = Api(verified.body["access_token"]).get("/api/v1/trial/status")
    assert status.status == 200
    assert status.body["active"] is True
    assert status.body["daysLeft"] == 7
    assert Api().get("/api/v1/trial/status").status == 401


def test_register_confirm_log_in_refresh_and_out() -> None:
    api = Api()
    email, password = "cleo@people.test", "a long and good one"
    registered = api.post("/api/v1/auth/register", {"email": email, "password": password})
    assert registered.status == 201
    login = {"email": email, "password": password}
    assert api.post("/api/v1/auth/login", login).error == "AUTH_INVALID_CREDENTIALS"
    confirmed = api.post(
        "/api/v1/auth/trial/verify-otp",
        {
            "email": email,
            "otp": code_for(email),
            "registration_id": registered.body["data"]["registration_id"],
        },
    )
    assert confirmed.status == 200
    first = api.post("/api/v1/auth/login", login).body["data"]
    assert first["user"]["email"] == email
    me = Api(first["access_token"]).get("/api/v1/auth/me").body["data"]
    assert (me["email"], me["tier"]) == (email, "trial")

    second = api.post("/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second.status == 200
    assert Api(second.body["data"]["access_token"]).post("/api/v1/auth/logout").status == 204
    refused = Api(second.body["data"]["access_token"]).get("/api/v1/auth/me")
    assert (refused.status, refused.error) == (401, "INVALID_TOKEN")


def test_a_reused_refresh_token_ends_its_session() -> None:
    pair = sign_in()
    fresh = Api().post("/api/v1/auth/refresh", {"refresh_token": pair["refresh_token"]})
    assert fresh.status == 200
    again = Api().post("/api/v1/auth/refresh", {"refresh_token": pair["refresh_token"]})
    assert again.error == "INVALID_TOKEN"
    assert Api(fresh.body["data"]["access_token"]).get("/api/v1/auth/me").status == 401
    after = Api().post(
        "/api/v1/auth/refresh", {"refresh_token": fresh.body["data"]["refresh_token"]}
    )
    assert after.status == 401


def test_sessions_are_listed_and_ended() -> None:
    first, second = sign_in(), sign_in()
    api = Api(second["access_token"])
    listed = api.get("/api/v1/auth/sessions").body
    assert listed["total"] == 2
    (other,) = [row for row in listed["items"] if not row["current"]]
    assert api.delete(f"/api/v1/auth/sessions/{other['id']}").status == 204
    assert Api(first["access_token"]).get("/api/v1/auth/me").status == 401
    third = sign_in()
    assert api.post("/api/v1/auth/sessions/end-others").status == 204
    assert Api(third["access_token"]).get("/api/v1/auth/me").status == 401
    assert api.get("/api/v1/auth/me").status == 200


def test_a_one_time_link_signs_a_browser_in_once() -> None:
    pair = sign_in()
    made = Api(pair["access_token"]).post("/api/v1/auth/session-token")
    assert made.status == 200
    token = made.body["url"].rpartition("/")[2]
    browser = Client()
    path, kind = "/api/v1/auth/session-exchange", "application/json"
    assert browser.post(path, {}, content_type=kind).status_code == 400
    exchanged = browser.post(path, {"token": token}, content_type=kind)
    assert exchanged.status_code == 200
    assert exchanged.json()["user"]["email"] == "ada@people.test"
    assert browser.get("/overview/").status_code == 200
    assert browser.post(path, {"token": token}, content_type=kind).status_code == 410


def test_a_link_is_no_way_back_into_sessions_that_ended(ada: Person) -> None:
    thief = sign_in()["access_token"]
    link = Api(thief).post("/api/v1/auth/session-token").body["url"]
    assert Api(ada.token).post("/api/v1/auth/sessions/end-others").status == 204
    used = Api().post("/api/v1/auth/session-exchange", {"token": link.rpartition("/")[2]})
    assert (used.status, used.error) == (410, "LINK_EXPIRED")


def test_an_empty_header_is_no_token_and_no_browser(ada: Person) -> None:
    for path in ("/api/v1/profile", f"/api/v1/email-accounts/{ada.user.pk}/credentials"):
        answer = ada.client.get(path, headers={"Authorization": ""})
        assert answer.json()["error"]["code"] == "INVALID_TOKEN"


def test_a_key_looks_at_headers_only_where_it_may_read(ada: Person) -> None:
    key = create_api_key(ada.actor, name="x", scopes=["audit:read"]).plain
    asked = {"Authorization": f"Bearer {key}"}
    assert ada.client.head("/api/status", headers=asked).status_code == 403
    assert ada.client.head("/api/audit", headers=asked).status_code == 200


def test_a_key_is_shown_once_and_limited_to_its_scopes(ada: Person) -> None:
    pair = sign_in()
    api = Api(pair["access_token"])
    made = api.post("/api/v1/api-keys", {"name": "CI", "scopes": ["account:read"]})
    assert made.status == 201
    key = made.body["data"]["key"]
    assert key.startswith(made.body["data"]["prefix"])
    assert key not in str(api.get("/api/v1/api-keys").body)
    program = Api(key)
    assert program.get("/api/v1/profile").status == 200
    assert program.patch("/api/v1/profile", {"name": "x"}).error == "SCOPE_MISSING"
    assert program.get("/api/v1/api-keys").error == "PERSON_NEEDED"
    assert api.delete(f"/api/v1/api-keys/{made.body['data']['id']}").status == 204
    assert program.get("/api/v1/profile").status == 401


def test_the_panel_says_it_its_own_way() -> None:
    Api().post("/api/v1/auth/register", {"email": "d@people.test", "password": "long enough it is"})
    registered = Api().post(
        "/api/v1/auth/register", {"email": "d@people.test", "password": "long enough it is"}
    )
    Api().post(
        "/api/v1/auth/trial/verify-otp",
        {
            "email": "d@people.test",
            "otp": code_for("d@people.test"),
            "registration_id": registered.body["data"]["registration_id"],
        },
    )
    logged_in: Answer = Api().post(
        "/api/auth/login", {"email": "d@people.test", "password": "long enough it is"}
    )
    assert set(logged_in.body) == {"token", "refreshToken", "user"}
    me = Api(logged_in.body["token"]).get("/api/auth/me").body
    assert {"id", "name", "email", "roles", "tenantId", "permissions"} == set(me)
    renewed = Api().post("/api/auth/refresh", {"refreshToken": logged_in.body["refreshToken"]})
    assert renewed.body["token"]


def test_registering_an_address_that_has_an_account_is_a_reset(ada: Person) -> None:
    """Who confirms it owns the mailbox; sessions of before end, and the trail tells."""
    password = "another long and good one"
    asked = Api().post("/api/v1/auth/register", {"email": ada.user.email, "password": password})
    confirmed = Api().post(
        "/api/v1/auth/trial/verify-otp",
        {
            "email": ada.user.email,
            "otp": code_for(ada.user.email),
            "registration_id": asked.body["data"]["registration_id"],
        },
    )
    assert confirmed.status == 200
    assert Api(ada.token).get("/api/v1/auth/me").status == 401
    assert Event.objects.filter(action="password.reset").exists()
    login = {"email": ada.user.email, "password": password}
    assert [Api().post("/api/v1/auth/login", login).status for _ in range(12)] == [200] * 12


def test_a_registrations_code_is_no_use_without_its_id(ada: Person) -> None:
    """Else a stranger's password would be confirmed by the owner's next sign-in."""
    Api().post("/api/v1/auth/register", {"email": ada.user.email, "password": "a stranger's one"})
    taken = {"email": ada.user.email, "otp": code_for(ada.user.email)}
    assert Api().post("/api/v1/auth/trial/verify-otp", taken).error == "CODE_REFUSED"
    ada.user.refresh_from_db()
    assert not ada.user.has_usable_password()
