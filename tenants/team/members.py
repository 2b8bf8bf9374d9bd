"""Changing the role of members, and removing them."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from events.services import record
from mpanel.core.actor import ADMIN, OWNER, RANKS, Actor
from mpanel.core.errors import Conflict, Forbidden, Invalid
from tenants.models import Membership, Tenant
from tenants.services.api_keys import revoke_keys_of
from tenants.services.sessions import end_sessions_of
from tenants.team import selectors
from tenants.team.models import Invitation


class LastOwner(Conflict):
    """This is the organisation's last owner. Make somebody else an owner first."""

    code = "LAST_OWNER"


def require_another_owner(membership: Membership) -> None:
    """Raise `LastOwner` unless the tenant has another. Of two who leave at once, one waits here."""
    Tenant.objects.select_for_update(no_key=True).get(pk=membership.tenant_id)
    owners = Membership.objects.filter(
        tenant_id=membership.tenant_id, role=OWNER, user__is_active=True
    )
    if not owners.exclude(pk=membership.pk).exists():
        raise LastOwner


def lock_membership(membership: Membership) -> Membership:
    """It as it stands now, under the lock of all changes of its tenant's members."""
    Tenant.objects.select_for_update(no_key=True).get(pk=membership.tenant_id)
    membership.refresh_from_db(fields=["role"])
    return membership


def require_rank(actor: Actor, *roles: str) -> None:
    """Raise `Forbidden` unless the actor is an admin in person, and of no lower rank than these."""
    actor.require_person()
    actor.require(ADMIN)
    if any(RANKS[role] > RANKS[actor.role] for role in roles):
        raise Forbidden("Only an owner can change or remove an owner.")


def clean_role(role: str) -> str:
    """One of the three roles. Raises `Invalid`."""
    if role not in RANKS:
        raise Invalid.field("role", "Choose owner, admin or member.")
    return role


@transaction.atomic
def change_role(actor: Actor, user_id: UUID, role: str) -> Membership:
    """Give a member another role. Raises `MemberNotFound`, `LastOwner`, `Forbidden`, `Invalid`."""
    membership = _locked_member(actor, user_id)
    before, after = membership.role, clean_role(role)
    require_rank(actor, before, after)
    if before == after:
        return membership
    actor.require_fresh_code()
    if before == OWNER:
        require_another_owner(membership)
    if not Membership.objects.filter(pk=membership.pk, role=before).update(role=after):
        raise Conflict("This was changed by somebody else just now. Please look again.")
    membership.role = after
    if RANKS[after] < RANKS[ADMIN]:
        revoke_invitations_of(membership)
    sentence = f"{membership.user} is {after} now."
    record(actor, "member.role_changed", membership, sentence, changes={"role": [before, after]})
    return membership


@transaction.atomic
def remove_member(actor: Actor, user_id: UUID) -> None:
    """Take a member out of the tenant: their sessions there end, their keys are revoked.

    Everybody may remove themselves. Raises `MemberNotFound`, `LastOwner`, `Forbidden`.
    """
    membership = _locked_member(actor, user_id)
    if user_id != actor.person_id:
        require_rank(actor, membership.role)
        actor.require_fresh_code()
    if membership.role == OWNER:
        require_another_owner(membership)
    revoke_invitations_of(membership)
    end_sessions_of(membership, reason="removed from the organisation", actor=actor)
    revoke_keys_of(membership, actor=actor)
    record(actor, "member.removed", membership, f"Removed {membership.user}.")
    membership.delete()


def _locked_member(actor: Actor, user_id: UUID) -> Membership:
    """A member, read under the lock of all changes of members: their role stays as it is read."""
    Tenant.objects.select_for_update(no_key=True).filter(pk=actor.tenant_id).first()
    return selectors.get_member(actor, user_id)


def revoke_invitations_of(membership: Membership) -> None:
    """Who may no longer invite has nobody come in by an invitation of before."""
    Invitation.objects.open().filter(
        tenant_id=membership.tenant_id, invited_by_id=membership.user_id
    ).update(revoked_at=timezone.now())
