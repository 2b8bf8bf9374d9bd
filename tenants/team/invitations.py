"""Inviting people: asked for in a request, sent by a worker, accepted once (decision 34)."""

import contextlib
import hashlib
import re
import secrets
import smtplib
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from events.services import record
from mpanel.core import queues
from mpanel.core.actor import ADMIN, RANKS, Actor, system
from mpanel.core.addresses import clean_address
from mpanel.core.api.ratelimit import spend_try
from mpanel.core.errors import Conflict, Forbidden, Gone
from mpanel.core.periodic import Slice
from tenants.models import Membership, Tenant, User
from tenants.services.accounts import AccountClosed
from tenants.services.still_valid import hold_session, hold_user
from tenants.team import selectors
from tenants.team.members import clean_role, require_rank
from tenants.team.models import Invitation

GOOD_FOR = timedelta(days=7)
DAY = 86_400
PER_TENANT, PER_PAIR = 50, 5  # messages a day; the latter of one tenant to one mailbox
PER_MAILBOX = 20  # of all tenants: more than one has, so that none uses up what others need
PER_ADDRESS = 60  # tries of links by one network in a quarter of an hour
LONGEST_NAME = 60
# Mail programs make links of names with dots, too; of addresses they make none that are visited.
LIKE_A_LINK = re.compile(r"://|\w\.\w")
AN_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+")


class AlreadyMember(Conflict):
    """This person is a member already."""

    code = "ALREADY_MEMBER"


class AlreadyInvited(Conflict):
    """This address has an open invitation. Send that one again, or revoke it."""

    code = "ALREADY_INVITED"


class InvitationGone(Gone):
    """This invitation was accepted or revoked, or has expired. Ask for a new one."""

    code = "INVITATION_GONE"


class InvitationForAnother(Forbidden):
    """This invitation is for another e-mail address. Sign in with that one."""

    code = "INVITATION_FOR_ANOTHER"


@transaction.atomic
def invite(actor: Actor, *, email: str, role: str) -> Invitation:
    """Invite an address to the actor's tenant; a worker sends the link.

    Raises `Invalid`, `Forbidden`, `AlreadyMember`, `AlreadyInvited`, `TooManyRequests`.
    """
    email, role = clean_address(email), clean_role(role)
    require_rank(actor, role)
    actor.require_fresh_code()
    hold_session(actor)
    if Membership.objects.filter(tenant_id=actor.tenant_id, user__email=email).exists():
        raise AlreadyMember
    mine = Invitation.objects.open().filter(tenant_id=actor.tenant_id, email=email)
    mine.filter(expires_at__lte=timezone.now()).update(revoked_at=timezone.now())
    _require_few_messages(actor, email)
    try:
        with transaction.atomic():
            invitation = Invitation.objects.create(
                tenant_id=actor.tenant_id,
                email=email,
                role=role,
                invited_by_id=actor.person_id,
                expires_at=timezone.now() + GOOD_FOR,
            )
    except IntegrityError:
        raise AlreadyInvited from None
    record(
        actor,
        "member.invited",
        invitation,
        f"Invited {email} as {role}.",
        changes={"role": role},
    )
    queues.send("tenants.tasks.send_invitation", str(invitation.pk))
    return invitation


@transaction.atomic
def resend_invitation(actor: Actor, invitation_id: UUID) -> Invitation:
    """Send an open invitation again, good for another week; the old link no longer works.

    Raises `InvitationNotFound`, `Forbidden`, `TooManyRequests`.
    """
    invitation = selectors.get_invitation(actor, invitation_id)
    require_rank(actor, invitation.role)
    actor.require_fresh_code()
    hold_session(actor)
    _require_few_messages(actor, invitation.email)
    renewed = {
        "sent_at": None,
        "refusal": "",
        "token_hash": None,
        "expires_at": timezone.now() + GOOD_FOR,
        "invited_by_id": actor.person_id,
        "updated_at": timezone.now(),
    }
    if not Invitation.objects.open().filter(pk=invitation_id).update(**renewed):
        raise selectors.InvitationNotFound  # accepted or revoked just now
    record(actor, "invitation.resent", invitation, f"Sent the invitation of {invitation} again.")
    queues.send("tenants.tasks.send_invitation", str(invitation_id))
    return selectors.get_invitation(actor, invitation_id)


@transaction.atomic
def revoke_invitation(actor: Actor, invitation_id: UUID) -> None:
    """Make an open invitation useless. Raises `InvitationNotFound`, `Forbidden`."""
    invitation = selectors.get_invitation(actor, invitation_id)
    require_rank(actor, invitation.role)
    if Invitation.objects.open().filter(pk=invitation_id).update(revoked_at=timezone.now()):
        record(actor, "invitation.revoked", invitation, f"Revoked the invitation of {invitation}.")


def _require_few_messages(actor: Actor, email: str) -> None:
    spend_try("invitations", f"tenant {actor.tenant_id}", most=PER_TENANT, window=DAY)
    pair = f"tenant {actor.tenant_id} to {email}"
    spend_try("invitations", pair, most=PER_PAIR, window=DAY)
    spend_try("invitations", f"mailbox {email}", most=PER_MAILBOX, window=DAY)


# --- Sending ---------------------------------------------------------------------------------


def send_invitation(invitation_id: UUID) -> bool:
    """Make the link and send it, once: a second message for the same request has no effect.

    What the mail server refuses for good is not tried again; the team page says so.
    """
    now = timezone.now()
    waiting = Invitation.objects.waiting().filter(pk=invitation_id)
    token = secrets.token_urlsafe(32)
    if not waiting.update(sent_at=now, token_hash=hash_of(token)):
        return False
    invitation = Invitation.objects.select_related("tenant", "invited_by").get(pk=invitation_id)
    inviter = invitation.invited_by
    context = {
        "invitation": invitation,
        "organisation": _plain_name(invitation.tenant.name),
        "inviter": inviter.email if inviter else "",
        "link": f"{settings.SITE_URL}/join/{token}",
        "days": GOOD_FOR.days,
    }
    subject = f"{context['inviter']} invites you to mPanel"
    text = render_to_string("tenants/invitation_email.txt", context)
    try:
        send_mail(subject, text, None, [invitation.email])
    except (OSError, smtplib.SMTPException) as error:
        # Not sent, so the link of this try is forgotten.
        tried = Invitation.objects.filter(pk=invitation_id, token_hash=hash_of(token))
        if not (refusal := _refusal(error)):
            tried.update(sent_at=None, token_hash=None)  # and the next look tries again
            raise
        with transaction.atomic():
            if tried.update(sent_at=None, token_hash=None, refusal=refusal):
                sentence = f"The mail server refused the invitation of {invitation}: {refusal}"
                actor = system(invitation.tenant_id)
                record(actor, "invitation.refused", invitation, sentence)
        return False
    return True


def _refusal(error: Exception) -> str:
    """What a mail server said that will not take this message, however often it is sent; else "".

    A sender or a login that it refuses is the host's to correct: those are tried again.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers: list[tuple[int, bytes | str]] = [*error.recipients.values()]
    elif isinstance(error, smtplib.SMTPDataError):
        answers = [(error.smtp_code, error.smtp_error)]
    else:
        return ""
    if not answers or any(code // 100 != 5 for code, _ in answers):
        return ""
    code, said = answers[0]
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"{code} {' '.join(plain.split())}"[:200]


def send_forgotten_invitations() -> None:
    """Send what was asked for but not sent: its message was lost, or the mail server was down."""
    waiting = Invitation.objects.waiting().filter(
        updated_at__lt=timezone.now() - timedelta(seconds=10)
    )
    present = Slice()
    for invitation_id in waiting.values_list("pk", flat=True)[:100]:
        if present.is_over:
            break
        with contextlib.suppress(OSError, smtplib.SMTPException):
            send_invitation(invitation_id)


def _plain_name(name: str) -> str:
    """An organisation's name as our mail may carry it to strangers: short, and no link."""
    others = " ".join(word for word in name.split() if not AN_ADDRESS.fullmatch(word))
    return "" if LIKE_A_LINK.search(others) else name[:LONGEST_NAME]


# --- Accepting -------------------------------------------------------------------------------


def hash_of(token: str) -> str:
    """What is kept of a link's token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def open_link(token: str, *, address: str) -> Invitation:
    """The invitation of a link; it stays usable. Raises `InvitationGone`, `TooManyRequests`."""
    spend_try("invitation-link", address, most=PER_ADDRESS, window=900)
    if invitation := usable_invitation(hash_of(token)):
        return invitation
    raise InvitationGone


def usable_invitation(token_hash: str) -> Invitation | None:
    """The invitation with this hash, if it can be accepted now.

    Not where the tenant is suspended, or who invited may no longer give this role.
    """
    invitation = (
        Invitation.objects.usable()
        .filter(token_hash=token_hash, tenant__status=Tenant.ACTIVE)
        .select_related("tenant", "invited_by")
        .first()
        if token_hash
        else None
    )
    if invitation is None or invitation.invited_by_id is None:
        return None
    inviter = Membership.objects.filter(
        tenant_id=invitation.tenant_id, user_id=invitation.invited_by_id, user__is_active=True
    ).first()
    needed = max(RANKS[ADMIN], RANKS[invitation.role])
    return invitation if inviter and RANKS[inviter.role] >= needed else None


@transaction.atomic
def accept_invitation(user: User, invitation: Invitation, *, address: str = "") -> Membership:
    """Make the user a member; of parallel tries one wins. Who is one already keeps their role.

    The user has proved to read the mailbox of their address, and what the invitation is worth is
    looked at again. Raises `InvitationGone`, `InvitationForAnother`, `AccountClosed`,
    `SignInOutdated`.
    """
    user = hold_user(user)
    if not user.is_active:
        raise AccountClosed
    if invitation.email != user.email:
        raise InvitationForAnother
    # Of who invites and is removed or demoted just now, this waits for the end.
    Tenant.objects.select_for_update(no_key=True).filter(pk=invitation.tenant_id).first()
    if usable_invitation(invitation.token_hash or "") is None:
        raise InvitationGone
    usable = Invitation.objects.usable().filter(pk=invitation.pk, token_hash=invitation.token_hash)
    if not usable.update(accepted_at=timezone.now()):
        raise InvitationGone
    membership, is_new = Membership.objects.get_or_create(
        tenant_id=invitation.tenant_id, user=user, defaults={"role": invitation.role}
    )
    if is_new:
        actor = Actor(
            tenant_id=invitation.tenant_id,
            user_id=user.pk,
            email=user.email,
            role=membership.role,
            address=address,
        )
        record(actor, "member.joined", membership, f"{user} joined as {membership.role}.")
    return membership


def join_by_code(email: str, token_hash: str, *, address: str, name: str) -> User | None:
    """The user of an address that was just proved, made a member by its invitation.

    Only who is in no tenant yet: a new user gets no tenant of their own beside the one that they
    are invited to. Others accept when they are signed in. None where that does not apply.
    """
    invitation = usable_invitation(token_hash)
    user = User.objects.filter(email=email).first()
    if invitation is None or invitation.email != email or (user and user.memberships.exists()):
        return None
    user = user or User.objects.create_user(email, name=name)
    accept_invitation(user, invitation, address=address)
    return user
