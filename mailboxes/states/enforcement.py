"""Mailboxes that were changed: the provider holds them as the rows say."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from mailboxes.models import Mailbox, MailboxQuerySet
from mailboxes.passwords import mail_hashes
from mailboxes.services import PROVED
from mailboxes.states.remote import Result, bring_about, note, observed, raise_troubles
from mailservers.providers.base import MailProvider
from mailservers.vendors import provider_of_domain_id
from mpanel.core.errors import ProviderError
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import progress


@dataclass(frozen=True)
class Selection:
    """Mailboxes of one domain that were changed."""

    domain_id: UUID
    ids: Sequence[str]

    @property
    def rows(self) -> MailboxQuerySet:
        """Those that still stand; who was deleted meanwhile has a job of its own."""
        found = Mailbox.objects.filter(pk__in=self.ids, domain_id=self.domain_id)
        return found.filter(status__in=PROVED)

    @property
    def provider(self) -> MailProvider:
        return provider_of_domain_id(self.domain_id)


class ChangedPasswordsAreHashed(DesiredState[Selection]):
    """Our own mail system knows the new passwords by their bcrypt hashes."""

    name = "passwords_are_hashed"
    label = "Set the passwords"

    def observe(self, subject: Selection) -> Observation:
        if not subject.provider.is_ours:
            return Observation.matches("The passwords are the provider's to keep.")
        if left := subject.rows.filter(password_hash="").count():
            return Observation.missing(f"{left} passwords are to be set.")
        return Observation.matches("The mail server has every password.")

    def apply(self, subject: Selection) -> None:
        left = list(subject.rows.filter(password_hash="").order_by("pk"))
        hashes = mail_hashes(
            [mailbox.password() for mailbox in left],
            settings.MAILBOX_BCRYPT_COST,
            on_progress=lambda number: progress(number, len(left)),
        )
        for mailbox, password_hash in zip(left, hashes, strict=True):
            # Only if the password was not changed again meanwhile.
            same = Mailbox.objects.filter(pk=mailbox.pk, sealed_password=mailbox.sealed_password)
            same.update(password_hash=password_hash, updated_at=timezone.now())


class MailboxesAsWanted(DesiredState[Selection]):
    """The provider lets in whom it should, with the present password, and nobody else."""

    name = "mailboxes_as_wanted"
    label = "Update the mail provider"

    def observe(self, subject: Selection) -> Observation:
        rows = list(subject.rows.order_by("pk"))
        if pending := sum(mailbox.password_pending for mailbox in rows):
            return Observation.missing(f"{pending} passwords are to be told.")
        provider = subject.provider
        states = observed(provider, rows)
        if any(state.outcome == "unknown" for state in states):
            return Observation.unknown(f"{provider.label} does not tell of every mailbox.")
        refused = [state for state in states if state.outcome == "conflicts"]
        if refused:
            return Observation.conflicts(refused[0].code or "REFUSED", refused[0].detail)
        if left := sum(state.outcome == "missing" for state in states):
            return Observation.missing(f"{left} of {len(rows)} mailboxes are not as wanted.")
        return Observation.matches(f"{provider.label} has the change.")

    def apply(self, subject: Selection) -> None:
        rows = list(subject.rows.order_by("pk"))
        done = itertools.count(1)
        refused: list[str] = []

        def keep(mailbox: Mailbox, result: Result) -> None:
            if not note(mailbox, result, Mailbox.objects.present()):
                assert not isinstance(result, ProviderError)
                Mailbox.objects.present().filter(pk=mailbox.pk).update(
                    error_code=result.code,
                    error_message=result.detail,
                    updated_at=timezone.now(),
                )
                refused.append(result.detail)
            progress(next(done), len(rows))

        troubles = bring_about(subject.provider, rows, on_result=keep)
        raise_troubles(troubles, len(rows), "changed")
        if refused:
            many = f"{len(refused)} of {len(rows)} mailboxes could not be changed. {refused[0]}"
            raise ProviderError("REFUSED", many, retryable=False)


def _load(job: Job) -> Selection:
    return Selection(job.subject_id, tuple(job.params["mailboxes"]))


register(
    Workflow(
        name="mailboxes.enforce",
        label="Update mailboxes",
        states=(ChangedPasswordsAreHashed(), MailboxesAsWanted()),
        load=_load,
        cancellable=False,
    )
)
