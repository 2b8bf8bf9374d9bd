"""People are told of what concerns them, as they wish, in here and by mail."""

import copy
from datetime import timedelta
from email.utils import parseaddr
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.db.models import F
from django.utils import timezone

from billing.models import Account
from billing.selectors import get_account
from billing.services import tell_of_trial_ends
from events import services
from events.kinds import all_kinds
from events.models import Event, Notification, Preference
from events.relay import relay
from events.selectors import notifications, preferences, unread_count
from events.services import change_preferences, mark_all_read, mark_read, record, send_mails
from events.services.notifications import PreferenceChange
from mpanel.core.actor import ADMIN, system
from mpanel.core.errors import Invalid
from mpanel.settings import MAILERS
from provisioning.engine import advance
from provisioning.models import Job
from tests.cast import Person, helper_of
from tests.sandboxes import RunningSandbox, find_free_port_block
from tests.work import work_off

KIND = "mailboxes.proved"


def happen(person: Person, sentence: str = "All inboxes are proved.") -> Event:
    event = record(person.actor, KIND, person.tenant, sentence)
    relay()
    return event


def titles(person: Person) -> list[str]:
    return [row.title for row in notifications(person.actor) if row.kind != "session.started"]


def test_every_member_is_told_and_nobody_else(ada: Person, bo: Person, cy: Person) -> None:
    happen(ada)
    for person in (ada, bo):
        (row,) = notifications(person.actor, kind=KIND)
        assert (row.title, row.text) == ("Your inboxes are ready", "All inboxes are proved.")
        assert (row.link, row.read_at) == ("/mailboxes/", None)
    assert titles(cy) == []
    assert unread_count(cy.actor) == notifications(cy.actor, unread=True).count()
    # mPanel itself reads no notifications.
    assert unread_count(system(ada.actor.tenant_id)) == 0


def test_reading_is_ones_own(ada: Person, bo: Person, cy: Person) -> None:
    for _ in range(3):
        happen(ada)
    mark_all_read(cy.actor)
    rows = list(notifications(ada.actor, kind=KIND))
    unread = unread_count(ada.actor)
    for other in (bo, cy):
        assert mark_read(other.actor, [row.pk for row in rows]) == 0
    assert mark_read(ada.actor, [rows[0].pk, uuid4()]) == 1
    assert mark_read(ada.actor, [rows[0].pk]) == 0
    assert unread_count(ada.actor) == unread - 1
    assert not notifications(ada.actor, unread=True).filter(pk=rows[0].pk).exists()
    assert mark_all_read(ada.actor) == unread - 1
    assert unread_count(ada.actor) == 0
    assert notifications(bo.actor, unread=True, kind=KIND).count() == 3


def test_a_new_sign_in_is_told_to_who_signed_in_only(ada: Person, bo: Person) -> None:
    relay()
    before = notifications(ada.actor, kind="session.started").count()
    record(bo.actor, "session.started", bo.user, "Signed in.")
    relay()
    assert notifications(bo.actor, kind="session.started").count() >= 1
    assert notifications(ada.actor, kind="session.started").count() == before
    # Not by mail, unless wished for.
    assert not Notification.objects.filter(kind="session.started", by_mail=True).exists()


def test_what_is_for_admins_does_not_reach_members(ada: Person, bo: Person) -> None:
    eve = helper_of(ada, "eve", ADMIN)
    record(ada.actor, "webhook.disabled", ada.tenant, "Switched off.")
    relay()
    assert "A webhook was switched off" in titles(ada)
    assert "A webhook was switched off" in titles(eve)
    assert titles(bo) == []
    assert "webhook.disabled" not in preferences(bo.actor)


def test_who_left_is_told_nothing(ada: Person, bo: Person) -> None:
    bo.user.is_active = False
    bo.user.save(update_fields=["is_active"])
    happen(ada)
    assert titles(bo) == []


def test_wishes_are_obeyed(ada: Person, bo: Person) -> None:
    assert preferences(ada.actor)[KIND].email
    assert not preferences(ada.actor)["session.started"].email
    change_preferences(ada.actor, {KIND: PreferenceChange(email=False)})
    change_preferences(bo.actor, {KIND: PreferenceChange(in_app=False)})
    happen(ada)
    adas = Notification.objects.get(user=ada.user, kind=KIND)
    assert (adas.in_app, adas.by_mail) == (True, False)
    bos = Notification.objects.get(user=bo.user, kind=KIND)
    assert (bos.in_app, bos.by_mail) == (False, True)
    assert titles(bo) == []
    # What is not named stays as it was.
    change_preferences(ada.actor, {KIND: PreferenceChange(in_app=False)})
    wish = preferences(ada.actor)[KIND]
    assert (wish.in_app, wish.email) == (False, False)
    happen(ada)
    assert Notification.objects.filter(user=ada.user, kind=KIND).count() == 1
    assert Preference.objects.filter(user=ada.user).count() == 1
    with pytest.raises(Invalid) as caught:
        change_preferences(ada.actor, {"nothing": PreferenceChange(email=True)})
    assert "nothing" in caught.value.details


def test_every_kind_has_a_title_and_a_page(ada: Person) -> None:
    wanted = {KIND, "job.failed", "dns.propagated", "trial", "session.started", "webhook.disabled"}
    assert wanted <= set(all_kinds())
    for kind in all_kinds().values():
        for action in kind.actions:
            event = record(ada.actor, action, ada.tenant, "It happened.")
            assert kind.title_of(event)
            assert kind.link(event).startswith("/")


# --- What sets them off ----------------------------------------------------------------------


def test_a_failed_job_is_told_with_its_reason(ada: Person) -> None:
    job = Job.objects.create(
        tenant=ada.tenant,
        workflow="nobody.knows",
        label="Do what nobody knows",
        subject_id=ada.tenant.pk,
        status=Job.PENDING,
    )
    advance(job.pk)
    event = Event.objects.get(action="job.failed")
    assert event.subject_id == job.pk
    assert event.changes["code"] == "UNKNOWN_WORKFLOW"
    relay()
    (row,) = notifications(ada.actor, kind="job.failed")
    assert "Nothing here does nobody.knows." in row.text
    assert row.link == f"/jobs/{job.pk}/"


def test_a_trials_end_is_told_once_before_and_once_after(ada: Person, cy: Person) -> None:
    for person in (ada, cy):
        get_account(person.actor)
    account = Account.objects.filter(tenant=ada.tenant)

    def told() -> list[str]:
        for _ in range(2):
            tell_of_trial_ends()
        rows = Event.objects.filter(action__startswith="trial.").order_by("id")
        return [row.action for row in rows]

    assert told() == []
    account.update(trial_ends_at=timezone.now() + timedelta(days=2, minutes=1))
    assert told() == []
    account.update(trial_ends_at=timezone.now() + timedelta(days=2))
    assert told() == ["trial.ending"]
    account.update(trial_ends_at=timezone.now() - timedelta(seconds=1))
    assert told() == ["trial.ending", "trial.ended"]
    relay()
    first, second = notifications(ada.actor, kind="trial").order_by("id")
    assert (first.title, second.title) == ("Your trial ends soon", "Your trial is over")
    assert "Choose a plan" in first.text
    assert "Choose a plan" in second.text
    assert titles(cy) == []


def test_who_pays_is_told_of_no_trial(ada: Person) -> None:
    get_account(ada.actor)
    Account.objects.update(plan="starter", trial_ends_at=timezone.now() - timedelta(days=1))
    tell_of_trial_ends()
    assert not Event.objects.filter(action__startswith="trial.").exists()


# --- By mail ---------------------------------------------------------------------------------


@pytest.fixture
def mailed(settings: LazySettings, sandbox: RunningSandbox) -> RunningSandbox:
    """Mail leaves by SMTP, to the sandbox's server."""
    settings.MAILERS = MAILERS
    settings.SITE_URL = "https://panel.example.test"
    return sandbox


def test_the_mail_says_what_happened_and_how_to_stop_it(
    ada: Person, bo: Person, mailed: RunningSandbox
) -> None:
    change_preferences(bo.actor, {KIND: PreferenceChange(email=False)})
    happen(ada, "All inboxes of <b>2</b> & more are proved.")
    # The relay rang for a worker.
    work_off()
    (mail,) = mailed.mails(to=ada.user.email)
    assert mail["subject"] == "Your inboxes are ready"
    assert "All inboxes of <b>2</b> & more are proved." in mail["text"]
    assert "https://panel.example.test/mailboxes/" in mail["text"]
    assert "“Provisioning finished”" in mail["text"]
    assert "https://panel.example.test/settings/notifications/preferences/" in mail["text"]
    assert mailed.mails(to=bo.user.email) == []
    row = Notification.objects.get(user=ada.user, kind=KIND)
    assert row.mailed_at
    assert not row.mail_claimed_until
    send_mails()
    assert len(mailed.mails(to=ada.user.email)) == 1


def test_no_name_becomes_a_header(ada: Person, mailed: RunningSandbox) -> None:
    event = happen(ada)
    Notification.objects.filter(event=event).update(
        title="Ready\r\nBcc: cy@people.test\n\nand more" + "x" * 150
    )
    work_off()
    (mail,) = mailed.mails(to=ada.user.email)
    assert mail["subject"].startswith("Ready Bcc: cy@people.test and more")
    assert mailed.mails(to="cy@people.test") == []
    assert parseaddr(mail["from"])[1]


def test_a_mail_server_that_is_down_is_tried_again(
    ada: Person, mailed: RunningSandbox, settings: LazySettings
) -> None:
    down = copy.deepcopy(MAILERS)
    down["default"]["OPTIONS"]["port"] = find_free_port_block()
    settings.MAILERS = down
    happen(ada)
    send_mails()
    row = Notification.objects.get(user=ada.user, kind=KIND)
    assert (row.mailed_at, row.mail_tries) == (None, 1)
    settings.MAILERS = MAILERS
    send_mails()
    assert mailed.mails(to=ada.user.email) == []  # not before its time
    Notification.objects.update(mail_claimed_until=timezone.now() - timedelta(seconds=1))
    send_mails()
    assert len(mailed.mails(to=ada.user.email)) == 1


def test_a_sender_that_died_is_replaced_and_a_hopeless_mail_given_up(
    ada: Person, mailed: RunningSandbox
) -> None:
    happen(ada)
    mine = Notification.objects.filter(user=ada.user, kind=KIND)
    mine.update(mail_claimed_until=timezone.now() + services.notifications.HELD_FOR)
    send_mails()
    assert mailed.mails(to=ada.user.email) == []
    mine.update(mail_claimed_until=F("mail_claimed_until") - timedelta(hours=1))
    mine.update(mail_tries=Notification.MAIL_TRIES)
    send_mails()
    assert mailed.mails(to=ada.user.email) == []
    mine.update(mail_tries=1)
    send_mails()
    assert len(mailed.mails(to=ada.user.email)) == 1


def test_old_notifications_go_and_events_stay(ada: Person) -> None:
    event = happen(ada)
    Notification.objects.update(created_at=timezone.now() - timedelta(days=181))
    services.forget_old()
    assert not Notification.objects.exists()
    assert Event.objects.filter(pk=event.pk).exists()
