"""The settings pages: notifications, webhooks and the audit log, as people use them."""

import csv
import html
import io
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Event, Notification, WebhookDelivery, WebhookEndpoint
from events.relay import relay
from events.selectors import preferences, unread_count
from events.services import mark_all_read, record
from tests.cast import Person
from tests.events.receiver import Receiver
from tests.work import work_off

WEBHOOKS, AUDIT, NOTIFICATIONS = (
    f"/settings/{page}/" for page in ("webhooks", "audit", "notifications")
)


def text(answer: HttpResponseBase) -> str:
    return html.unescape(answer.content.decode())  # type: ignore[attr-defined]


def happen(
    person: Person, sentence: str = "It happened.", action: str = "mailboxes.proved"
) -> Event:
    event = record(person.actor, action, person.tenant, sentence)
    relay()
    return event


# --- Notifications ---------------------------------------------------------------------------


def test_the_bell_counts_what_is_unread(ada: Person, cy: Person) -> None:
    relay()
    mark_all_read(ada.actor)
    assert "bell-count" not in text(ada.client.get("/overview/"))
    happen(ada)
    happen(ada)
    assert '<span class="bell-count" aria-hidden="true">2</span>' in text(
        ada.client.get("/overview/")
    )
    assert "Notifications, 2 unread" in text(ada.client.get("/overview/"))
    happen(cy)
    assert unread_count(ada.actor) == 2


def test_notifications_are_read_one_by_one_and_at_once(ada: Person, bo: Person) -> None:
    happen(ada, "First.")
    happen(ada, "Second.")
    page = text(ada.client.get(NOTIFICATIONS))
    assert page.index("Second.") < page.index("First.")
    assert 'href="/mailboxes/"' in page
    first = Notification.objects.get(user=ada.user, text="First.")
    ada.client.post(f"{NOTIFICATIONS}read/", {"notification": str(first.pk)})
    unread = text(ada.client.get(f"{NOTIFICATIONS}?show=unread"))
    assert "Second." in unread
    assert "First." not in unread
    ada.client.post(f"{NOTIFICATIONS}read/", {"all": "yes"})
    assert "All is read" in text(ada.client.get(f"{NOTIFICATIONS}?show=unread"))
    assert unread_count(ada.actor) == 0
    assert Notification.objects.filter(user=bo.user, read_at=None).count() >= 2


def test_a_strangers_notification_is_not_marked(ada: Person, cy: Person) -> None:
    happen(ada)
    row = Notification.objects.get(user=ada.user, kind="mailboxes.proved")
    cy.client.post(f"{NOTIFICATIONS}read/", {"notification": str(row.pk)})
    row.refresh_from_db()
    assert row.read_at is None
    assert cy.client.post(f"{NOTIFICATIONS}read/", {"notification": "x"}).status_code == 400


def test_preferences_are_kept(ada: Person, bo: Person) -> None:
    path = f"{NOTIFICATIONS}preferences/"
    page = text(ada.client.get(path))
    assert "Provisioning finished, by e-mail" in page
    assert "A webhook was switched off" in page
    assert "A webhook was switched off" not in text(bo.client.get(path))
    answer = ada.client.post(path, {"dns.propagated:in_app": "on", "trial:email": "on"})
    assert answer.status_code == 302
    kept = {key: (one.in_app, one.email) for key, one in preferences(ada.actor).items()}
    assert kept["dns.propagated"] == (True, False)
    assert kept["trial"] == (False, True)
    assert kept["mailboxes.proved"] == (False, False)
    assert preferences(bo.actor)["mailboxes.proved"].email


# --- Webhooks --------------------------------------------------------------------------------


def add(person: Person, receiver: Receiver, actions: str = "mailbox.*") -> tuple[str, str]:
    """Adds a webhook on the page; its own path, and its secret as the page shows it."""
    answer = person.client.post(
        f"{WEBHOOKS}add/", {"url": receiver.url(), "actions": actions, "description": "Ours"}
    )
    found = re.search(r"<code>(whsec_[^<]+)</code>", text(answer))
    assert found
    return f"{WEBHOOKS}{WebhookEndpoint.objects.latest('pk').pk}/", found[1]


def test_a_webhook_is_added_tested_and_its_secret_shown_once(
    ada: Person, receiver: Receiver
) -> None:
    assert "No webhooks yet" in text(ada.client.get(WEBHOOKS))
    path, secret = add(ada, receiver, "mailbox.*\ndomain.ready, job.failed")
    assert WebhookEndpoint.objects.get().actions == ["mailbox.*", "domain.ready", "job.failed"]
    for page in (WEBHOOKS, path, f"{path}edit/", f"{path}secret/"):
        assert "whsec_" not in text(ada.client.get(page)), page
    ada.client.post(f"{path}test/")
    work_off()
    (taken,) = receiver.taken
    assert taken.verified(secret)["type"] == "webhook.tested"
    assert "200, " in text(ada.client.get(path))
    # The test's own delivery, with what was sent and what came back.
    delivery = WebhookDelivery.objects.get()
    page = text(ada.client.get(f"{path}deliveries/{delivery.pk}/"))
    assert taken.id in page
    assert taken.body.decode() in page
    assert "thanks" in page
    ada.client.post(f"{path}deliveries/{delivery.pk}/redeliver/")
    work_off()
    assert [one.id for one in receiver.taken] == [taken.id] * 2
    partial = ada.client.get(path, headers={"HX-Request": "true"})
    assert text(partial).lstrip().startswith('<div id="deliveries"')
    assert "Nothing was sent" not in text(ada.client.get(f"{path}?status=delivered"))
    assert "No delivery matches" in text(ada.client.get(f"{path}?status=failed"))


def test_a_webhook_is_changed_switched_off_rotated_and_deleted(
    ada: Person, receiver: Receiver
) -> None:
    path, secret = add(ada, receiver)
    form = {"url": receiver.url("/new"), "actions": "*", "description": ""}
    assert ada.client.post(f"{path}edit/", form).status_code == 302
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.url, endpoint.enabled) == (receiver.url("/new"), False)
    page = text(ada.client.get(path))
    assert f"Switched off by {ada.user.email}." in page
    assert f"{path}test/" not in page
    assert ada.client.post(f"{path}test/").status_code == 409
    ada.client.post(f"{path}edit/", {**form, "enabled": "on"})
    assert "Make a new secret" in text(ada.client.get(f"{path}secret/"))
    rotated = text(ada.client.post(f"{path}secret/"))
    assert "whsec_" in rotated
    assert secret not in rotated
    assert "Two secrets are good" in text(ada.client.get(path))
    assert "Delete “" in text(ada.client.get(f"{path}delete/"))
    assert WebhookEndpoint.objects.exists()
    ada.client.post(f"{path}delete/")
    assert not WebhookEndpoint.objects.exists()
    assert ada.client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("url", "https://user@hooks.example.com/", "Leave user and password out"),
        ("url", "ftp://hooks.example.com/", "begins with https://"),
        ("url", "", "required"),
        ("actions", "everything", "“everything” is no event"),
        ("actions", "", "required"),
    ],
)
def test_mistakes_are_said_beside_their_fields(
    ada: Person, field: str, value: str, says: str
) -> None:
    given = {"url": "https://hooks.example.com/", "actions": "*", field: value}
    answer = ada.client.post(f"{WEBHOOKS}add/", given)
    assert answer.status_code == 422
    assert says in text(answer)
    assert not WebhookEndpoint.objects.exists()


def test_the_eleventh_webhook_is_refused_on_the_page(ada: Person, receiver: Receiver) -> None:
    for _ in range(WebhookEndpoint.MOST):
        add(ada, receiver)
    answer = ada.client.post(f"{WEBHOOKS}add/", {"url": receiver.url(), "actions": "*"})
    assert answer.status_code == 422
    assert "ten webhooks" in text(answer)


def test_a_member_sees_no_tabs_of_admins(ada: Person, bo: Person) -> None:
    admins, members = (text(one.client.get("/settings/profile/")) for one in (ada, bo))
    for tab in (WEBHOOKS, AUDIT):
        assert f'<a href="{tab}"' in admins
        assert f'<a href="{tab}"' not in members
        assert bo.client.get(tab).status_code == 403
    assert f'<a href="{NOTIFICATIONS}"' in members


# --- Audit log -------------------------------------------------------------------------------


def test_the_audit_log_is_the_tenants_own_and_filtered(ada: Person, bo: Person, cy: Person) -> None:
    happen(ada, "Ada did this.", "domain.tried")
    happen(bo, "Bo did that.", "mailbox.tried")
    happen(cy, "Cy did something.", "domain.tried")
    yesterday = timezone.now() - timedelta(days=1)
    Event.objects.create(
        tenant=ada.tenant,
        actor_name="Ada",
        action="domain.tried",
        subject_type="domain",
        sentence="Done yesterday.",
        created_at=yesterday,
    )
    today, day = f"{timezone.now():%Y-%m-%d}", f"{yesterday:%Y-%m-%d}"

    def shown(query: str) -> set[str]:
        page = text(ada.client.get(f"{AUDIT}?{query}"))
        rows = ("Ada did this.", "Bo did that.", "Cy did something.", "Done yesterday.")
        return {sentence.partition(" ")[0] for sentence in rows if sentence in page}

    assert shown("") == {"Ada", "Bo", "Done"}
    assert shown("q=did+that") == {"Bo"}
    assert shown("who=bo%40") == {"Bo"}
    assert shown("action=domain.tried") == {"Ada", "Done"}
    assert shown("action=mailbox.*") == {"Bo"}
    assert shown("subject=domain") == {"Done"}
    assert shown(f"since={today}") == {"Ada", "Bo"}
    assert shown(f"until={day}") == {"Done"}
    assert shown(f"since={day}&until={today}&q=did") == {"Ada", "Bo"}
    assert shown("q=nothing+like+it") == set()
    assert "No event matches" in text(ada.client.get(f"{AUDIT}?q=nothing+like+it"))
    assert "Enter a valid date" in text(ada.client.get(f"{AUDIT}?since=soon"))
    assert bo.client.get(f"{AUDIT}csv/").status_code == 403


def rows_of(answer: HttpResponseBase) -> list[dict[str, str]]:
    assert isinstance(answer, StreamingHttpResponse)
    file = b"".join(answer).decode()
    return list(csv.DictReader(io.StringIO(file, newline="")))


def test_the_export_is_what_the_filter_shows_and_no_formula(ada: Person, cy: Person) -> None:
    happen(cy, "Not Ada's.", "domain.tried")
    for start in "=+-@\t\r＝":
        happen(ada, f"{start}HYPERLINK('x')", "domain.tried")
    happen(ada, 'Quotes " and\nlines, too.', "mailbox.tried")
    answer = ada.client.get(f"{AUDIT}csv/?action=domain.tried")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    rows = rows_of(answer)
    assert len(rows) == 7
    assert all(row["what"].startswith("'") for row in rows)
    assert {row["who"] for row in rows} == {ada.user.email}
    assert all(row["hash"] and int(row["number"]) for row in rows)
    (other,) = rows_of(ada.client.get(f"{AUDIT}csv/?action=mailbox.tried"))
    assert other["what"] == 'Quotes " and\nlines, too.'
    everything = rows_of(ada.client.get(f"{AUDIT}csv/"))
    assert len(everything) == Event.objects.filter(tenant=ada.tenant).count()


def test_the_export_asks_once_for_all(ada: Person) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as seen:
            rows_of(ada.client.get(f"{AUDIT}csv/"))
        return len(seen)

    few = cost()
    for _ in range(30):
        happen(ada)
    assert cost() == few


def test_ids_of_nobody_are_404(ada: Person, receiver: Receiver) -> None:
    path, _ = add(ada, receiver)
    assert ada.client.get(f"{path}deliveries/{uuid4()}/").status_code == 404
    assert ada.client.get(f"{WEBHOOKS}{uuid4()}/").status_code == 404
