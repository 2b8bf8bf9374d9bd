"""Mailboxes that were deleted: the outside thing goes first, then the row's secrets.

An app above may prepend a state (`provisioning.desired.prepend`): what must happen while the logins
are still there.
"""

import itertools
from dataclasses import dataclass

from django.utils import timezone

from mailboxes import services
from mailboxes.models import Mailbox
from mailboxes.states.provisioning import verify_logins
from mailboxes.states.remote import Result, bring_about, note, observed, raise_troubles
from mailboxes.vendors import mail_provider_of
from mailservers.providers.base import MailProvider
from mpanel.core.errors import ProviderError
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import progress

FORGOTTEN_AT_ONCE = 50  # in one transaction


@dataclass(frozen=True)
class Removal:
    """Mailboxes that are to go."""

    job: Job
    mailboxes: tuple[Mailbox, ...]


class MailboxesAbsent(DesiredState[Removal]):
    """The mail system refuses the logins of mailboxes that were deleted; a vendor has them no more.

    Where that fails, they stay `deleting`, each with the reason, and the job can be retried.
    """

    name = "mailboxes_absent"
    label = "Close the logins"

    def observe(self, subject: Removal) -> Observation:
        if not subject.mailboxes:
            return Observation.matches("There is no login left.")
        provider = mail_provider_of(subject.mailboxes[0])
        if provider.reads_rows:
            return self._refused(subject, provider)
        return self._gone(subject, provider)

    def _refused(self, subject: Removal, provider: MailProvider) -> Observation:
        # The mail server's views leave these rows out already; whether it really refuses them is
        # asked of the server itself.
        known = [m for m in subject.mailboxes if m.password_hash]
        if not known:
            return Observation.matches("There is no login left.")
        answers = itertools.count(1)
        checks = verify_logins(known, on_result=lambda _: progress(next(answers), len(known)))
        outcomes = [check.smtp for check in checks]
        if "matches" in outcomes:
            return Observation.unknown(
                f"{outcomes.count('matches')} logins are still open.", found="open"
            )
        if "unknown" in outcomes:
            return Observation.unknown("The mail server does not answer, so nothing is certain.")
        states = observed(provider, subject.mailboxes, is_present=False)
        if still_in := sum(state.outcome == "missing" for state in states):
            return Observation.missing(f"{still_in} of them are still logged in.")
        return Observation.matches("The mail server refuses these logins.")

    def _gone(self, subject: Removal, provider: MailProvider) -> Observation:
        states = observed(provider, subject.mailboxes, is_present=False)
        outcomes = [state.outcome for state in states]
        if "unknown" in outcomes:
            return Observation.unknown(f"{provider.label} does not tell of every account.")
        # What stands there but was never ours is not ours to delete.
        if there := outcomes.count("missing"):
            total = len(outcomes)
            return Observation.missing(f"{there} of {total} accounts are still at the vendor.")
        return Observation.matches(f"{provider.label} has none of these accounts any more.")

    def apply(self, subject: Removal) -> None:
        provider = mail_provider_of(subject.mailboxes[0])
        total, done = len(subject.mailboxes), itertools.count(1)
        rows = Mailbox.objects.filter(status=Mailbox.DELETING)
        refused: list[str] = []

        def keep(mailbox: Mailbox, result: Result) -> None:
            if not note(mailbox, result, rows):
                assert not isinstance(result, ProviderError)
                rows.filter(pk=mailbox.pk).update(
                    error_code=result.code,
                    error_message=result.detail,
                    updated_at=timezone.now(),
                )
                refused.append(result.detail)
            progress(next(done), total)

        troubles = bring_about(provider, subject.mailboxes, is_present=False, on_result=keep)
        raise_troubles(troubles, total, "removed")
        if refused:
            raise ProviderError("NOT_REMOVED", refused[0], retryable=False)


class MailboxesForgotten(DesiredState[Removal]):
    """No secret of a deleted mailbox is kept; its row is, so that its address is not reused."""

    name = "mailboxes_forgotten"
    label = "Forget the passwords"

    def observe(self, subject: Removal) -> Observation:
        if subject.mailboxes:
            return Observation.missing(f"{len(subject.mailboxes)} passwords are kept.")
        return Observation.matches("No password is kept.")

    def apply(self, subject: Removal) -> None:
        done, total = 0, len(subject.mailboxes)
        for some in itertools.batched(subject.mailboxes, FORGOTTEN_AT_ONCE):
            services.forget_mailboxes(some)
            done += len(some)
            progress(done, total)


def _load_removal(job: Job) -> Removal:
    rows = Mailbox.objects.filter(
        tenant_id=job.tenant_id, pk__in=job.params["mailboxes"], status=Mailbox.DELETING
    )
    return Removal(job, tuple(rows))


register(
    Workflow(
        name="mailboxes.delete",
        label="Delete mailboxes",
        states=(MailboxesAbsent(), MailboxesForgotten()),
        load=_load_removal,
        cancellable=False,
    )
)
