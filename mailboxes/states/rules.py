"""Delivery rules: the mail server runs the script that stands for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from mailboxes import sieve
from mailboxes.models import DeliveryRules, Mailbox
from mailservers.providers.base import ActiveScript, MailboxScripts
from mailservers.vendors import provider_of_domain_id
from mpanel.core.errors import ProviderError
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import say
from provisioning.selectors import jobs_about

WORKFLOW = "mailboxes.rules"


@dataclass(frozen=True)
class RulesOf:
    """Mailboxes of one domain whose rules changed; whether other scripts may be switched off."""

    domain_id: UUID
    ids: Sequence[str]
    replaces_script: bool
    job: Job

    def rows(self) -> Iterator[DeliveryRules]:
        """Those of mailboxes that still stand, with their mailboxes."""
        found = DeliveryRules.objects.filter(
            mailbox_id__in=self.ids, mailbox__domain_id=self.domain_id
        )
        present = found.exclude(mailbox__status__in=[Mailbox.DELETING, Mailbox.DELETED])
        yield from present.select_related("mailbox").order_by("pk")


class ScriptIsActive(DesiredState[RulesOf]):
    """Each mailbox's script on the mail server is the one that its rules ask for."""

    name = "script_is_active"
    label = "Update the mail server"

    def observe(self, subject: RulesOf) -> Observation:
        left = 0
        for rules in subject.rows():
            wanted, active = script_of(rules), _active(rules)
            code = "" if subject.replaces_script else stranger(active)
            if code and (wanted or code == DeliveryRules.EDITED_SCRIPT):
                return Observation.conflicts(code, _why(rules, code, active))
            left += not _is_as_wanted(wanted, active)
        if left:
            return Observation.missing(f"{left} scripts are not as wanted.")
        return Observation.matches("The mail server has the script.")

    def apply(self, subject: RulesOf) -> None:
        for rules in subject.rows():
            wanted, active = script_of(rules), _active(rules)
            if _is_as_wanted(wanted, active):
                continue
            if wanted:
                _scripts(rules).put_script(rules.mailbox.address, sieve.SCRIPT_NAME, wanted)
            else:
                _scripts(rules).drop_script(rules.mailbox.address, sieve.SCRIPT_NAME)
            say(f"{rules.mailbox}: {'set' if wanted else 'removed'} the script.")


def script_of(rules: DeliveryRules) -> str:
    """The text of the script that stands for the rules."""
    aliases = rules.mailbox.aliases.exclude(local_part="").order_by("address")
    return sieve.script(
        forward_to=rules.forward_to,
        keeps_copy=rules.keeps_copy,
        vacation=((rules.vacation_subject, rules.vacation_text) if rules.vacation_is_on else None),
        vacation_starts_on=rules.vacation_starts_on,
        vacation_ends_on=rules.vacation_ends_on,
        own_addresses=[alias.address for alias in aliases],
    )


def stranger(active: ActiveScript | None) -> str:
    """Why the active script is not ours to touch; "" where it is, or where there is none."""
    if active is None:
        return ""
    if active.name != sieve.SCRIPT_NAME:
        return DeliveryRules.OTHER_SCRIPT
    return "" if sieve.is_as_written(active.text) else DeliveryRules.EDITED_SCRIPT


def _active(rules: DeliveryRules) -> ActiveScript | None:
    return _scripts(rules).active_script(rules.mailbox.address)


def _scripts(rules: DeliveryRules) -> MailboxScripts:
    if scripts := provider_of_domain_id(rules.mailbox.domain_id).scripts:
        return scripts
    message = "The mail server runs no filters of mailboxes, or has no admin interface."
    raise ProviderError("RULES_UNAVAILABLE", message, retryable=False)


def _is_as_wanted(wanted: str, active: ActiveScript | None) -> bool:
    if not wanted:  # somebody else's may stay, since nothing of ours is asked for
        return active is None or active.name != sieve.SCRIPT_NAME
    is_ours = active is not None and active.name == sieve.SCRIPT_NAME
    return is_ours and active is not None and sieve.same(active.text, wanted)


def _why(rules: DeliveryRules, code: str, active: ActiveScript | None) -> str:
    assert active is not None
    if code == DeliveryRules.OTHER_SCRIPT:
        return (
            f"A mail program made the script {active.name!r} for {rules.mailbox}, which is active. "
            "Only one can be: agree to switch it off, or change it in the mail program."
        )
    return (
        f"The script of {rules.mailbox} was changed in a mail program. Agree to overwrite it, or "
        "save it there under another name."
    )


def _load(job: Job) -> RulesOf:
    params = job.params
    return RulesOf(job.subject_id, tuple(params["mailboxes"]), params["replaces_script"], job)


def _done(subject: RulesOf) -> None:
    _note(subject, "", "")


def _failed(subject: RulesOf, code: str, message: str) -> None:
    _note(subject, code, message)


@transaction.atomic
def _note(subject: RulesOf, code: str, message: str) -> None:
    """How the job ended, for all but those that changed since: they have a job that comes."""
    ids = [rules.pk for rules in subject.rows()]
    held = DeliveryRules.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    rows = {str(rules.mailbox_id): rules.pk for rules in held}
    later = jobs_about(subject.domain_id, WORKFLOW).active()
    later = later.filter(created_at__gt=subject.job.created_at)
    for params in later.values_list("params", flat=True):
        for mailbox_id in params["mailboxes"]:
            rows.pop(mailbox_id, None)
    DeliveryRules.objects.filter(pk__in=rows.values()).update(
        is_pending=False, error_code=code, error_message=message, updated_at=timezone.now()
    )


register(
    Workflow(
        name=WORKFLOW,
        label="Set delivery rules",
        states=(ScriptIsActive(),),
        load=_load,
        on_success=_done,
        on_failure=_failed,
        cancellable=False,
    )
)
