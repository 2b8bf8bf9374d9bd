"""New mailboxes: made at the vendor, hashed for our own servers, proved."""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from mailboxes import services
from mailboxes.models import Batch, Mailbox, MailboxQuerySet
from mailboxes.passwords import mail_hashes, proof_digest
from mailboxes.services import PROVED
from mailboxes.states.remote import Result, bring_about, note, observed, raise_troubles
from mailboxes.vendors import mail_provider_of
from mailservers.providers.base import Login, LoginCheck, MailProvider
from mailservers.vendors import provider_of_domain_id
from mpanel.core.errors import NotFound, ProviderError
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import progress, say
from provisioning.services import reset_steps

CHUNK = 50  # mailboxes written at once


def provider_of_batch(batch: Batch) -> MailProvider:
    """The provider that holds, or shall hold, the mailboxes of a batch."""
    return provider_of_domain_id(batch.domain_id)


class AccountsAsWanted(DesiredState[Batch]):
    """Every mailbox has its account at a vendor that must be told of each."""

    name = "accounts_as_wanted"
    label = "Create the accounts"

    def observe(self, subject: Batch) -> Observation:
        provider = provider_of_batch(subject)
        if provider.reads_rows:
            return Observation.matches("The mail server knows the mailboxes.")
        total = _wanted(subject).count()
        if unmade := _unmade(subject).count():
            return Observation.missing(f"{unmade} of {total} accounts are to be made.")
        lacking, unknown = _looked_at(subject, provider)
        if unknown:
            return Observation.unknown(f"{provider.label} does not tell of {unknown} accounts.")
        if lacking:
            return Observation.missing(f"{len(lacking)} of {total} accounts are not as wanted.")
        return Observation.matches(f"{provider.label} has {_accounts(total)}.")

    def apply(self, subject: Batch) -> None:
        provider = provider_of_batch(subject)
        total = _wanted(subject).count()
        left = list(_unmade(subject).order_by("pk")) or _looked_at(subject, provider)[0]
        done = itertools.count(total - len(left) + 1)
        unverified = Mailbox.objects.unverified()

        def keep(mailbox: Mailbox, result: Result) -> None:
            if not note(mailbox, result, Mailbox.objects.present()):
                assert not isinstance(result, ProviderError)
                unverified.filter(pk=mailbox.pk).update(
                    status=Mailbox.FAILED,
                    error_code=result.code,
                    error_message=result.detail,
                    updated_at=timezone.now(),
                )
            progress(next(done), total)

        troubles = bring_about(provider, left, on_result=keep)
        raise_troubles(troubles, total, "made")


def _wanted(batch: Batch) -> MailboxQuerySet:
    """The batch's mailboxes that shall have an account."""
    return batch.chosen.filter(status__in=(Mailbox.PROVISIONING, *PROVED))


def _unmade(batch: Batch) -> MailboxQuerySet:
    """Those of which we do not know yet that the vendor has them, with their present password."""
    return batch.chosen.unverified().filter(Q(remote_id="") | Q(password_pending=True))


def _looked_at(batch: Batch, provider: MailProvider) -> tuple[list[Mailbox], int]:
    """Those that the vendor does not hold as wanted, and how many nobody can tell about."""
    rows = list(_wanted(batch).order_by("pk"))
    states = observed(provider, rows)
    lacking = [
        mailbox
        for mailbox, state in zip(rows, states, strict=True)
        if state.outcome in {"missing", "conflicts"}
    ]
    return lacking, sum(state.outcome == "unknown" for state in states)


def _accounts(number: int) -> str:
    return "1 account" if number == 1 else f"{number} accounts"


class PasswordsAreHashed(DesiredState[Batch]):
    """Our own mail system knows every mailbox's password by its bcrypt hash."""

    name = "passwords_are_hashed"
    label = "Set the passwords"

    def observe(self, subject: Batch) -> Observation:
        provider = provider_of_batch(subject)
        if not provider.is_ours:
            return Observation.matches(f"{provider.label} was told the passwords.")
        left = subject.chosen.unverified().filter(password_hash="").count()
        if left:
            return Observation.missing(f"{left} passwords are to be set.", found=str(left))
        return Observation.matches("Set the passwords on the mail server.")

    def apply(self, subject: Batch) -> None:
        total = subject.chosen.unverified().count()
        left = list(subject.chosen.unverified().filter(password_hash="").order_by("pk"))
        hashed_before = total - len(left)
        # One mailbox of a batch is proved against its bcrypt hash; the others by a digest that
        # costs nothing to check, and goes when they are proved (docs/decisions/0003). No password
        # that a person chose ever has a digest.
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
                slow = mailbox.pk == sample or subject.convention == Batch.CHOSEN
                mailbox.proof_digest = "" if slow else proof_digest(password)
            Mailbox.objects.bulk_update(
                [mailbox for mailbox, *_ in chunk], ["password_hash", "proof_digest"]
            )


class LoginsAreProved(DesiredState[Batch]):
    """Every mailbox was logged in to, or found ready by the vendor's own word."""

    name = "logins_are_proved"
    label = "Verify every login"

    def observe(self, subject: Batch) -> Observation:
        rows = subject.chosen.present()
        left = rows.unverified()
        failed = rows.filter(status=Mailbox.FAILED).count()
        proved = subject.chosen.filter(smtp_proved_at__isnull=False).count()
        number = rows.count()
        if left.exists():
            return Observation.missing(f"{left.count()} of {number} logins are not verified yet.")
        if failed:
            return Observation.conflicts(
                "SOME_FAILED",
                f"{number - failed} of {number} inboxes are ready; {failed} failed. "
                "See them in the list, and retry.",
                expected=f"{number} verified",
                found=f"{proved} verified",
            )
        inboxes = "1 inbox" if number == 1 else f"{number} inboxes"
        return Observation.matches(f"Verified {inboxes} {provider_of_batch(subject).verified_by}.")

    def apply(self, subject: Batch) -> None:
        total = subject.chosen.present().count()
        left = list(subject.chosen.unverified().order_by("pk"))
        if left:
            _verify_and_keep(left, done=total - len(left), total=total)
        silent = subject.chosen.unverified().exclude(error_message="")
        if first := silent.order_by("pk").first():
            raise ProviderError(
                "NO_ANSWER",
                f"{silent.count()} of {total} inboxes could not be verified yet. "
                f"{first.error_message}",
                retryable=True,
            )


def verify_logins(
    mailboxes: Sequence[Mailbox], *, on_result: Callable[[LoginCheck], None]
) -> list[LoginCheck]:
    """Log in to these for real, or do what their provider can be asked instead."""
    return mail_provider_of(mailboxes[0]).verify_logins(
        [Login(mailbox.address, mailbox.password()) for mailbox in mailboxes],
        on_result=on_result,
    )


def _verify_and_keep(mailboxes: Sequence[Mailbox], *, done: int, total: int) -> None:
    """Prove these, and write a chunk of checks down while the others are still being tried.

    Every answer counts as progress, so that our lease lives.
    """
    by_address = {mailbox.address: mailbox for mailbox in mailboxes}
    fresh: list[LoginCheck] = []

    def keep() -> None:
        _keep([by_address[check.email] for check in fresh], fresh)
        fresh.clear()

    def take(check: LoginCheck) -> None:
        nonlocal done
        done += 1
        fresh.append(check)
        progress(done, total)
        if len(fresh) == CHUNK:
            keep()

    verify_logins(mailboxes, on_result=take)
    keep()


@transaction.atomic
def _keep(mailboxes: list[Mailbox], checks: list[LoginCheck]) -> None:
    now = timezone.now()
    # Whoever was suspended or deleted meanwhile is left alone.
    rows = Mailbox.objects.unverified()
    for imap_at, proved in _proved(mailboxes, checks, now).items():
        rows.filter(pk__in=proved).update(
            status=Mailbox.ACTIVE,
            proof_digest="",
            error_code="",
            error_message="",
            smtp_proved_at=now,
            imap_proved_at=imap_at,
            updated_at=now,
        )
    for mailbox, check in zip(mailboxes, checks, strict=True):
        if check.outcome == "missing":
            rows.filter(pk=mailbox.pk).update(
                status=Mailbox.FAILED,
                error_code="LOGIN_REFUSED",
                error_message=check.detail,
                updated_at=now,
            )
            say(f"{mailbox}: {check.detail}", level="error")
        elif check.outcome == "unknown":
            rows.filter(pk=mailbox.pk).update(
                error_code="NO_ANSWER", error_message=check.detail, updated_at=now
            )


def _proved(
    mailboxes: list[Mailbox], checks: list[LoginCheck], now: datetime
) -> dict[datetime | None, list[UUID]]:
    """The ids of those that were proved, by when their IMAP was: None where it was not tried."""
    found: dict[datetime | None, list[UUID]] = {}
    for mailbox, check in zip(mailboxes, checks, strict=True):
        if check.outcome == "matches":
            found.setdefault(now if check.imap else None, []).append(mailbox.pk)
    return found


def _load_batch(job: Job) -> Batch:
    batch = Batch.objects.select_related("domain").filter(
        pk=job.subject_id, tenant_id=job.tenant_id
    )
    if found := batch.first():
        found.only, found.job_id = tuple(job.params.get("mailboxes", ())), job.pk
        return found
    raise NotFound("The batch of mailboxes was removed meanwhile.")


def _open_again(batch: Batch) -> None:
    """Whoever retries the whole job wants every failed mailbox made and proved again."""
    assert batch.job_id is not None
    reset_steps(batch.job_id, AccountsAsWanted.name)
    failed = batch.chosen.filter(status=Mailbox.FAILED)
    failed.update(
        status=Mailbox.PROVISIONING, error_code="", error_message="", updated_at=timezone.now()
    )


register(
    Workflow(
        name="mailboxes.provision",
        label="Provision inboxes",
        states=(AccountsAsWanted(), PasswordsAreHashed(), LoginsAreProved()),
        load=_load_batch,
        on_success=services.count_as_provisioned,
        on_failure=services.give_up_unverified,
        on_cancel=lambda batch: services.give_up_unverified(
            batch, "CANCELLED", "Cancelled before its login was verified."
        ),
        on_retry=_open_again,
    )
)
