"""A session that ended, and errors: people come back to where they were, and are told why."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import LazySettings
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from billing.models import Account
from billing.plans import PLANS, TRIAL
from billing.services import TrialExpired
from mpanel.core.errors import LimitExceeded, MPanelError, TooManyRequests, Unavailable
from mpanel.core.pages import ErrorPageMiddleware, error_page, forbidden
from mpanel.core.places import can_be_opened
from tenants.models import Session
from tests.cast import Person
from tests.wizard.rows import estate
from tests.wizard.test_every_page import PRIVATE, address

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

SITE = "http://testserver"
UNDONE = "your last action was not carried out"


def end_sessions() -> None:
    """All sign-ins are ended elsewhere."""
    Session.objects.update(ended_at=timezone.now())


def next_of(location: str) -> str:
    """The page to which a sign-in leads back."""
    return parse_qs(urlsplit(location).query)["next"][0]


def sign_in_again(person: Person) -> str:
    """Signs in by password in the same browser; what the next page says."""
    person.user.set_password("correct horse battery")
    person.user.save()
    form = {"email": person.user.email, "password": "correct horse battery", "next": "/overview/"}
    assert person.client.post("/sign-in/password/", form).status_code == 302
    return person.client.get("/overview/").content.decode()


def test_every_button_of_an_ended_session_leads_back_to_its_page(ada: Person) -> None:
    adas = estate(ada)
    end_sessions()
    page = f"/mailboxes/?domain={adas.domain.pk}&page=2"
    for name in PRIVATE:
        answer = ada.client.post(address(name, adas), headers={"Referer": SITE + page})
        assert next_of(answer["Location"]) == page, name


def test_no_sign_in_ever_leads_to_an_address_that_only_takes_forms(ada: Person) -> None:
    adas = estate(ada)
    only_forms = {
        name for name in PRIVATE if ada.client.get(address(name, adas)).status_code == 405
    }
    assert len(only_forms) > 30
    end_sessions()
    for name in sorted(only_forms):
        path = address(name, adas)
        # A page that was shown there (a second question, a form with errors) names no other.
        shown_there = ada.client.post(path, headers={"Referer": SITE + path})
        by_hand = ada.client.get(path)
        partial = ada.client.post(
            path, headers={"HX-Request": "true", "HX-Current-URL": SITE + path}
        )
        for where in (shown_there["Location"], by_hand["Location"], partial["HX-Redirect"]):
            assert can_be_opened(next_of(where)), (name, where)


def test_what_was_not_done_is_said_before_and_after_signing_in(ada: Person) -> None:
    adas = estate(ada)
    end_sessions()
    path = f"/mailboxes/{adas.mailboxes[0].pk}/"
    answer = ada.client.post(f"{path}suspend/", headers={"Referer": SITE + path}, follow=True)
    assert "You were signed out" in answer.content.decode()
    adas.mailboxes[0].refresh_from_db()
    assert adas.mailboxes[0].status == "active"
    shown = sign_in_again(ada)
    assert UNDONE in shown
    assert "data-undone" in shown
    assert UNDONE not in ada.client.get("/overview/").content.decode()


def test_only_looking_says_nothing_about_what_was_not_done(ada: Person) -> None:
    end_sessions()
    assert next_of(ada.client.get("/jobs/?page=2")["Location"]) == "/jobs/?page=2"
    assert UNDONE not in sign_in_again(ada)


def test_a_live_part_leads_the_whole_page_to_the_sign_in(ada: Person) -> None:
    adas = estate(ada)
    end_sessions()
    live = {"HX-Request": "true", "HX-Current-URL": f"{SITE}/credentials/?page=2"}
    answer = ada.client.post(f"/credentials/{adas.credential_id}/test/", headers=live)
    assert not answer.content
    assert next_of(answer["HX-Redirect"]) == "/credentials/?page=2"
    elsewhere = {"HX-Request": "true", "HX-Current-URL": "https://evil.test/overview/"}
    answer = ada.client.get("/jobs/", headers=elsewhere)
    assert next_of(answer["HX-Redirect"]) == "/jobs/"


@pytest.mark.parametrize(
    "referer",
    [
        "https://evil.test/mailboxes/",
        "//evil.test/",
        "x",
        "",
        # A path of ours that a browser takes for another site, where it stands alone.
        f"{SITE}//evil.test/mailboxes/",
        f"{SITE}/\\evil.test/mailboxes/",
    ],
)
def test_pages_of_others_are_not_come_back_to(ada: Person, referer: str) -> None:
    adas = estate(ada)
    end_sessions()
    path = f"/mailboxes/{adas.mailboxes[0].pk}/suspend/"
    answer = ada.client.post(path, {"next": referer}, headers={"Referer": referer})
    assert next_of(answer["Location"]) == "/mailboxes/"
    live = {"HX-Request": "true", "HX-Current-URL": referer}
    assert next_of(ada.client.post(path, headers=live)["HX-Redirect"]) == "/mailboxes/"


def test_an_error_leads_to_no_other_site(ada: Person) -> None:
    referer = {"Referer": f"{SITE}//evil.test/mailboxes/"}
    page = ada.client.post("/nothing/here/", headers=referer).content.decode()
    assert "evil.test" not in page


def test_a_form_from_before_the_last_sign_in_leads_back_to_its_page(ada: Person) -> None:
    estate(ada)
    careful = Client(enforce_csrf_checks=True)
    refused = careful.post("/mailboxes/bulk/", headers={"Referer": f"{SITE}/mailboxes/"})
    assert next_of(refused["Location"]) == "/mailboxes/"
    careful.cookies.load(ada.client.cookies.output(header="", sep=";"))
    refused = careful.post("/mailboxes/bulk/", headers={"Referer": f"{SITE}/mailboxes/?page=3"})
    assert refused.status_code == 403
    assert 'href="/mailboxes/?page=3">Back to the page' in refused.content.decode()


def shell_of(answer: Any) -> bool:
    return 'id="sidebar"' in answer.content.decode()


def test_errors_keep_the_frame_and_lead_on(ada: Person, bo: Person) -> None:
    adas = estate(ada)
    gone = ada.client.get(address("mailbox-detail", None))
    no_such = ada.client.get("/nothing/here/")
    only_form = ada.client.get("/mailboxes/bulk/")
    unreadable = ada.client.get("/jobs/?q=%00")
    refused = bo.client.post(f"/mailboxes/{adas.mailboxes[0].pk}/suspend/")
    hidden = bo.client.get("/settings/audit/")
    for answer, status, onward in (
        (gone, 404, "Go to Mailboxes"),
        (no_such, 404, "Go to Overview"),
        (only_form, 405, "Go to Mailboxes"),
        (unreadable, 400, "Go to Overview"),
        (refused, 403, "Go to Mailboxes"),
        (hidden, 403, "Go to Settings"),
    ):
        assert answer.status_code == status
        assert shell_of(answer), status
        assert onward in answer.content.decode(), (status, onward)
    assert only_form["Allow"] == "POST"
    visitor = Client().get("/nothing/here/")
    assert visitor.status_code == 404
    assert not shell_of(visitor)


def test_a_form_that_is_too_large_keeps_the_frame(ada: Person, settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    came_from = {"Referer": f"{SITE}/setup/"}
    answer = ada.client.post("/setup/", {"domain": "x" * 200}, headers=came_from)
    assert answer.status_code == 413
    assert shell_of(answer)
    assert 'href="/setup/">Back to the page' in answer.content.decode()


def test_a_bug_keeps_the_frame_and_names_the_request(ada: Person) -> None:
    estate(ada)
    ada.client.get("/overview/")
    Account.objects.update(plan="a plan that was dropped")
    ada.client.raise_request_exception = False
    answer = ada.client.get("/overview/")
    assert answer.status_code == 500
    assert shell_of(answer)
    assert answer["X-Request-ID"] in answer.content.decode()
    assert 'href="/overview/">Try again' in answer.content.decode()


def test_an_error_page_needs_no_database(ada: Person) -> None:
    def away(*args: object) -> None:
        raise OperationalError("the server closed the connection")

    request = ada.client.get("/jobs/").wsgi_request
    with connection.execute_wrapper(away):
        for status in (500, 503):
            answer = error_page(request, status=status, message=Unavailable().message)
            assert answer.status_code == status
            assert not shell_of(answer)
            assert 'href="/jobs/">Try again' in answer.content.decode()


def test_a_full_plan_and_an_ended_trial_lead_to_what_to_do(
    ada: Person, settings: LazySettings
) -> None:
    settings.SUPPORT_CONTACT = "sales@host.test"
    for number in range(PLANS[TRIAL].domains or 0):
        estate(ada, f"d{number}.test")
    assert "Your plan is full" in ada.client.get("/settings/plan/").content.decode()
    Account.objects.update(trial_ends_at=timezone.now())
    page = ada.client.get("/settings/plan/").content.decode()
    assert "Your trial has ended" in page
    assert 'href="mailto:sales@host.test"' in page
    assert "Trial over" in page
    settings.SUPPORT_CONTACT = ""
    assert "Ask the host of this panel" in ada.client.get("/settings/plan/").content.decode()


FORMS_THAT_ADD = (
    "/setup/",
    "/setup/{domain}/inboxes/?add=1",
    "/mailboxes/new/",
    "/mailboxes/import/",
)


@pytest.mark.parametrize("path", FORMS_THAT_ADD)
def test_forms_that_add_say_first_that_the_plan_allows_no_more(ada: Person, path: str) -> None:
    first = estate(ada).domain

    def page() -> str:
        return ada.client.get(path.format(domain=first.pk)).content.decode()

    assert "Your plan is full" not in page()
    inboxes = PLANS[TRIAL].inboxes or 0
    for number in range(PLANS[TRIAL].domains or 0):
        estate(ada, f"d{number}.test", inboxes=inboxes // (PLANS[TRIAL].domains or 1))
    assert 'href="/settings/plan/">See your plan' in page()
    Account.objects.update(trial_ends_at=timezone.now())
    assert 'href="/settings/plan/">See what you can do' in page()
    assert "Your plan is full" not in page()


@pytest.mark.parametrize("error", [LimitExceeded("Full."), TrialExpired()])
def test_errors_about_the_plan_lead_to_its_page(ada: Person, error: MPanelError) -> None:
    request = ada.client.get("/jobs/").wsgi_request
    answer = ErrorPageMiddleware(lambda _: HttpResponse()).process_exception(request, error)
    assert answer is not None
    page = answer.content.decode()
    assert error.title in page
    assert error.message.removeprefix(f"{error.title}. ") in page
    assert 'href="/settings/plan/">See what you can do' in page


def test_the_front_pages_button_leads_to_the_setup(db: None) -> None:
    front = Client().get("/")
    assert 'href="/sign-in/?next=/setup/"' in front.content.decode()


def test_error_pages_say_each_thing_once_and_what_to_do(ada: Person) -> None:
    request = ada.client.get("/jobs/").wsgi_request
    waits = ErrorPageMiddleware(lambda _: HttpResponse()).process_exception(
        request, TooManyRequests()
    )
    assert waits is not None
    page = waits.content.decode()
    assert page.count("Too many tries") == 2  # the window's title, and the heading
    assert "Please wait a little." in page
    assert 'href="/jobs/">Try again' in page
    assert "reload the page" in ada.client.get("/jobs/?q=%00").content.decode()
    refused = forbidden(request, PermissionDenied()).content.decode()
    assert "Ask an owner or admin" in refused
    visitor = forbidden(Client().get("/sign-in/").wsgi_request, PermissionDenied())
    assert "Sign in as somebody who may" in visitor.content.decode()
