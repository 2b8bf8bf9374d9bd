"""Changing how much mailboxes may send: limits, warm-ups, ceilings, and going on after a pause."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from deliverability.limits import MOST_A_DAY, MOST_OF_DOMAIN, Ramp, ceiling_of, limit_on, today
from deliverability.models import SendingDay
from domains.selectors import get_domain
from events.services import record, record_each
from mailboxes.models import Mailbox
from mailboxes.selectors import MailboxNotFound, get_mailbox, mailboxes
from mailservers.models import MailDomain
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.pruning import prune

MOST_AT_ONCE = 500
DAYS_KEPT = timedelta(days=400)


class NotRunning(Conflict):
    """Only mailboxes that are active can warm up."""

    code = "MAILBOX_NOT_ACTIVE"


class NoMailHere(Conflict):
    """This domain has no mail yet. Set its mail up first."""

    code = "NO_MAIL_HERE"


@transaction.atomic
def set_limit(actor: Actor, mailbox_ids: Sequence[UUID], daily_limit: int | None) -> list[Mailbox]:
    """How many recipients a day each of these may send to; None for the usual limit.

    A warm-up goes on up to the new limit. Raises `MailboxNotFound` unless all are the tenant's.
    """
    actor.require(ADMIN, "mailboxes:write")
    if daily_limit is not None and not 1 <= daily_limit <= MOST_A_DAY:
        raise Invalid.field("daily_limit", f"Choose 1 to {MOST_A_DAY:,}, or none.")
    wanted = _these(actor, mailbox_ids)
    others = [mailbox for mailbox in wanted if mailbox.daily_limit != daily_limit]
    _write(others, daily_limit=daily_limit)
    for mailbox in others:
        mailbox.daily_limit = daily_limit
    _record(actor, "mailbox.limited", others, lambda one: f"may send to {ceiling_of(one)} a day")
    return wanted


@transaction.atomic
def start_warmup(
    actor: Actor,
    mailbox_ids: Sequence[UUID],
    *,
    start: int,
    step: int,
    ceiling: int | None = None,
) -> list[Mailbox]:
    """Begin with `start` recipients today and allow `step` more each day, up to the ceiling.

    `ceiling`: the mailboxes' new limit; None to keep theirs. One that warms up begins anew.
    Raises `MailboxNotFound`, `NotRunning`, `Invalid`.
    """
    actor.require(ADMIN, "mailboxes:write")
    wanted = _these(actor, mailbox_ids)
    if ceiling is not None and not 1 <= ceiling <= MOST_A_DAY:
        raise Invalid.field("ceiling", f"Choose 1 to {MOST_A_DAY:,}.")
    lowest = ceiling or min(ceiling_of(mailbox) for mailbox in wanted)
    if not 1 <= start < lowest:
        raise Invalid.field("start", f"Begin with at least 1, and below the limit of {lowest}.")
    if not 1 <= step <= MOST_A_DAY:
        raise Invalid.field("step", "Choose at least 1 more each day.")
    if idle := [mailbox for mailbox in wanted if mailbox.status not in Mailbox.WORKING]:
        raise NotRunning(f"{idle[0]} is {idle[0].status_label.lower()}, so it cannot warm up.")
    changes = {"status": Mailbox.WARMING, "warmup_since": today()}
    changes |= {"warmup_start": start, "warmup_step": step}
    if ceiling is not None:
        changes["daily_limit"] = ceiling
    _write(wanted, among=Mailbox.WORKING, **changes)
    for mailbox in wanted:
        for name, value in changes.items():
            setattr(mailbox, name, value)
    how = f"warms up: {start} a day from today, {step} more each day, up to"
    _record(actor, "mailbox.warming", wanted, lambda one: f"{how} {ceiling_of(one)}")
    return wanted


@transaction.atomic
def change_limits(
    actor: Actor,
    mailbox_ids: Sequence[UUID],
    *,
    daily_limit: int | None,
    start: int | None = None,
    step: int | None = None,
) -> list[Mailbox]:
    """Limit and ramp at once. Without `start` and `step` there is no warm-up from now on.

    A warm-up with the same numbers goes on where it is. Raises what `start_warmup` raises.
    """
    wanted = set_limit(actor, mailbox_ids, daily_limit)
    if start is None or step is None:
        stop_warmup(actor, mailbox_ids)
        return wanted
    ramp = (Mailbox.WARMING, start, step)
    others = [one for one in wanted if (one.status, one.warmup_start, one.warmup_step) != ramp]
    if others:
        start_warmup(actor, [one.pk for one in others], start=start, step=step)
    return wanted


@transaction.atomic
def stop_warmup(actor: Actor, mailbox_ids: Sequence[UUID]) -> list[Mailbox]:
    """End the ramp: from now on the whole limit. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    warming = [one for one in _these(actor, mailbox_ids) if one.warmup_since is not None]
    _end(warming)
    _record(actor, "mailbox.warmup_stopped", warming, lambda one: "no longer warms up")
    return warming


@transaction.atomic
def set_domain_ceiling(actor: Actor, domain_id: UUID, ceiling: int | None) -> MailDomain:
    """What all mailboxes of a domain together may send to a day; None for no ceiling.

    Raises `DomainNotFound`, `NoMailHere`, `Invalid`.
    """
    actor.require(ADMIN, "mailboxes:write")
    domain = get_domain(actor, domain_id)
    if ceiling is not None and not 1 <= ceiling <= MOST_OF_DOMAIN:
        raise Invalid.field("ceiling", f"Choose 1 to {MOST_OF_DOMAIN:,}, or none.")
    mail = MailDomain.objects.filter(domain=domain).first()
    if mail is None:
        raise NoMailHere
    if mail.daily_ceiling != ceiling:
        before, mail.daily_ceiling = mail.daily_ceiling, ceiling
        mail.save(update_fields=["daily_ceiling", "updated_at"])
        allowed = f"at most {ceiling:,} recipients a day" if ceiling else "without a ceiling"
        sentence = f"All mailboxes of {domain} together may send {allowed}."
        changes = {"daily_ceiling": [before, ceiling]}
        record(actor, "domain.sending_limited", domain, sentence, changes=changes)
    return mail


@transaction.atomic
def resume_sending(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """Let a mailbox send again that was paused. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    mailbox = get_mailbox(actor, mailbox_id)
    if mailbox.paused_at is not None:
        _write([mailbox], paused_at=None, paused_reason="", resumed_on=today())
        mailbox.paused_at, mailbox.paused_reason = None, ""
        record(actor, "mailbox.resumed", mailbox, f"Resumed the sending of {mailbox}.")
    return mailbox


@transaction.atomic
def finish_warmups() -> None:
    """The sweep: a ramp that has reached its ceiling ends, and its mailbox is active."""
    warming = Mailbox.objects.filter(status=Mailbox.WARMING, warmup_since__isnull=False)
    by_tenant: dict[UUID, list[Mailbox]] = defaultdict(list)
    for mailbox in warming.defer("health", "sealed_password").iterator():
        assert mailbox.warmup_since is not None
        ramp = Ramp(mailbox.warmup_since, mailbox.warmup_start, mailbox.warmup_step)
        ceiling = ceiling_of(mailbox)
        if limit_on(today(), ceiling, ramp) == ceiling:
            by_tenant[mailbox.tenant_id].append(mailbox)
    whole = "has warmed up; it may send to its whole limit of"
    for tenant_id, found in by_tenant.items():
        _end(found)
        _record(system(tenant_id), "mailbox.warm", found, lambda one: f"{whole} {ceiling_of(one)}")


def forget_old_days() -> bool:
    """The sweep: counts are kept for thirteen months, so that a year can be compared."""
    return prune(SendingDay.objects.filter(day__lt=today() - DAYS_KEPT))


def _these(actor: Actor, mailbox_ids: Sequence[UUID]) -> list[Mailbox]:
    wanted = set(mailbox_ids)
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise Invalid.field("ids", f"Choose 1 to {MOST_AT_ONCE} mailboxes.")
    # Locked in one order for everybody: what follows is decided by what is read here.
    rows = mailboxes(actor).filter(pk__in=wanted).order_by("pk")
    found = list(rows.select_for_update(of=("self",), no_key=True))
    if len(found) != len(wanted):
        raise MailboxNotFound
    return found


def _write(found: Sequence[Mailbox], *, among: Sequence[str] = (), **changes: object) -> None:
    """Write the same to all. `among`: statuses that they must have still, else `Conflict`."""
    rows = Mailbox.objects.filter(pk__in=[mailbox.pk for mailbox in found])
    if among:
        rows = rows.filter(status__in=among)
    if rows.update(**changes, updated_at=timezone.now()) != len(found):
        raise Conflict("This was changed by somebody else just now. Please look again.")


def _end(found: Sequence[Mailbox]) -> None:
    """End ramps. One that is suspended stays so, and becomes active when it is activated."""
    rows = Mailbox.objects.filter(pk__in=[mailbox.pk for mailbox in found])
    now = timezone.now()
    rows.update(warmup_since=None, updated_at=now)
    rows.filter(status=Mailbox.WARMING).update(status=Mailbox.ACTIVE)
    for mailbox in found:
        mailbox.warmup_since = None
        if mailbox.status == Mailbox.WARMING:
            mailbox.status = Mailbox.ACTIVE


def _record(
    actor: Actor, action: str, found: Sequence[Mailbox], what: Callable[[Mailbox], str]
) -> None:
    def sentence(mailbox: Model) -> str:
        assert isinstance(mailbox, Mailbox)
        return f"{mailbox} {what(mailbox)}."

    record_each(actor, action, found, sentence)
