"""Changing mailboxes: suspended, active, their password, quota and name; and deleting them."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from domains.models import Domain
from events.services import record, record_each
from mailboxes import hooks, selectors
from mailboxes.enforcement import enforce
from mailboxes.models import Alias, Mailbox
from mailboxes.naming import name_error
from mailboxes.passwords import check_given, make_password
from mailboxes.services import roles
from mailboxes.services.reveal import PROVED, Credential
from mailboxes.vendors import is_ours
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid
from provisioning.models import Job
from provisioning.selectors import jobs
from provisioning.services import start_job

QUOTAS_MB = range(1, 102_401)  # up to 100 GB


class ManagedElsewhere(Conflict):
    """The provider of this mailbox manages this itself. Please change it there."""

    code = "MANAGED_ELSEWHERE"


@transaction.atomic
def suspend_mailbox(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """Stop login and sending, and end running sessions; mail still arrives. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if suspend(actor, mailbox):
        enforce(actor, [mailbox])
    return mailbox


@transaction.atomic
def activate_mailbox(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """Undo a suspension. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if activate(actor, mailbox):
        enforce(actor, [mailbox])
    return mailbox


@transaction.atomic
def change_password(actor: Actor, mailbox_id: UUID, *, password: str = "") -> Credential:
    """Give a mailbox this password, or a new random one, and answer it this one time.

    The old one stops at once; the new one works as soon as a worker has made its hash and told the
    provider. A key needs `mailboxes:reveal`: whoever sets a password can read the mail.
    """
    actor.require(ADMIN, "mailboxes:write")
    actor.need("mailboxes:reveal")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    credential = renew_password(actor, mailbox, password)
    enforce(actor, [mailbox])
    return credential


@transaction.atomic
def set_quota(actor: Actor, mailbox_id: UUID, *, quota_mb: int) -> Mailbox:
    """How much mail a mailbox may hold. One that holds more keeps it, and gets no more."""
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if resize(actor, mailbox, quota_mb):
        enforce(actor, [mailbox])
    return mailbox


@transaction.atomic
def change_mailbox(
    actor: Actor,
    mailbox_id: UUID,
    *,
    status: str = "",
    password: str = "",
    quota_mb: int | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
) -> Mailbox:
    """Change what is given, all of it or nothing. `status`: active or suspended."""
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    changed = rename(actor, mailbox, first_name=first_name, last_name=last_name)
    if quota_mb is not None:
        changed |= resize(actor, mailbox, quota_mb)
    if password:
        actor.need("mailboxes:reveal")
        renew_password(actor, mailbox, password)
        changed = True
    if status == Mailbox.SUSPENDED:
        changed |= suspend(actor, mailbox)
    elif status == Mailbox.ACTIVE:
        changed |= activate(actor, mailbox)
    if changed:
        enforce(actor, [mailbox])
    return mailbox


# --- One row, for single and for many; the caller has looked at the actor's rights --------------


def suspend(actor: Actor, mailbox: Mailbox) -> bool:
    """Whether anything changed."""
    if mailbox.status == Mailbox.SUSPENDED:
        return False
    mailbox.move(Mailbox.SUSPENDED)
    record(actor, "mailbox.suspended", mailbox, f"Suspended {mailbox}.")
    return True


def activate(actor: Actor, mailbox: Mailbox) -> bool:
    """Whether anything changed."""
    if mailbox.status in Mailbox.WORKING:
        return False
    if mailbox.status != Mailbox.SUSPENDED:
        raise Conflict(f"This mailbox is {mailbox.status_label.lower()}, not suspended.")
    # One whose warm-up still runs goes on with it.
    mailbox.move(Mailbox.ACTIVE if mailbox.warmup_since is None else Mailbox.WARMING)
    record(actor, "mailbox.activated", mailbox, f"Activated {mailbox}.")
    return True


def rename(
    actor: Actor, mailbox: Mailbox, *, first_name: str | None, last_name: str | None
) -> bool:
    """Whether the provider must be told. What is `None` stays; so does the address."""
    given = {"first_name": first_name, "last_name": last_name}
    changes = {name: text for name, text in given.items() if text is not None}
    for name, text in changes.items():
        if problem := name_error(text):
            raise Invalid.field(name, problem)
    if all(getattr(mailbox, name) == text for name, text in changes.items()):
        return False
    _change(mailbox, **changes)
    record(actor, "mailbox.renamed", mailbox, f"Renamed {mailbox}.", changes=changes)
    return mailbox.status in PROVED


def renew_password(actor: Actor, mailbox: Mailbox, password: str = "") -> Credential:
    """Raises `Conflict` for a mailbox that was never proved: its first password is on its way."""
    if password:
        check_given(password)
    if mailbox.status not in PROVED:
        raise Conflict(f"This mailbox is {mailbox.status_label.lower()}; its password stays.")
    mailbox.set_password(password or make_password())
    _change(
        mailbox,
        sealed_password=mailbox.sealed_password,
        password_hash="",
        proof_digest="",
        password_pending=True,
        revealed_at=timezone.now(),
    )
    record(actor, "mailbox.password_changed", mailbox, f"Changed the password of {mailbox}.")
    hooks.passwords_changed(actor, [mailbox])
    return Credential(mailbox, mailbox.password())


def resize(actor: Actor, mailbox: Mailbox, quota_mb: int) -> bool:
    """Whether the provider must be told. Raises `Invalid`, `ManagedElsewhere`."""
    if quota_mb not in QUOTAS_MB:
        raise Invalid.field("quota_mb", f"Enter 1 to {QUOTAS_MB[-1]:,} MB.")
    if not is_ours(mailbox):
        raise ManagedElsewhere
    if mailbox.status == Mailbox.DELETING:
        raise Conflict("This mailbox is being deleted.")
    before = mailbox.quota_mb
    if before == quota_mb:
        return False
    _change(mailbox, quota_mb=quota_mb)
    record(
        actor,
        "mailbox.quota_changed",
        mailbox,
        f"Changed the quota of {mailbox} from {before} to {quota_mb} MB.",
        changes={"before": before, "after": quota_mb},
    )
    return mailbox.status in PROVED


def _change(mailbox: Mailbox, **columns: object) -> None:
    """Write columns, unless somebody moved the row meanwhile."""
    rows = Mailbox.objects.filter(pk=mailbox.pk, status=mailbox.status)
    if rows.update(**columns, updated_at=timezone.now()) != 1:
        raise Conflict("This was changed by somebody else just now. Please look again.")
    for name, value in columns.items():
        setattr(mailbox, name, value)


@transaction.atomic
def delete_mailboxes(actor: Actor, mailbox_ids: Sequence[UUID]) -> Job:
    """Delete mailboxes of one domain: their logins first, the rows when those are gone.

    Twice is harmless: the job under way is answered.
    """
    actor.require(ADMIN, "mailboxes:write")
    wanted = list(selectors.mailboxes(actor).filter(pk__in=mailbox_ids))
    if not wanted or len(wanted) != len(set(mailbox_ids)):
        raise selectors.MailboxNotFound
    domains = {mailbox.domain_id: mailbox.domain for mailbox in wanted}
    if len(domains) > 1:
        raise Invalid.field("mailboxes", "Choose mailboxes of one domain.")
    (domain,) = domains.values()
    fresh = [mailbox for mailbox in wanted if mailbox.status != Mailbox.DELETING]
    if not fresh and (known := _deleting_job(actor, domain, wanted)):
        return known
    _move_to_deleting(fresh)
    record_each(actor, "mailbox.deleting", fresh, lambda mailbox: f"Asked to delete {mailbox}.")
    roles.hand_over(fresh)
    return start_job(
        actor,
        "mailboxes.delete",
        label=f"Delete {wanted[0]}" if len(wanted) == 1 else f"Delete {len(wanted)} mailboxes",
        subject_id=domain.pk,
        subject_label=str(domain),
        params={"mailboxes": [str(mailbox.pk) for mailbox in wanted]},
        lock=f"mailboxes:{domain.pk}",
    )


def _move_to_deleting(mailboxes: Sequence[Mailbox]) -> None:
    """`move` for many, in one statement."""
    movable = [one for one, to in Mailbox.TRANSITIONS.items() if Mailbox.DELETING in to]
    rows = Mailbox.objects.filter(pk__in=[one.pk for one in mailboxes], status__in=movable)
    if rows.update(status=Mailbox.DELETING, updated_at=timezone.now()) != len(mailboxes):
        raise Conflict("This was changed by somebody else just now. Please look again.")
    for mailbox in mailboxes:
        mailbox.status = Mailbox.DELETING


@transaction.atomic
def force_deletion(actor: Actor, mailbox_id: UUID) -> None:
    """An operator ends a deletion that a provider will not confirm: the account may still be there.

    Raises `Conflict` for a mailbox that is not being deleted.
    """
    actor.require_operator()
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if mailbox.status != Mailbox.DELETING:
        raise Conflict("Only a deletion that is under way can be forced.")
    sentence = f"Forced the deletion of {mailbox}; its account may be left at the provider."
    record(actor, "mailbox.deletion_forced", mailbox, sentence)
    forget_mailboxes([mailbox])


def _deleting_job(actor: Actor, domain: Domain, mailboxes: Sequence[Mailbox]) -> Job | None:
    """A job under way that deletes all of these."""
    wanted = {str(mailbox.pk) for mailbox in mailboxes}
    found = jobs(actor, workflow="mailboxes.delete", subject_id=domain.pk)
    active = (job for job in found[:20] if job.is_active)
    return next((job for job in active if wanted <= set(job.params["mailboxes"])), None)


def domain_blocker(domain: Domain) -> str:
    """Why a domain cannot be disconnected: mailboxes still stand on it."""
    number = Mailbox.objects.present().filter(domain=domain).count()
    if not number:
        return ""
    are = "mailbox is" if number == 1 else "mailboxes are"
    return f"{number} {are} still on {domain}. Delete first what is on it."


# --- Called by states ------------------------------------------------------------------------


@transaction.atomic
def forget_mailboxes(mailboxes: Sequence[Mailbox]) -> None:
    """The logins are gone: drop every secret, and keep the row so the address is not reused.

    Their mail stays on the server for a while (settings.DELETED_MAIL_KEPT).
    """
    Alias.objects.filter(mailbox__in=mailboxes).delete()
    for mailbox in mailboxes:
        mailbox.move(
            Mailbox.DELETED,
            sealed_password="",
            password_hash="",
            proof_digest="",
            deleted_at=timezone.now(),
        )
        record(system(mailbox.tenant_id), "mailbox.deleted", mailbox, f"Deleted {mailbox}.")
    roles.hand_over(mailboxes)
