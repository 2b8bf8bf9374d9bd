"""Inboxes at Google Workspace, from the attached domain to the deleted account."""

import hashlib

import pytest

from mailboxes.models import Mailbox
from mailboxes.services import delete_mailboxes, provision_mailboxes
from provisioning.models import Job
from tests.cast import Person
from tests.google import PROVIDER, at_google, google_users
from tests.sandboxes import RunningSandbox
from tests.work import ended

pytestmark = pytest.mark.django_db

NAME = "example.test"


def job_of(workflow: str) -> Job:
    found = Job.objects.filter(workflow=workflow).first()
    assert found is not None
    return found


def test_inboxes_at_google_from_attaching_to_deleting(ada: Person, sandbox: RunningSandbox) -> None:
    domain = at_google(ada, NAME, sandbox)
    texts = [row["content"] for row in sandbox.records(NAME) if row["type"] == "TXT"]
    assert sum("google-site-verification=" in text for text in texts) == 1
    batch = provision_mailboxes(ada.actor, domain.pk, count=7, convention="firstname")
    ended(job_of("mailboxes.provision"))
    rows = list(batch.mailboxes.all())
    assert {row.status for row in rows} == {Mailbox.ACTIVE}, [row.error_message for row in rows]
    assert {(row.provider, row.imap_proved_at, row.password_hash) for row in rows} == {
        (PROVIDER, None, "")
    }
    users = google_users(sandbox)
    assert {row.address for row in rows} == set(users)
    for row in rows:
        user = users[row.address]
        assert row.remote_id == user["id"]
        assert user["externalIds"][0]["value"] == str(row.pk)
        assert user["password_sha256"] == hashlib.sha256(row.password().encode()).hexdigest()
    ended(delete_mailboxes(ada.actor, [row.pk for row in rows]))
    assert google_users(sandbox) == {}
    assert {row.status for row in Mailbox.objects.all()} == {Mailbox.DELETED}
