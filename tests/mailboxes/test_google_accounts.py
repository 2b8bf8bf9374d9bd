"""Accounts at Google Workspace over the API and the queue: bad rows, failures, crashes."""

import hashlib
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from domains.models import Domain
from mailboxes.models import Mailbox
from mailboxes.services import (
    change_password,
    delete_mailboxes,
    provision_mailboxes,
    retry_mailbox,
    suspend_mailbox,
)
from mailservers.models import MailDomain
from provisioning.engine import advance
from provisioning.models import Job
from provisioning.services import retry_job
from tests.api import Api
from tests.cast import Person
from tests.crash.test_dying_anywhere import dies_everywhere
from tests.crash.whole import assert_jobs_whole
from tests.google import PROVIDER, google_does, google_users, ready_at_google
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import estate
from tests.work import ended, hurry, span, until, work_off

NAME = "acme.test"
ACCOUNTS = "/api/v1/email-accounts"
USERS = "/admin/directory/v1/users"


def account(domain: Domain, username: str = "john", **changes: Any) -> dict[str, Any]:
    wish = {"domain_id": str(domain.pk), "username": username, "provider": PROVIDER}
    return {**wish, "first_name": "John", "last_name": "Doe", **changes}


def newest(workflow: str) -> Job:
    found = Job.objects.filter(workflow=workflow).first()
    assert found is not None
    return found


def statuses() -> dict[str, str]:
    return {row.local_part: row.status for row in Mailbox.objects.all()}


def working(person: Person, domain: Domain, *custom: str) -> list[Mailbox]:
    """Accounts of these names, proved."""
    provision_mailboxes(
        person.actor, domain.pk, count=len(custom), convention="custom", custom=custom
    )
    ended(newest("mailboxes.provision"))
    rows = list(Mailbox.objects.order_by("pk"))
    assert {row.status for row in rows} == {Mailbox.ACTIVE}, [row.error_message for row in rows]
    return rows


@pytest.mark.django_db
def test_one_account_over_the_api(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), ready_at_google(ada, NAME, sandbox)
    answer = api.post(ACCOUNTS, account(domain, organization_unit="/Sales"))
    assert answer.status == 201, answer.body
    credentials = answer.body["credentials"]
    for part, host, port in (("smtp", "smtp.gmail.com", 587), ("imap", "imap.gmail.com", 993)):
        assert credentials[part] == {
            "host": host,
            "port": port,
            "username": f"john@{NAME}",
            "password": credentials["password"],
            "use_tls": True,
        }
    ended(newest("mailboxes.provision"))
    assert api.get(f"{ACCOUNTS}/{answer.body['id']}").body["status"] == "active"
    user = google_users(sandbox)[f"john@{NAME}"]
    assert user["orgUnitPath"] == "/Sales"
    assert user["password_sha256"] == hashlib.sha256(credentials["password"].encode()).hexdigest()
    said = [line.text for line in newest("mailboxes.provision").lines.all()]
    assert "Verified 1 inbox in Google's directory." in said


@pytest.mark.django_db
def test_what_the_api_refuses(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), ready_at_google(ada, NAME, sandbox)
    ours = estate(ada, "ours.test", inboxes=0).domain
    early = api.post(ACCOUNTS, account(ours))
    assert (early.status, early.error) == (409, "DOMAIN_NOT_VERIFIED")
    assert "not attached to Google Workspace" in early.body["error"]["message"]
    assert api.post(ACCOUNTS, account(domain, "a b")).error == "INVALID_USERNAME"
    unit = api.post(ACCOUNTS, account(domain, organization_unit="Sales"))
    assert list(unit.body["error"]["details"]) == ["organization_unit"]
    MailDomain.objects.update(status=MailDomain.PENDING)
    assert api.post(ACCOUNTS, account(domain)).error == "DOMAIN_NOT_VERIFIED"
    assert not Mailbox.objects.exists()


@pytest.mark.django_db
def test_one_bad_row_blocks_no_other_and_can_be_retried(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), ready_at_google(ada, NAME, sandbox)
    google_does(sandbox, "make", f"jane@{NAME}")
    rows = [account(domain, name) for name in ("john", "jane", "jim")]
    answer = api.post(f"{ACCOUNTS}/batch", {"accounts": [*rows, account(domain, "not valid")]})
    assert answer.body["summary"] == {"total": 4, "successful": 3, "failed": 1}
    until(lambda: not Job.objects.active().exists())
    assert statuses() == {"john": "active", "jane": "failed", "jim": "active"}
    jane = Mailbox.objects.get(local_part="jane")
    shown = api.get(f"{ACCOUNTS}/{jane.pk}").body
    assert shown["error_code"] == "USER_ALREADY_EXISTS"
    assert "Choose another name" in shown["error_message"]
    google_does(sandbox, "delete", f"jane@{NAME}")
    google_does(sandbox, "purge", f"jane@{NAME}")
    retry_mailbox(ada.actor, jane.pk)
    until(lambda: not Job.objects.active().exists())
    assert set(statuses().values()) == {"active"}
    assert len(google_users(sandbox)) == 3


@pytest.mark.django_db
def test_seats_run_out_in_the_middle_of_a_batch(ada: Person, sandbox: RunningSandbox) -> None:
    domain = ready_at_google(ada, NAME, sandbox)
    sandbox.control("POST", "google", {"seats": 3})
    batch = provision_mailboxes(ada.actor, domain.pk, count=5, convention="firstname")
    job = ended(newest("mailboxes.provision"))
    assert (job.status, job.error_code) == (Job.FAILED, "SOME_FAILED")
    failed = batch.mailboxes.filter(status=Mailbox.FAILED)
    assert {row.error_code for row in failed} == {"QUOTA_EXCEEDED"}
    assert (failed.count(), len(google_users(sandbox))) == (2, 3)
    domain.refresh_from_db()
    assert domain.status == Domain.PROVISIONED  # three of them work
    sandbox.control("POST", "google", {"seats": 0})
    retry_job(ada.actor, job.pk)
    assert ended(job).status == Job.SUCCEEDED
    assert len(google_users(sandbox)) == 5


@pytest.mark.django_db
def test_what_google_cannot_do_now_is_done_later(ada: Person, sandbox: RunningSandbox) -> None:
    domain = ready_at_google(ada, NAME, sandbox)
    sandbox.fault("google", "rate_limit", method="POST", path=USERS, times=1)
    sandbox.fault("google", "status", status=503, method="POST", path=USERS, times=1)
    provision_mailboxes(ada.actor, domain.pk, count=4, convention="firstname")
    with span() as run:
        work_off()
    job = newest("mailboxes.provision")
    assert job.status == Job.WAITING
    assert "could not be made yet" in job.waiting_for
    assert run.waits(job.run_at, least=10, most=15)  # Google asked for ten
    assert set(statuses().values()) == {"provisioning"}  # unknown is not missing
    sandbox.control("POST", "google", {"mailbox_delay": 60})
    hurry()
    job.refresh_from_db()
    assert "still setting up" in job.waiting_for
    assert len(google_users(sandbox)) == 4
    sandbox.control("POST", "google", {"mailbox_delay": 0})
    assert ended(job).status == Job.SUCCEEDED
    assert sandbox.request_count("google", "POST", USERS, 200) == 4
    step = job.steps.get(name="accounts_as_wanted")
    assert (step.done, step.total) == (4, 4)


@pytest.mark.django_db
def test_a_key_that_was_revoked_half_way(ada: Person, sandbox: RunningSandbox) -> None:
    domain = ready_at_google(ada, NAME, sandbox)
    sandbox.fault("google", "status", status=401, times=None)
    provision_mailboxes(ada.actor, domain.pk, count=2, convention="firstname")
    job = ended(newest("mailboxes.provision"))
    assert (job.status, job.error_code) == (Job.FAILED, "INSUFFICIENT_PERMISSIONS")
    assert {row.error_code for row in Mailbox.objects.all()} == {"INSUFFICIENT_PERMISSIONS"}
    assert set(statuses().values()) == {"failed"}


@pytest.mark.django_db
def test_changes_that_google_refuses_are_told(ada: Person, sandbox: RunningSandbox) -> None:
    domain = ready_at_google(ada, NAME, sandbox)
    john, jane = working(ada, domain, "john", "jane")
    google_does(sandbox, "delete", jane.address)
    for mailbox in (john, jane):
        suspend_mailbox(ada.actor, mailbox.pk)
    until(lambda: not Job.objects.active().exists())
    assert google_users(sandbox)[john.address]["suspended"] is True
    job = Job.objects.get(workflow="mailboxes.enforce", status=Job.FAILED)
    assert "gone at Google" in job.error_message
    jane.refresh_from_db()
    assert (jane.status, jane.error_message) == ("suspended", "This account is gone at Google.")

    sandbox.fault("google", "drop_before", method="PATCH", times=2)
    made = change_password(ada.actor, john.pk).password
    work_off()
    pending = Mailbox.objects.filter(password_pending=True)
    assert [mailbox.pk for mailbox in pending] == [john.pk]
    until(lambda: not Job.objects.active().exists())
    assert not pending.all().exists()
    user = google_users(sandbox)[john.address]
    assert user["password_sha256"] == hashlib.sha256(made.encode()).hexdigest()


@pytest.mark.django_db
def test_a_deletion_that_fails_keeps_the_row_with_the_reason(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = ready_at_google(ada, NAME, sandbox)
    john, jane = working(ada, domain, "john", "jane")
    sandbox.fault("google", "status", status=403, method="DELETE", times=None)
    job = ended(delete_mailboxes(ada.actor, [john.pk, jane.pk]))
    assert job.status == Job.FAILED
    for mailbox in (john, jane):
        mailbox.refresh_from_db()
        assert (mailbox.status, mailbox.error_code) == ("deleting", "INSUFFICIENT_PERMISSIONS")
        assert mailbox.password()  # nothing of it is forgotten
    sandbox.clear_faults()
    google_does(sandbox, "delete", john.address)  # behind our back: just as well
    retry_job(ada.actor, job.pk)
    assert ended(job).status == Job.SUCCEEDED
    assert set(statuses().values()) == {"deleted"}
    assert google_users(sandbox) == {}


@pytest.mark.django_db(transaction=True)
def test_runners_die_before_every_statement(ada: Person, sandbox: RunningSandbox) -> None:
    domain = ready_at_google(ada, NAME, sandbox)
    batch = provision_mailboxes(ada.actor, domain.pk, count=2, convention="firstname")
    assert dies_everywhere(newest("mailboxes.provision")) > 10
    rows = list(batch.mailboxes.all())
    assert {row.status for row in rows} == {Mailbox.ACTIVE}
    users = google_users(sandbox)
    assert {row.address: row.remote_id for row in rows} == {
        address: user["id"] for address, user in users.items()
    }
    assert sandbox.request_count("google", "POST", USERS, 200) == 2
    suspend_mailbox(ada.actor, rows[0].pk)
    assert dies_everywhere(newest("mailboxes.enforce")) > 5
    assert google_users(sandbox)[rows[0].address]["suspended"] is True
    assert dies_everywhere(delete_mailboxes(ada.actor, [row.pk for row in rows])) > 5
    assert google_users(sandbox) == {}
    assert_jobs_whole()


@pytest.mark.django_db
def test_an_insert_whose_answer_never_came_is_adopted(ada: Person, sandbox: RunningSandbox) -> None:
    domain = ready_at_google(ada, NAME, sandbox)
    provision_mailboxes(ada.actor, domain.pk, count=1, convention="firstname")
    sandbox.fault("google", "drop_after_commit", method="POST", path=USERS, times=2)
    work_off()
    job = newest("mailboxes.provision")
    assert job.status == Job.WAITING
    assert Mailbox.objects.get().remote_id == ""
    assert len(google_users(sandbox)) == 1
    OrmQ.objects.all().delete()
    Job.objects.filter(pk=job.pk).update(run_at=timezone.now())
    advance(job.pk)
    job.refresh_from_db()
    assert job.status == Job.SUCCEEDED, job.waiting_for
    (user,) = google_users(sandbox).values()
    assert Mailbox.objects.get().remote_id == user["id"]
