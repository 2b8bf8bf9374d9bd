"""Forwarding and vacation notes: who may set what, on the page and over the API."""

import re
from datetime import date

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.urls import reverse

from dnszones.plans.services import DomainNotVerified
from dnszones.vendors import chosen_setup
from events.models import Event
from mailboxes import sieve
from mailboxes.models import DeliveryRules, Mailbox
from mailboxes.on_servers import are_of_others
from mailboxes.services import (
    RulesUnavailable,
    Vacation,
    create_alias,
    set_rules,
    suspend_mailbox,
)
from mailservers.vendors import house_server
from mpanel.core.errors import Invalid
from provisioning.desired import workflow_called
from provisioning.models import Job
from tenants.services import create_api_key
from tenants.services.operators import make_operator
from tests.api import Api
from tests.cast import Person
from tests.mailserver.rooms import domain_of, inbox, move_domain
from tests.work import work_off

pytestmark = pytest.mark.django_db

NOTE = Vacation(subject="Away", text="Back soon.")


@pytest.fixture
def mailbox(ada: Person, settings: LazySettings) -> Mailbox:
    settings.MAILSERVER_ADMIN_URL = "http://127.0.0.1:1"
    settings.MAILSERVER_ADMIN_KEY = "a-key-of-sixteen-signs"
    return inbox(ada, "ada@ada.test")


def test_forwarding_outside_is_told_to_the_whole_account(ada: Person, mailbox: Mailbox) -> None:
    inbox(ada, "bo@ada.test")
    set_rules(ada.actor, mailbox.pk, forward_to=["bo@ada.test"])
    assert not Event.objects.filter(action="mailbox.forwarded").exists()
    set_rules(ada.actor, mailbox.pk, forward_to=["bo@ada.test", "Ada@Example.org"])
    told = Event.objects.get(action="mailbox.forwarded")
    assert told.sentence == "Mail of ada@ada.test is forwarded outside, to ada@example.org."
    # What was there before is not told once more.
    set_rules(ada.actor, mailbox.pk, forward_to=["ada@example.org"], vacation=NOTE)
    assert Event.objects.filter(action="mailbox.forwarded").count() == 1
    rules = DeliveryRules.objects.get(mailbox=mailbox)
    assert rules.is_pending
    assert rules.forward_to == ["ada@example.org"]
    assert Job.objects.filter(workflow="mailboxes.rules").count() == 3


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"forward_to": ["ada@ada.test"]}, "forward_to"),
        ({"forward_to": ["sales@ada.test"]}, "forward_to"),
        ({"forward_to": ["nobody@ada.test"]}, "forward_to"),
        ({"forward_to": ['x"; keep; redirect "y@example.org']}, "forward_to"),
        ({"forward_to": [f"x{number}@example.org" for number in range(6)]}, "forward_to"),
        ({"vacation": Vacation(subject=" ", text="x")}, "vacation_subject"),
        ({"vacation": Vacation(subject="a\nb", text="x")}, "vacation_subject"),
        ({"vacation": Vacation(subject="a", text=" ")}, "vacation_text"),
        (
            {
                "vacation": Vacation(
                    subject="a", text="b", starts_on=date(2026, 2, 2), ends_on=date(2026, 2, 1)
                )
            },
            "vacation_ends_on",
        ),
    ],
)
def test_rules_that_cannot_be(
    ada: Person, mailbox: Mailbox, wanted: dict[str, object], field: str
) -> None:
    create_alias(ada.actor, mailbox.pk, local_part="sales")
    with pytest.raises(Invalid) as refused:
        set_rules(ada.actor, mailbox.pk, **wanted)  # type: ignore[arg-type]
    assert field in refused.value.details


def test_rules_need_a_server_that_runs_them(
    ada: Person, mailbox: Mailbox, settings: LazySettings
) -> None:
    settings.MAILSERVER_SIEVE_PORT = 0
    with pytest.raises(RulesUnavailable):
        set_rules(ada.actor, mailbox.pk, vacation=NOTE)
    url = reverse("mailbox-rules", args=[mailbox.pk])
    text = ada.client.get(url).content.decode()
    assert "This mail server runs no filters" in text
    assert "MAILSERVER_SIEVE_PORT" not in text
    # Who can switch them on reads how.
    make_operator(ada.user)
    assert "MAILSERVER_SIEVE_PORT" in ada.client.get(url).content.decode()


def test_rules_of_a_server_whose_filters_were_switched_off_meanwhile_fail_with_a_sentence(
    ada: Person, mailbox: Mailbox, settings: LazySettings
) -> None:
    set_rules(ada.actor, mailbox.pk, vacation=NOTE)
    settings.MAILSERVER_SIEVE_PORT = 0
    work_off()
    rules = DeliveryRules.objects.get(mailbox=mailbox)
    assert (rules.is_pending, rules.error_code) == (False, "RULES_UNAVAILABLE")
    assert rules.error_message.startswith("The mail server runs no filters")


def test_mail_programs_find_the_filters_where_there_are_some(
    mailbox: Mailbox, settings: LazySettings
) -> None:
    domain = mailbox.domain
    assert chosen_setup(domain, {"platform": "mailserver"}).sieve_port == 4190
    settings.MAILSERVER_SIEVE_PORT = 0
    assert chosen_setup(domain, {"platform": "mailserver"}).sieve_port == 0
    settings.MAILSERVER_SIEVE_PORT, settings.MAILSERVER_ADMIN_URL = 4190, ""
    house_server()  # its row follows the settings
    assert chosen_setup(domain, {"platform": "mailserver"}).sieve_port == 0


def test_forwarding_that_a_mail_program_set_is_shown(ada: Person, mailbox: Mailbox) -> None:
    url = reverse("mailbox-rules", args=[mailbox.pk])
    assert "Has forwarded to" not in ada.client.get(url).content.decode()
    DeliveryRules.objects.create(
        tenant=ada.tenant, mailbox=mailbox, seen_forwards=["spy@example.org"]
    )
    page = ada.client.get(url).content.decode()
    assert "Has forwarded to" in page
    assert "spy@example.org" in page


def test_what_is_typed_stays_text_in_the_script() -> None:
    text = sieve.script(
        forward_to=["o'hara@example.org"],
        keeps_copy=False,
        vacation=('"; discard; "', 'One\\\r\n"two"'),
        vacation_starts_on=date(2026, 11, 27),
        vacation_ends_on=None,
        own_addresses=["sales@ada.test"],
    )
    assert ':subject "\\"; discard; \\"" "One\\\\\n\\"two\\""' in text
    assert '"ge" "date" "2026-11-27"' in text
    assert 'redirect "o\'hara@example.org";' in text
    assert sieve.is_as_written(text)
    assert sieve.is_as_written(text.replace("\n", "\r\n"))
    assert not sieve.is_as_written(text.replace("hara", "hare"))


def test_rules_on_the_page(
    ada: Person, bo: Person, cy: Person, mailbox: Mailbox, mailoutbox: list[EmailMessage]
) -> None:
    url = reverse("mailbox-rules", args=[mailbox.pk])
    given = {
        "forward_to": "x@example.org\r\ny@example.org",
        "vacation_is_on": "on",
        "vacation_subject": "Away",
        "vacation_text": "Back soon.",
        "vacation_ends_on": "",
    }
    assert cy.client.get(url).status_code == 404
    assert cy.client.post(url, given).status_code == 404
    assert bo.client.post(url, given).status_code == 403
    assert ada.client.post(url, {**given, "forward_to": "nonsense"}).status_code == 422
    assert "Code from the e-mail" not in ada.client.get(url).content.decode()
    # Who has mail forwarded reads it: a screen that was left open is not enough.
    asked = ada.client.post(url, given)
    assert asked.status_code == 422
    assert "To forward mail, enter the code that we sent to" in asked.content.decode()
    assert "Back soon." in asked.content.decode()
    assert ada.client.post(url, {**given, "code": "000000"}).status_code == 422
    assert not DeliveryRules.objects.exclude(forward_to=[]).exists()
    work_off()
    found = re.search(r"\b(\d{6})\b", str(mailoutbox[-1].body))
    assert found is not None
    assert ada.client.post(url, {**given, "code": found[1]}).status_code == 302
    # What is forwarded already needs no other code, and a used one is none.
    assert ada.client.post(url, given).status_code == 302
    more = {**given, "forward_to": "x@example.org\r\ny@example.org\r\nz@example.org"}
    assert ada.client.post(url, {**more, "code": found[1]}).status_code == 422
    page = ada.client.get(reverse("mailbox-detail", args=[mailbox.pk])).content.decode()
    assert "x@example.org, y@example.org, without a copy here" in page
    assert "Being saved" in page
    assert "replaces_script" not in ada.client.get(url).content.decode()
    DeliveryRules.objects.update(
        is_pending=False, error_code="OTHER_SCRIPT_ACTIVE", error_message="A mail program made one."
    )
    page = ada.client.get(url).content.decode()
    assert "A mail program made one." in page
    assert "replaces_script" in page


def test_forwarding_inside_needs_the_code_too(ada: Person, mailbox: Mailbox) -> None:
    """In the browser somebody makes an inbox, whose password is shown, and has mail sent there."""
    inbox(ada, "new@ada.test")
    url = reverse("mailbox-rules", args=[mailbox.pk])
    page = ada.client.post(url, {"forward_to": "new@ada.test"})
    assert page.status_code == 422
    assert "To forward mail, enter the code" in page.content.decode()
    api, inside = f"/api/mailboxes/{mailbox.pk}/rules", {"forwardTo": ["new@ada.test"]}
    browser = ada.client.put(api, inside, content_type="application/json")
    assert (browser.status_code, browser.json()["error"]["code"]) == (403, "TOKEN_NEEDED")
    key = Api(create_api_key(ada.actor, name="x", scopes=["mailboxes:write"]).plain)
    assert key.put(api, inside).error == "SCOPE_MISSING"
    assert Api(ada.token).put(api, inside).status == 200
    # What is forwarded already stays so without one.
    assert key.put(api, {**inside, "keepsCopy": False}).status == 200


def test_rules_over_the_api(ada: Person, cy: Person, mailbox: Mailbox) -> None:
    url, mine = f"/api/mailboxes/{mailbox.pk}/rules", Api(ada.token)
    assert Api(cy.token).get(url).status == 404
    assert mine.get(url).body["status"] == "active"
    # In the browser, the page asks for a code.
    browser = ada.client.put(url, {"forwardTo": ["x@example.org"]}, content_type="application/json")
    assert (browser.status_code, browser.json()["error"]["code"]) == (403, "TOKEN_NEEDED")
    assert mine.get(url).body["forwardTo"] == []
    note = {"subject": "Away", "text": "Back soon.", "endsOn": "2026-12-31"}
    given = {"forwardTo": ["x@example.org"], "keepsCopy": False, "vacation": note}
    answer = mine.put(url, given)
    assert answer.status == 200, answer.body
    now = {**given, "vacation": {**note, "startsOn": None}, "status": "pending", "error": None}
    assert answer.body == now
    assert mine.get(url).body == now
    # Who has mail forwarded reads it.
    key = Api(create_api_key(ada.actor, name="x", scopes=["mailboxes:write"]).plain)
    assert key.put(url, {"forwardTo": ["z@example.org"]}).status == 403
    assert key.put(url, {"vacation": note}).status == 200


def test_rules_that_changed_during_their_job_stay_pending(ada: Person, mailbox: Mailbox) -> None:
    workflow = workflow_called("mailboxes.rules")
    assert workflow.on_success and workflow.on_failure
    set_rules(ada.actor, mailbox.pk, forward_to=["ada@example.org"])
    first = Job.objects.get(workflow="mailboxes.rules")
    under_way = workflow.load(first)
    rules = set_rules(ada.actor, mailbox.pk, forward_to=["ada@example.net"])
    second = Job.objects.exclude(pk=first.pk).get(workflow="mailboxes.rules")
    workflow.on_success(under_way)
    workflow.on_failure(under_way, "OTHER_SCRIPT_ACTIVE", "A mail program made one.")
    rules.refresh_from_db()
    assert (rules.is_pending, rules.error_code) == (True, "")
    workflow.on_success(workflow.load(second))
    rules.refresh_from_db()
    assert not rules.is_pending


def test_a_former_owner_sets_no_rules_for_the_new_owners_mailbox(
    ada: Person, cy: Person, mailbox: Mailbox
) -> None:
    """The server knows mailboxes by their address, which means the new owner's."""
    set_rules(ada.actor, mailbox.pk, forward_to=["ada@example.org"])
    move_domain(mailbox.domain, cy)
    with pytest.raises(DomainNotVerified):
        set_rules(ada.actor, mailbox.pk, forward_to=["eve@example.org"])
    work_off()  # nor by a job that was waiting: the server is not even asked
    rules = DeliveryRules.objects.get(mailbox=mailbox)
    assert (rules.is_pending, rules.error_code) == (False, "RULES_UNAVAILABLE")


def test_a_former_owner_ends_no_session_of_the_new_owners_mailbox(
    ada: Person, cy: Person, mailbox: Mailbox
) -> None:
    move_domain(mailbox.domain, cy)
    suspend_mailbox(ada.actor, mailbox.pk)
    work_off()
    assert Job.objects.get(workflow="mailboxes.enforce").status == Job.SUCCEEDED, "nobody was asked"


def test_a_former_owner_stands_for_nothing_at_the_new_owners_address(
    ada: Person, cy: Person
) -> None:
    """The new owner may not write as the former one's other domains."""
    before = inbox(ada, "ceo@moved.test")
    domain_of(ada, "ada.test")
    move_domain(before.domain, cy)
    inbox(cy, "ceo@moved.test")
    assert are_of_others(["ada.test"], "ceo@moved.test")
    assert not are_of_others(["moved.test"], "ceo@moved.test")
