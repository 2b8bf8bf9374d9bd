"""Settings: profile, password, second factor, sessions."""

import re
from datetime import timedelta
from urllib.parse import unquote

import pyotp
import pytest
from django.test import Client
from django.utils import timezone

from events.models import Event
from mpanel.core.errors import Invalid
from tenants import services
from tenants.models import SecondFactor, Session, User
from tenants.services.codes import CodeRefused
from tenants.services.guesses import Asker
from tests.cast import Person
from tests.tenants.test_pages_sign_in import (
    is_in,
    newest_code,
    with_password,
    with_second_factor,
)

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

HOME = Asker("127.0.0.1", known=True)
HERE = "/settings/security/"
PASSWORD = "a long and good one"


def another_session(person: Person, device: str = "Firefox on Linux") -> Session:
    user = User.objects.get(pk=person.user.pk)
    session = services.start_session(user, kind=Session.BROWSER, address="192.0.2.7")
    Session.objects.filter(pk=session.pk).update(device=device)
    return session


# --- Profile ---------------------------------------------------------------------------------


def test_the_picture_is_chosen_from_a_few(ada: Person) -> None:
    path = "/settings/profile/"
    mine = {"name": "Ada", "tenant_name": "Engines"}
    assert ada.client.post(path, {**mine, "avatar": "zap"}).status_code == 302
    page = ada.client.get("/overview/").content.decode()
    assert re.search(r'class="avatar"[^>]*>\s*<svg[^>]*><use href="[^"]*#zap"', page)
    refused = ada.client.post(path, {**mine, "avatar": "nothing-like-it"})
    assert set(refused.context["form"].errors) == {"avatar"}
    assert ada.client.post(path, {**mine, "avatar": ""}).status_code == 302
    assert not User.objects.get(pk=ada.user.pk).avatar


def test_a_picture_that_we_do_not_have_shows_initials(ada: Person) -> None:
    services.change_profile(ada.actor, avatar="from the api", name="Ada B")
    page = ada.client.get("/overview/")
    assert page.status_code == 200
    assert re.search(r'class="avatar"[^>]*>AB<', page.content.decode())


def test_a_member_sees_the_organisation_and_cannot_rename_it(ada: Person, bo: Person) -> None:
    page = bo.client.get("/settings/profile/").content.decode()
    assert 'name="tenant_name"' not in page
    assert ada.tenant.name in page
    assert bo.client.post("/settings/profile/", {"name": "Bo"}).status_code == 302
    assert User.objects.get(pk=bo.user.pk).name == "Bo"
    assert 'name="tenant_name"' in ada.client.get("/settings/profile/").content.decode()


# --- Password --------------------------------------------------------------------------------


def test_a_password_is_set_and_changed(ada: Person) -> None:
    path = f"{HERE}password/"
    assert 'name="present"' not in ada.client.get(path).content.decode()
    with_password(ada)
    assert 'name="present"' in ada.client.get(path).content.decode()
    other = another_session(ada)
    wrong = ada.client.post(path, {"present": "wrong", "new": "something quite different"})
    assert set(wrong.context["form"].errors) == {"present"}
    weak = ada.client.post(path, {"present": PASSWORD, "new": "password123"})
    assert set(weak.context["form"].errors) == {"new"}
    assert Session.objects.live().filter(pk=other.pk).exists()
    changed = {"present": PASSWORD, "new": "something quite different"}
    assert ada.client.post(path, changed).status_code == 302
    # Here she stays signed in; elsewhere not.
    assert is_in(ada.client)
    assert not Session.objects.live().filter(pk=other.pk).exists()
    assert services.log_in(ada.user.email, changed["new"], address="127.0.0.1") == ada.user
    assert Event.objects.filter(action="password.changed").count() == 2


def test_a_screen_that_was_left_open_sets_no_first_password(ada: Person) -> None:
    """With a password one gets an access token, which sees what the browser's session may not."""
    path, email = f"{HERE}password/", ada.user.email
    assert ada.client.post(path, {"new": PASSWORD}).status_code == 200
    assert ada.client.post(path, {"code": "", "new": PASSWORD}).status_code == 422
    code = newest_code(email)
    wrong = {"code": f"{(int(code) + 1) % 1_000_000:06d}", "new": PASSWORD}
    assert set(ada.client.post(path, wrong).context["form"].errors) == {"code"}
    with pytest.raises(Invalid):
        services.change_password(ada.actor, present="", new=PASSWORD)
    # Nor is a code good that was sent for something else, or this one elsewhere.
    services.ask_to_confirm(ada.actor)
    other = {"code": newest_code(email), "new": PASSWORD}
    assert ada.client.post(path, other).status_code == 422
    with pytest.raises(CodeRefused):
        services.prepare_reset(email, code, PASSWORD, address="127.0.0.1")
    assert not User.objects.get(pk=ada.user.pk).has_usable_password()
    weak = ada.client.post(path, {"code": code, "new": "password123"})
    assert set(weak.context["form"].errors) == {"new"}
    assert ada.client.post(path, {"code": code, "new": PASSWORD}).status_code == 302
    assert services.log_in(email, PASSWORD, address="127.0.0.1") == ada.user


def test_passwords_are_not_repeated_on_the_page(ada: Person) -> None:
    answer = ada.client.post(f"{HERE}password/", {"code": "123456", "new": "kurz-7"})
    assert answer.status_code == 422
    assert "kurz-7" not in answer.content.decode()


# --- Second factor ---------------------------------------------------------------------------


def test_the_second_factor_is_turned_on(ada: Person) -> None:
    path = f"{HERE}second-factor/"
    page = ada.client.get(path)
    secret = page.context["enrolment"].secret
    text = page.content.decode()
    assert secret in text
    assert re.search(r'<svg viewBox="[^"]+" class="qr" role="img"', text)
    assert "style=" not in text  # the content security policy refuses inline styles
    wrong = ada.client.post(path, {"code": "000000"})
    assert wrong.status_code == 422
    assert secret in wrong.content.decode()
    assert not services.has_second_factor(ada.user)
    shown = ada.client.post(path, {"code": pyotp.TOTP(secret).now()})
    assert shown.status_code == 200
    assert shown["Cache-Control"] == "no-store, private"
    codes = shown.context["codes"]
    assert len(codes) == 10
    text = shown.content.decode()
    assert all(f"<code>{code}</code>" in text for code in codes)
    download = re.search(r'href="data:text/plain;charset=utf-8,([^"]+)"', text)
    assert download
    assert unquote(download[1]).split() == codes
    assert services.has_second_factor(ada.user)
    # Neither secret nor codes are shown again.
    assert ada.client.get(path).status_code == 409
    after = ada.client.get(HERE).content.decode()
    assert secret not in after
    assert not any(code in after for code in codes)
    assert "10 recovery codes" in after


def test_recovery_codes_are_renewed_for_a_code(ada: Person) -> None:
    totp, old = with_second_factor(ada)
    path = f"{HERE}recovery-codes/"
    assert ada.client.post(path, {"code": "000000"}).status_code == 422
    shown = ada.client.post(path, {"code": totp.now()})
    new = shown.context["codes"]
    assert len(new) == 10
    assert not set(new) & set(old)
    with pytest.raises(services.second_factor.SecondFactorRefused):
        services.second_factor.check_second_factor(ada.user, old[0], asker=HOME)
    services.second_factor.check_second_factor(ada.user, new[0], asker=HOME)


def test_few_codes_are_warned_of(ada: Person) -> None:
    with_second_factor(ada)
    warning = "before the last one is used"
    assert warning not in ada.client.get(HERE).content.decode()
    factor = SecondFactor.objects.get()
    factor.recovery_hashes = factor.recovery_hashes[:2]
    factor.save()
    assert warning in ada.client.get(HERE).content.decode()


def test_turning_off_needs_a_code(ada: Person) -> None:
    path = f"{HERE}second-factor/off/"
    assert ada.client.get(path)["Location"] == HERE
    assert ada.client.post(path, {"code": "123456"})["Location"] == HERE
    _, codes = with_second_factor(ada)
    assert ada.client.post(path, {"code": "000000"}).status_code == 422
    assert ada.client.post(path, {"code": ""}).status_code == 422
    assert services.has_second_factor(ada.user)
    assert ada.client.post(path, {"code": codes[0]}).status_code == 302
    assert not services.has_second_factor(ada.user)


def test_a_colleagues_second_factor_is_their_own(ada: Person, bo: Person) -> None:
    with_second_factor(ada)
    assert "Turn it on" in bo.client.get(HERE).content.decode()
    assert bo.client.get(f"{HERE}recovery-codes/")["Location"] == HERE


# --- Sessions --------------------------------------------------------------------------------


def test_sessions_are_listed_and_one_is_ended(ada: Person) -> None:
    other = another_session(ada, "Safari on iOS")
    page = ada.client.get(HERE).content.decode()
    assert "Safari on iOS" in page
    assert "192.0.2.7" in page
    assert page.count("This device") == 1
    path = f"{HERE}sessions/{other.pk}/end/"
    assert "Safari on iOS" in ada.client.get(path).content.decode()
    assert Session.objects.live().filter(pk=other.pk).exists()
    assert ada.client.post(path).status_code == 302
    assert not Session.objects.live().filter(pk=other.pk).exists()
    assert ada.client.get(path).status_code == 404
    assert is_in(ada.client)


def test_all_other_sessions_end(ada: Person, bo: Person, cy: Person) -> None:
    for number in range(3):
        another_session(ada, f"Device {number}")
    path = f"{HERE}sessions/end-others/"
    assert ada.client.get(path).status_code == 200
    answer = ada.client.post(path, follow=True)
    assert "Ended 3 other sessions." in answer.content.decode()
    assert [is_in(person.client) for person in (ada, bo, cy)] == [True, True, True]


def test_a_session_that_is_ended_elsewhere_is_over_here(ada: Person) -> None:
    phone = Client()
    with_password(ada)
    phone.post("/sign-in/password/", {"email": ada.user.email, "password": PASSWORD})
    assert is_in(phone)
    ada.client.post(f"{HERE}sessions/end-others/")
    assert phone.get("/overview/")["Location"].startswith("/sign-in/")


def test_nobody_sees_or_ends_the_sessions_of_others(ada: Person, bo: Person, cy: Person) -> None:
    theirs = another_session(ada, "Adas own device")
    for person in (bo, cy):
        assert "Adas own device" not in person.client.get(HERE).content.decode()
        for method in ("get", "post"):
            path = f"{HERE}sessions/{theirs.pk}/end/"
            assert getattr(person.client, method)(path).status_code == 404
    assert Session.objects.live().filter(pk=theirs.pk).exists()


def test_dead_sessions_are_not_listed_and_many_are_paged(ada: Person) -> None:
    for number in range(25):
        another_session(ada, f"Device {number}.")
    gone = another_session(ada, "Long gone")
    Session.objects.filter(pk=gone.pk).update(expires_at=timezone.now() - timedelta(days=1))
    first = ada.client.get(HERE).content.decode()
    assert "1–20 of 26 sessions" in first
    assert "Long gone" not in first
    assert "21–26 of 26" in ada.client.get(f"{HERE}?page=2").content.decode()
