"""A domain's mail is attached to Google Workspace: the whole way, over pages and workers."""

import hashlib
from uuid import uuid4

import pytest

from dnszones.models import Record
from dnszones.plans.services import apply_plan
from domains.services import DomainInUse, disconnect_domain
from mailboxes.maildomains import InboxesElsewhere, attach_mail
from mailboxes.models import Mailbox
from mailboxes.services import (
    activate_mailbox,
    change_password,
    delete_mailboxes,
    provision_mailboxes,
    suspend_mailbox,
)
from mailservers.models import MailDomain
from mpanel.core.errors import Conflict, Invalid
from provisioning.models import Job
from provisioning.services import retry_job
from tenants.services import remove_credential
from tenants.services.credentials import CredentialInUse
from tests.cast import Person
from tests.google import (
    PROVIDER,
    at_google,
    google_credential,
    google_users,
    published_for_google,
    ready_at_google,
)
from tests.sandboxes import RunningSandbox
from tests.stories import planned, verified
from tests.wizard.rows import estate
from tests.work import ended, sure, until, work_off

pytestmark = pytest.mark.django_db

NAME = "example.test"
LOOK = "/siteVerification/v1/webResource"


def newest(workflow: str) -> Job:
    found = Job.objects.filter(workflow=workflow).first()
    assert found is not None
    return found


def verification_records(sandbox: RunningSandbox) -> list[str]:
    texts = [row["content"] for row in sandbox.records(NAME) if row["type"] == "TXT"]
    return [text for text in texts if "google-site-verification=" in text]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_inboxes_from_attaching_to_disconnecting(ada: Person, sandbox: RunningSandbox) -> None:
    domain = at_google(ada, NAME, sandbox)
    assert len(verification_records(sandbox)) == 1
    batch = provision_mailboxes(ada.actor, domain.pk, count=7, convention="firstname")
    ended(newest("mailboxes.provision"))
    rows = list(batch.mailboxes.all())
    assert {row.status for row in rows} == {Mailbox.ACTIVE}, [row.error_message for row in rows]
    # Only the directory was asked, so no login was proved over IMAP, and nothing was hashed.
    assert {(row.provider, row.imap_proved_at, row.password_hash) for row in rows} == {
        (PROVIDER, None, "")
    }
    users = google_users(sandbox)
    assert set(users) == {row.address for row in rows}
    for row in rows:
        user = users[row.address]
        assert row.remote_id == user["id"]
        assert user["externalIds"][0]["value"] == str(row.pk)
        assert user["password_sha256"] == sha256(row.password())
    domain.refresh_from_db()
    assert domain.status == domain.PROVISIONED

    first = rows[0]
    suspend_mailbox(ada.actor, first.pk)
    ended(newest("mailboxes.enforce"))
    assert google_users(sandbox)[first.address]["suspended"] is True
    activate_mailbox(ada.actor, first.pk)
    made = change_password(ada.actor, first.pk).password
    until(lambda: not Job.objects.active().exists())
    user = google_users(sandbox)[first.address]
    assert (user["suspended"], user["password_sha256"]) == (False, sha256(made))
    first.refresh_from_db()
    assert not first.password_pending

    # A later mail setup leaves the record alone; disconnecting takes it away with all the rest.
    ended(sure(apply_plan, ada.actor, planned(ada, domain, platform=PROVIDER).pk))
    assert len(verification_records(sandbox)) == 1
    assert Record.objects.filter(zone__domain=domain, purpose="other").count() == 1
    with pytest.raises(DomainInUse):
        sure(disconnect_domain, ada.actor, domain.pk)
    ended(delete_mailboxes(ada.actor, [row.pk for row in rows]))
    assert google_users(sandbox) == {}
    assert {row.status for row in Mailbox.objects.all()} == {Mailbox.DELETED}
    with pytest.raises(CredentialInUse):
        remove_credential(ada.actor, google_credential(ada, sandbox).pk)
    ended(sure(disconnect_domain, ada.actor, domain.pk))
    remove_credential(ada.actor, google_credential(ada, sandbox).pk)


def test_the_wizard_attaches_and_makes_inboxes(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published_for_google(ada, NAME, sandbox)
    page = f"/setup/{domain.pk}/inboxes/"
    shown = ada.client.get(page).text
    assert "A credential is needed" in shown
    assert f'href="/credentials/add/mail/{PROVIDER}/?next={page}"' in shown
    assert "send its mail to Google Workspace" in shown
    credential = google_credential(ada, sandbox)
    assert "Attach the domain" in ada.client.get(page).text
    attach = f"/mailboxes/domains/{domain.pk}/attach/"
    given = {"provider": PROVIDER, "credential": credential.pk, "next": page}
    answer = ada.client.post(attach, given)
    assert (answer.status_code, answer["Location"]) == (302, page)
    htmx = {"HX-Request": "true"}
    for url, headers in ((page, {}), (f"{page}?part=attaching", htmx)):
        shown = ada.client.get(url, headers=headers).text
        assert "Attaching the domain" in shown
        assert "Publish the verification record" in shown
    assert "Attaching the domain" in ada.client.get(f"/mailboxes/domains/{domain.pk}/").text
    until(lambda: not MailDomain.objects.filter(status=MailDomain.PENDING).exists())
    assert ada.client.get(f"{page}?part=attaching", headers=htmx)["HX-Refresh"] == "true"
    ada.client.post(page, {"inbox_count": 2, "naming_convention": "firstname"})
    until(lambda: Mailbox.objects.filter(status=Mailbox.ACTIVE).count() == 2)
    assert "2 of 2 verified in Google" in ada.client.get(page).text
    mailbox = Mailbox.objects.first()
    assert mailbox is not None
    shown = ada.client.get(f"/mailboxes/{mailbox.pk}/").text
    assert "smtp.gmail.com" in shown
    assert "Verified in Google" in shown
    assert "Reading login" not in shown


def test_google_sees_the_record_late_and_a_revoked_key_is_told(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    credential = google_credential(ada, sandbox)
    sandbox.fault("google", "status", status=401, path="/token", times=None)

    def attach() -> MailDomain:
        return attach_mail(ada.actor, domain.pk, provider=PROVIDER, credential_id=credential.pk)

    mail = attach()
    job = ended(newest("maildomains.attach"))
    mail.refresh_from_db()
    assert (mail.status, mail.error_code) == (MailDomain.FAILED, "INSUFFICIENT_PERMISSIONS")
    assert "Make a new key" in mail.error_message
    assert mail.error_message in ada.client.get(f"/mailboxes/domains/{domain.pk}/").text
    sandbox.clear_faults()
    sandbox.fault("google", "status", status=400, path=LOOK, times=2)
    retry_job(ada.actor, job.pk)
    work_off()
    job.refresh_from_db()
    assert job.waiting_for == "Google Workspace does not see the record yet."
    assert attach().status == MailDomain.PENDING  # the same again starts nothing
    ended(job)
    mail.refresh_from_db()
    assert mail.status == MailDomain.ACTIVE
    assert len(verification_records(sandbox)) == 1
    assert Job.objects.filter(workflow="maildomains.attach").count() == 1

    # Without inboxes, it may go back to our own server.
    assert attach_mail(ada.actor, domain.pk).provider == "mailserver"


def test_what_stands_against_attaching(
    ada: Person, bo: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    theirs = estate(ada, NAME).domain
    credential = google_credential(ada, sandbox)
    with pytest.raises(InboxesElsewhere):
        attach_mail(ada.actor, theirs.pk, provider=PROVIDER, credential_id=credential.pk)
    empty = estate(ada, "empty.test", inboxes=0).domain
    with pytest.raises(Invalid, match="Add a credential"):
        attach_mail(cy.actor, estate(cy, "cy.test", inboxes=0).domain.pk, provider=PROVIDER)
    with pytest.raises(Invalid, match="mail provider"):
        attach_mail(ada.actor, empty.pk, provider=PROVIDER, credential_id=ada.credential.pk)
    with pytest.raises(Invalid, match="offered"):
        attach_mail(ada.actor, empty.pk, provider="odd")
    with pytest.raises(Invalid, match="region"):
        attach_mail(ada.actor, empty.pk, region="moon")
    assert not MailDomain.objects.exists()
    path = f"/mailboxes/domains/{empty.pk}/attach/"
    assert bo.client.post(path, {}).status_code == 403
    answer = ada.client.post(path, {"provider": PROVIDER, "credential": uuid4()}, follow=True)
    assert answer.status_code == 404
    answer = ada.client.post(path, {"provider": "odd"}, follow=True)
    assert "Choose one of the mail providers" in answer.text
    assert cy.client.post(path, {}).status_code == 404

    # Records that lead to our server do not go with inboxes at Google, nor the other way round.
    at_vendor = ready_at_google(ada, "vendor.test", sandbox)
    assert provision_mailboxes(ada.actor, at_vendor.pk, count=1, convention="firstname")
    MailDomain.objects.filter(domain=at_vendor).update(status=MailDomain.FAILED)
    with pytest.raises(Conflict):
        provision_mailboxes(ada.actor, at_vendor.pk, count=1, convention="firstname")
