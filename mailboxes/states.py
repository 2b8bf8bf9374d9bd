"""What should be true of mailboxes, and the workflows that provision and delete them."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from domains.services import register_blocker, register_ready_hook
from mailboxes import services
from mailboxes.models import Batch, Mailbox
from mailboxes.passwords import mail_hashes, proof_digest
from mailboxes.providers.base import Login, Proof
from mailboxes.vendors import mail_provider_of
from mpanel.core.errors import NotFound, ProviderError
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import progress, say

CHUNK = 50  # mailboxes written at once


class PasswordsAreHashed(DesiredState[Batch]):
    """The mail system knows every mailbox's password by its bcrypt hash."""

    name = "passwords_are_hashed"
    label = "Set the passwords"

    def observe(self, subject: Batch) -> Observation:
        left = subject.chosen.unproved().filter(password_hash="").count()
        if left:
            return Observation.missing(f"{left} passwords are to be set.", found=str(left))
        return Observation.matches("Set the passwords on the mail server.")

    def apply(self, subject: Batch) -> None:
        total = subject.chosen.unproved().count()
        left = list(subject.chosen.unproved().filter(password_hash="").order_by("pk"))
        hashed_before = total - len(left)
        # One mailbox of a batch is proved against its bcrypt hash; the others by a digest that
        # costs nothing to check, and goes when they are proved (docs/decisions/0003).
        sample = subject.mailboxes.order_by("pk").values_list("pk", flat=True).first()
        passwords = [mailbox.password() for mailbox in left]
        hashes = mail_hashes(
            passwords,
            settings.MAILBOX_BCRYPT_COST,
            on_progress=lambda number: progress(hashed_before + number, total),
        )
        hashed = zip(left, passwords, hashes, strict=True)
        # The other passwords are being hashed while a chunk is written.
        for chunk in itertools.batched(hashed, CHUNK):
            for mailbox, password, password_hash in chunk:
                mailbox.password_hash = password_hash
                mailbox.proof_digest = "" if mailbox.pk == sample else proof_digest(password)
            Mailbox.objects.bulk_update(
                [mailbox for mailbox, *_ in chunk], ["password_hash", "proof_digest"]
            )


class LoginsAreProved(DesiredState[Batch]):
    """Every mailbox was logged in to, over SMTP and, where the backend has it, IMAP."""

    name = "logins_are_proved"
    label = "Prove every login"

    def observe(self, subject: Batch) -> Observation:
        rows = subject.chosen.present()
        left = rows.unproved()
        failed = rows.filter(status=Mailbox.FAILED).count()
        proved = subject.chosen.filter(smtp_proved_at__isnull=False).count()
        number = rows.count()
        if left.exists():
            return Observation.missing(f"{left.count()} of {number} logins are to be proved.")
        if failed:
            return Observation.conflicts(
                "SOME_FAILED",
                f"{number - failed} of {number} inboxes are ready; {failed} failed. "
                "See them in the list, and retry.",
                expected=f"{number} proved",
                found=f"{proved} proved",
            )
        inboxes = "1 inbox" if number == 1 else f"{number} inboxes"
        return Observation.matches(f"Proved {inboxes} by logging in.")

    def apply(self, subject: Batch) -> None:
        total = subject.chosen.present().count()
        left = list(subject.chosen.unproved().order_by("pk"))
        if left:
            _prove_and_keep(left, done=total - len(left), total=total)
        silent = subject.chosen.unproved().exclude(error_message="")
        if first := silent.order_by("pk").first():
            raise ProviderError(
                "NO_ANSWER",
                f"{silent.count()} of {total} inboxes could not be proved yet. "
                f"{first.error_message}",
                retryable=True,
            )


def _prove(mailboxes: Sequence[Mailbox], *, on_result: Callable[[Proof], None]) -> list[Proof]:
    """Log in to these for real."""
    return mail_provider_of(mailboxes[0]).prove(
        [Login(mailbox.address, mailbox.password()) for mailbox in mailboxes],
        on_result=on_result,
    )


def _prove_and_keep(mailboxes: Sequence[Mailbox], *, done: int, total: int) -> None:
    """Prove these, and write a chunk of proofs down while the others are still being tried.

    Every answer counts as progress, so that our lease lives.
    """
    by_address = {mailbox.address: mailbox for mailbox in mailboxes}
    fresh: list[Proof] = []

    def keep() -> None:
        _keep([by_address[proof.email] for proof in fresh], fresh)
        fresh.clear()

    def take(proof: Proof) -> None:
        nonlocal done
        done += 1
        fresh.append(proof)
        progress(done, total)
        if len(fresh) == CHUNK:
            keep()

    _prove(mailboxes, on_result=take)
    keep()


@transaction.atomic
def _keep(mailboxes: list[Mailbox], proofs: list[Proof]) -> None:
    now = timezone.now()
    # Whoever was suspended or deleted meanwhile is left alone.
    rows = Mailbox.objects.unproved()
    proved = [
        mailbox.pk
        for mailbox, proof in zip(mailboxes, proofs, strict=True)
        if proof.outcome == "matches"
    ]
    rows.filter(pk__in=proved).update(
        status=Mailbox.ACTIVE,
        proof_digest="",
        error_code="",
        error_message="",
        smtp_proved_at=now,
        imap_proved_at=now,
        updated_at=now,
    )
    for mailbox, proof in zip(mailboxes, proofs, strict=True):
        if proof.outcome == "missing":
            rows.filter(pk=mailbox.pk).update(
                status=Mailbox.FAILED,
                error_code="LOGIN_REFUSED",
                error_message=proof.detail,
                updated_at=now,
            )
            say(f"{mailbox}: {proof.detail}", level="error")
        elif proof.outcome == "unknown":
            rows.filter(pk=mailbox.pk).update(
                error_code="NO_ANSWER", error_message=proof.detail, updated_at=now
            )


@dataclass(frozen=True)
class Removal:
    """Mailboxes that are to go."""

    job: Job
    mailboxes: tuple[Mailbox, ...]


class MailboxesAbsent(DesiredState[Removal]):
    """The mail system refuses the logins of mailboxes that were deleted."""

    name = "mailboxes_absent"
    label = "Close the logins"

    def observe(self, subject: Removal) -> Observation:
        # The mail server's views leave these rows out already; whether it really refuses them is
        # asked of the server itself.
        known = [m for m in subject.mailboxes if m.password_hash]
        if not known:
            return Observation.matches("There is no login left.")
        answers = itertools.count(1)
        proofs = _prove(known, on_result=lambda _: progress(next(answers), len(known)))
        outcomes = [proof.smtp for proof in proofs]
        if "matches" in outcomes:
            return Observation.unknown(
                f"{outcomes.count('matches')} logins are still open.", found="open"
            )
        if "unknown" in outcomes:
            return Observation.unknown("The mail server does not answer, so nothing is certain.")
        return Observation.matches("The mail server refuses these logins.")


def _load_batch(job: Job) -> Batch:
    batch = Batch.objects.select_related("domain").filter(
        pk=job.subject_id, tenant_id=job.tenant_id
    )
    if found := batch.first():
        found.only = tuple(job.params.get("mailboxes", ()))
        return found
    raise NotFound("The batch of mailboxes was removed meanwhile.")


def _open_again(batch: Batch) -> None:
    """Whoever retries the whole job wants every failed mailbox proved again."""
    failed = batch.chosen.filter(status=Mailbox.FAILED)
    failed.update(
        status=Mailbox.PROVISIONING, error_code="", error_message="", updated_at=timezone.now()
    )


def _load_removal(job: Job) -> Removal:
    rows = Mailbox.objects.filter(
        tenant_id=job.tenant_id, pk__in=job.params["mailboxes"], status=Mailbox.DELETING
    )
    return Removal(job, tuple(rows))


register(
    Workflow(
        name="mailboxes.provision",
        label="Provision inboxes",
        states=(PasswordsAreHashed(), LoginsAreProved()),
        load=_load_batch,
        on_success=services.count_as_provisioned,
        on_failure=services.give_up_unproved,
        on_cancel=lambda batch: services.give_up_unproved(
            batch, "CANCELLED", "Cancelled before its login was proved."
        ),
        on_retry=_open_again,
    )
)
register(
    Workflow(
        name="mailboxes.delete",
        label="Delete mailboxes",
        states=(MailboxesAbsent(),),
        load=_load_removal,
        on_success=lambda removal: services.forget_mailboxes(removal.mailboxes),
        cancellable=False,
    )
)
register_blocker(services.domain_blocker)
register_ready_hook(services.has_inboxes_already)
