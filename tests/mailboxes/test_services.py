"""Provisioning, proving, revealing, suspending and deleting mailboxes."""

import smtplib
import ssl
import threading

import pytest
from django.db import connection
from django.utils import timezone

from billing.models import Account
from billing.services import TrialExpired
from domains.models import Domain
from events.models import Event
from mailboxes import services
from mailboxes.models import Batch, Mailbox
from mailboxes.naming import CONVENTIONS
from mailboxes.selectors import BatchNotFound, MailboxNotFound
from mailboxes.services import preview_addresses, provision_mailboxes
from mpanel.core.errors import Conflict, Forbidden, Invalid, LimitExceeded, MPanelError
from provisioning.models import Job, JobLog
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import estate
from tests.work import ended, until, work_off


def ready_domain(person: Person, name: str = "example.test") -> Domain:
    domain = estate(person, name, inboxes=0).domain
    Domain.objects.filter(pk=domain.pk).update(status=Domain.READY, proof_written_at=timezone.now())
    domain.refresh_from_db()
    return domain


def can_log_in(sandbox: RunningSandbox, address: str, password: str) -> bool:
    """Whether the mail server takes this login, over STARTTLS as any mail program."""
    trust = ssl.create_default_context(cafile=str(sandbox.ca_file))
    with smtplib.SMTP("localhost", sandbox.submission_port, timeout=60) as session:
        session.starttls(context=trust)
        try:
            session.login(address, password)
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code != 535
        return True


def proved(person: Person, domain: Domain, count: int) -> Batch:
    batch = provision_mailboxes(person.actor, domain.pk, count=count, convention="firstname")
    until(lambda: not batch.mailboxes.unverified().exists())
    return batch


# --- What is asked for ------------------------------------------------------------------------


@pytest.mark.parametrize("convention", sorted(set(CONVENTIONS) - {"custom"}))
def test_what_the_preview_shows_is_what_is_made(ada: Person, convention: str) -> None:
    domain = ready_domain(ada)
    shown = preview_addresses(ada.actor, domain.pk, count=12, convention=convention)
    batch = provision_mailboxes(ada.actor, domain.pk, count=12, convention=convention)
    made = Mailbox.objects.filter(batch=batch).order_by("pk")
    assert [a.local_part for a in shown] == [m.local_part for m in made]
    assert len({m.address for m in made}) == 12
    # The next ones are others.
    more = preview_addresses(ada.actor, domain.pk, count=12, convention=convention)
    assert not {a.local_part for a in more} & {a.local_part for a in shown}


def test_passwords_differ_and_are_sealed(ada: Person) -> None:
    batch = provision_mailboxes(ada.actor, ready_domain(ada).pk, count=20, convention="role")
    boxes = list(batch.mailboxes.all())
    passwords = {box.password() for box in boxes}
    assert len(passwords) == 20
    assert not any(password in repr(vars(box)) for box in boxes for password in passwords)
    credential = services.Credential(boxes[0], boxes[0].password())
    assert boxes[0].password() not in repr(credential)


def test_a_domain_that_is_not_ready_gets_none(ada: Person) -> None:
    domain = ready_domain(ada)
    for status in set(Domain.STATUSES) - set(services.READY):
        Domain.objects.update(status=status)
        with pytest.raises(services.DomainNotReady) as caught:
            provision_mailboxes(ada.actor, domain.pk, count=1, convention="firstname")
        assert caught.value.status == 409
    assert not Batch.objects.filter(count=1).exists()


def test_the_trial_is_over(ada: Person) -> None:
    domain = ready_domain(ada)
    Account.objects.create(tenant=ada.tenant, trial_ends_at="2000-01-01T00:00Z")
    with pytest.raises(TrialExpired) as caught:
        provision_mailboxes(ada.actor, domain.pk, count=1, convention="firstname")
    assert caught.value.status == 403
    assert not Mailbox.objects.exists()


def test_members_and_bad_wishes_are_refused(ada: Person, bo: Person) -> None:
    domain = ready_domain(ada)
    with pytest.raises(Forbidden):
        provision_mailboxes(bo.actor, domain.pk, count=1, convention="firstname")
    for count, convention in ((0, "firstname"), (1001, "firstname"), (1, "nonsense")):
        with pytest.raises(Invalid):
            provision_mailboxes(ada.actor, domain.pk, count=count, convention=convention)
    assert not Mailbox.objects.exists()


def test_a_double_click_makes_one_batch(ada: Person) -> None:
    domain = ready_domain(ada)
    first, second = (
        provision_mailboxes(
            ada.actor, domain.pk, count=3, convention="firstname", idempotency_key="click"
        )
        for _ in range(2)
    )
    assert first.pk == second.pk
    assert Mailbox.objects.count() == 3
    assert Event.objects.filter(action="mailboxes.provisioned").count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_plans_limit_holds_in_parallel(ada: Person) -> None:
    domain = ready_domain(ada)
    provision_mailboxes(ada.actor, domain.pk, count=40, convention="firstname")
    refused: list[MPanelError] = []
    start = threading.Barrier(4)

    def provision() -> None:
        start.wait()
        try:
            provision_mailboxes(ada.actor, domain.pk, count=10, convention="firstname.lastname")
        except MPanelError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=provision) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in refused] == [LimitExceeded] * 3
    assert Mailbox.objects.count() == 50


def test_a_deleted_mailbox_makes_room_but_not_its_address(ada: Person) -> None:
    domain = ready_domain(ada)
    batch = provision_mailboxes(ada.actor, domain.pk, count=50, convention="firstname")
    with pytest.raises(LimitExceeded):
        provision_mailboxes(ada.actor, domain.pk, count=1, convention="firstname")
    gone = batch.mailboxes.all()[0]
    gone.move(Mailbox.DELETING)
    gone.move(Mailbox.DELETED)
    (one,) = preview_addresses(ada.actor, domain.pk, count=1, convention="firstname")
    assert one.local_part != gone.local_part
    provision_mailboxes(ada.actor, domain.pk, count=1, convention="firstname")


# --- Logins, for real -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_suspended_deleted_and_failed_ones_really_cannot_log_in(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = ready_domain(ada)
    batch = proved(ada, domain, 3)
    one, two, three = batch.mailboxes.all()
    password = one.password()
    assert can_log_in(sandbox, one.address, password)
    assert not can_log_in(sandbox, one.address, password + "x")
    assert not can_log_in(sandbox, two.address, password)

    services.suspend_mailbox(ada.actor, one.pk)
    services.suspend_mailbox(ada.actor, one.pk)
    assert not can_log_in(sandbox, one.address, password)
    assert Event.objects.filter(action="mailbox.suspended").count() == 1
    services.activate_mailbox(ada.actor, one.pk)
    services.activate_mailbox(ada.actor, one.pk)
    assert can_log_in(sandbox, one.address, password)

    job = ended(services.delete_mailboxes(ada.actor, [one.pk]))
    assert job.status == Job.SUCCEEDED
    assert not can_log_in(sandbox, one.address, password)
    gone = Mailbox.objects.get(pk=one.pk)
    assert (gone.status, gone.sealed_password, gone.password_hash) == (Mailbox.DELETED, "", "")
    with pytest.raises(MailboxNotFound):
        services.activate_mailbox(ada.actor, one.pk)
    taken = preview_addresses(ada.actor, domain.pk, count=40, convention="firstname")
    assert one.local_part not in {a.local_part for a in taken}
    # The neighbours go on.
    assert can_log_in(sandbox, two.address, two.password())
    lines = " ".join(JobLog.objects.values_list("text", flat=True))
    assert not any(box.password() in lines for box in (two, three))


@pytest.mark.django_db(transaction=True)
def test_a_refused_login_fails_its_row_alone_and_is_retried_alone(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = ready_domain(ada)
    sandbox.fault("smtp", "reject_auth", times=1)
    batch = proved(ada, domain, 4)
    failed = batch.mailboxes.get(status=Mailbox.FAILED)
    assert failed.error_code == "LOGIN_REFUSED"
    assert "535" in failed.error_message or "refuse" in failed.error_message
    assert batch.mailboxes.filter(status=Mailbox.ACTIVE).count() == 3
    job = Job.objects.filter(workflow="mailboxes.provision", subject_id=batch.pk).latest("pk")
    assert (job.status, job.error_code) == (Job.FAILED, "SOME_FAILED")
    domain.refresh_from_db()
    assert domain.status == Domain.PROVISIONED

    others = set(batch.mailboxes.exclude(pk=failed.pk).values_list("pk", "smtp_proved_at"))
    services.retry_mailbox(ada.actor, failed.pk)
    services.retry_mailbox(ada.actor, failed.pk)
    until(lambda: not batch.mailboxes.unverified().exists())
    failed.refresh_from_db()
    assert (failed.status, failed.error_message) == (Mailbox.ACTIVE, "")
    assert failed.smtp_proved_at
    assert set(batch.mailboxes.exclude(pk=failed.pk).values_list("pk", "smtp_proved_at")) == others
    with pytest.raises(Conflict):
        services.retry_mailbox(ada.actor, failed.pk)


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_is_silent_fails_nobody(ada: Person, sandbox: RunningSandbox) -> None:
    domain = ready_domain(ada)
    sandbox.fault("smtp", "refuse", times=None)
    batch = provision_mailboxes(ada.actor, domain.pk, count=2, convention="firstname")
    work_off()
    assert {m.status for m in batch.mailboxes.all()} == {Mailbox.PROVISIONING}
    assert {m.error_code for m in batch.mailboxes.all()} == {"NO_ANSWER"}
    with pytest.raises(services.StillProvisioning):
        services.reveal_batch(ada.actor, batch.pk)
    sandbox.clear_faults()
    until(lambda: batch.mailboxes.filter(status=Mailbox.ACTIVE).count() == 2)


# --- Revealing --------------------------------------------------------------------------------


def test_a_batch_is_revealed_once_to_one_person(ada: Person, cy: Person) -> None:
    adas = estate(ada, inboxes=3)
    from mpanel.core.actor import ADMIN
    from tests.cast import helper_of

    di = helper_of(ada, "di", ADMIN)
    found = services.reveal_batch(ada.actor, adas.batch.pk)
    assert {c.password for c in found} == {box.password() for box in adas.mailboxes}
    assert len(services.reveal_batch(ada.actor, adas.batch.pk)) == 3, "again, within ten minutes"
    with pytest.raises(services.AlreadyRevealed):
        services.reveal_batch(di.actor, adas.batch.pk)
    with pytest.raises(BatchNotFound):
        services.reveal_batch(cy.actor, adas.batch.pk)
    Batch.objects.update(revealed_at="2000-01-01T00:00Z")
    with pytest.raises(services.AlreadyRevealed):
        services.reveal_batch(ada.actor, adas.batch.pk)
    assert Event.objects.filter(action="credentials.revealed").count() == 1


def test_nothing_to_reveal_uses_nothing_up(ada: Person) -> None:
    adas = estate(ada, inboxes=2)
    Mailbox.objects.update(status=Mailbox.FAILED)
    with pytest.raises(services.NothingToReveal):
        services.reveal_batch(ada.actor, adas.batch.pk)
    Mailbox.objects.filter(pk=adas.mailboxes[0].pk).update(status=Mailbox.ACTIVE)
    assert len(services.reveal_batch(ada.actor, adas.batch.pk)) == 1


@pytest.mark.parametrize("status", [Mailbox.PROVISIONING, Mailbox.FAILED, Mailbox.DELETING])
def test_only_a_working_mailbox_is_suspended(ada: Person, status: str) -> None:
    box = estate(ada).mailboxes[0]
    Mailbox.objects.update(status=status)
    with pytest.raises(Conflict):
        services.suspend_mailbox(ada.actor, box.pk)
    with pytest.raises(Conflict):
        services.activate_mailbox(ada.actor, box.pk)
    assert Mailbox.objects.get(pk=box.pk).status == status


def test_strangers_and_mixtures_are_not_deleted(ada: Person, cy: Person) -> None:
    adas, cys = estate(ada), estate(cy, "cy.test")
    other = estate(ada, "other.test")
    with pytest.raises(MailboxNotFound):
        services.delete_mailboxes(ada.actor, [adas.mailboxes[0].pk, cys.mailboxes[0].pk])
    with pytest.raises(Invalid):
        services.delete_mailboxes(ada.actor, [adas.mailboxes[0].pk, other.mailboxes[0].pk])
    assert not Mailbox.objects.filter(status=Mailbox.DELETING).exists()
