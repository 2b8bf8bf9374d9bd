"""Forwarding and vacation notes: what is wanted, which a job tells the mail server."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from dnszones.plans.services import DomainNotVerified
from domains.models import Domain
from events.services import record
from mailboxes import selectors
from mailboxes.models import Alias, DeliveryRules, Mailbox
from mailboxes.services.lifecycle import ManagedElsewhere
from mailboxes.services.reveal import PROVED
from mailboxes.vendors import holds_rules, is_ours
from mailservers.configuration import MOST_REDIRECTS
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.addresses import clean_address
from mpanel.core.errors import Conflict, Forbidden, Invalid
from provisioning.services import start_job

MOST_SUBJECT, MOST_TEXT = 200, 4_000  # characters


class RulesUnavailable(Conflict):
    """This mail server runs no filters: no forwarding, no vacation notes. Please ask your host."""

    code = "RULES_UNAVAILABLE"


class CodeNeeded(Forbidden):
    """Forwarding lets somebody else read the mail, so it needs a fresh code by e-mail."""

    code = "CODE_NEEDED"


@dataclass(frozen=True, kw_only=True)
class Vacation:
    """A note to who writes. `ends_on` is the last day (UTC); None: until it is switched off."""

    subject: str
    text: str
    starts_on: date | None = None
    ends_on: date | None = None


@transaction.atomic
def set_rules(
    actor: Actor,
    mailbox_id: UUID,
    *,
    forward_to: Sequence[str] = (),
    keeps_copy: bool = True,
    vacation: Vacation | None = None,
    replaces_script: bool = False,
    asks_code: bool = False,
) -> DeliveryRules:
    """Have a mailbox forward its mail and answer with a note; nothing given ends both.

    A job tells the mail server. `replaces_script`: consent to switch off a script that the owner
    made in a mail program; without it the job fails with `DeliveryRules.OTHER_SCRIPT`. A key needs
    `mailboxes:reveal` to forward to an address that did not get the mail before, inside or outside:
    who has that mailbox reads the mail. `asks_code`: no fresh code was given, which a browser needs
    for it. Raises `CodeNeeded` then, `Invalid`, `Conflict`, `ManagedElsewhere`, `RulesUnavailable`,
    `DomainNotVerified`.
    """
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if not is_ours(mailbox):
        raise ManagedElsewhere
    if not mailbox.domain.is_verified:
        raise DomainNotVerified(f"{mailbox.domain} is not verified as yours; the rules stay.")
    if not holds_rules(mailbox):
        raise RulesUnavailable
    if mailbox.status not in PROVED:
        raise Conflict(f"This mailbox is {mailbox.status_label.lower()}; its rules stay.")
    rules, _ = DeliveryRules.objects.select_for_update().get_or_create(
        mailbox=mailbox, defaults={"tenant_id": mailbox.tenant_id}
    )
    wanted = _targets(mailbox, forward_to)
    added = [address for address in wanted if address not in rules.forward_to]
    if added:
        actor.need("mailboxes:reveal")
    _check(vacation)
    if added and asks_code:
        raise CodeNeeded
    outside = outside_of(mailbox, added)
    before = rules.forward_to
    rules.forward_to, rules.keeps_copy = wanted, keeps_copy
    rules.vacation_is_on = vacation is not None
    if vacation is not None:
        rules.vacation_subject, rules.vacation_text = vacation.subject, vacation.text
        rules.vacation_starts_on, rules.vacation_ends_on = vacation.starts_on, vacation.ends_on
    rules.is_pending, rules.error_code, rules.error_message = True, "", ""
    rules.save()
    _tell(actor, rules, before, outside)
    tell_server(actor, [mailbox], replaces_script=replaces_script)
    return rules


def tell_server(actor: Actor, mailboxes: Sequence[Mailbox], *, replaces_script: bool) -> None:
    """Have a worker bring the rules of these mailboxes of one domain to their mail server."""
    domain = mailboxes[0].domain
    many = f"{len(mailboxes)} mailboxes"
    start_job(
        actor,
        "mailboxes.rules",
        label=f"Set the rules of {mailboxes[0] if len(mailboxes) == 1 else many}"[:200],
        subject_id=domain.pk,
        subject_label=str(domain),
        params={
            "mailboxes": [str(mailbox.pk) for mailbox in mailboxes],
            "replaces_script": replaces_script,
        },
        lock=f"mailboxes:{domain.pk}",
    )


def addresses_changed(actor: Actor, mailbox: Mailbox) -> None:
    """Its aliases are others: a vacation note is for them, too."""
    rules = DeliveryRules.objects.filter(mailbox=mailbox, vacation_is_on=True, error_code="")
    if rules.update(is_pending=True, updated_at=timezone.now()):
        tell_server(actor, [mailbox], replaces_script=False)


def _targets(mailbox: Mailbox, given: Sequence[str]) -> list[str]:
    own = {mailbox.address, *mailbox.aliases.values_list("address", flat=True)}
    wanted = list(dict.fromkeys(clean_address(one, field="forward_to") for one in given))
    if len(wanted) > MOST_REDIRECTS:
        raise Invalid.field("forward_to", f"Forward to {MOST_REDIRECTS} addresses at most.")
    for address in wanted:
        if address in own:
            raise Invalid.field("forward_to", f"{address} is this mailbox itself.")
        local_part, _, name = address.rpartition("@")
        here = Domain.objects.filter(
            tenant_id=mailbox.tenant_id,
            name=name,
            verified_at__isnull=False,
            mail__provider=mailbox.provider,
        )
        if here.exists() and not _is_known(address, name):
            raise Invalid.field("forward_to", f"{local_part}@{name} does not exist.")
    return wanted


def _is_known(address: str, name: str) -> bool:
    """Whether mail for this address of a domain here arrives anywhere."""
    taken = Alias.objects.filter(address__in=[address, f"@{name}"]).exists()
    return taken or Mailbox.objects.receiving().filter(address=address).exists()


def outside_of(mailbox: Mailbox, addresses: Sequence[str]) -> list[str]:
    """Those that are not at a verified domain of the same tenant."""
    names = {address.rpartition("@")[2] for address in addresses}
    own = Domain.objects.filter(
        tenant_id=mailbox.tenant_id, name__in=names, verified_at__isnull=False
    ).values_list("name", flat=True)
    inside = set(own)
    return [one for one in addresses if one.rpartition("@")[2] not in inside]


def _check(vacation: Vacation | None) -> None:
    if vacation is None:
        return
    if not vacation.subject.strip() or not vacation.subject.isprintable():
        raise Invalid.field("vacation_subject", "Enter a subject of one line.")
    if len(vacation.subject) > MOST_SUBJECT:
        raise Invalid.field("vacation_subject", f"At most {MOST_SUBJECT} characters.")
    if not vacation.text.strip() or "\0" in vacation.text:
        raise Invalid.field("vacation_text", "Enter what the note says.")
    if len(vacation.text) > MOST_TEXT:
        raise Invalid.field("vacation_text", f"At most {MOST_TEXT:,} characters.")
    if vacation.starts_on and vacation.ends_on and vacation.ends_on < vacation.starts_on:
        raise Invalid.field("vacation_ends_on", "The last day is before the first.")


def _tell(actor: Actor, rules: DeliveryRules, before: list[str], outside: Sequence[str]) -> None:
    mailbox = rules.mailbox
    if outside:
        where = ", ".join(outside)
        sentence = f"Mail of {mailbox} is forwarded outside, to {where}."
        record(actor, "mailbox.forwarded", mailbox, sentence, changes={"outside": list(outside)})
    changes = {"forward_to": {"before": before, "after": rules.forward_to}}
    kept = "" if rules.keeps_copy or not rules.forward_to else " without a copy"
    forwards = f"forwards to {', '.join(rules.forward_to)}{kept}" if rules.forward_to else ""
    parts = [*filter(None, [forwards]), *(["answers with a vacation note"] * rules.vacation_is_on)]
    sentence = f"{mailbox} now {' and '.join(parts) or 'only keeps its mail'}."
    record(actor, "mailbox.rules_changed", mailbox, sentence, changes=changes)
