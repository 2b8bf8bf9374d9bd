"""Reading who works in a tenant; an actor sees their own tenant only."""

from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from mpanel.core.actor import OWNER, RANKS, Actor
from mpanel.core.errors import NotFound
from tenants.models import Membership, Tenant
from tenants.panel_selectors import TenantNotFound
from tenants.team.models import Invitation, InvitationQuerySet


class MemberNotFound(NotFound):
    """There is no such member in your organisation."""

    code = "MEMBER_NOT_FOUND"


class InvitationNotFound(NotFound):
    """There is no such invitation."""

    code = "INVITATION_NOT_FOUND"


def members(actor: Actor) -> QuerySet[Membership]:
    """The members of the tenant, the first one first."""
    actor.require_person()
    return (
        Membership.objects.filter(tenant_id=actor.tenant_id)
        .select_related("user", "tenant")
        .order_by("created_at", "pk")
    )


def get_member(actor: Actor, user_id: UUID) -> Membership:
    """One member. Raises `MemberNotFound`."""
    if found := members(actor).filter(user_id=user_id).first():
        return found
    raise MemberNotFound


def invitations(actor: Actor) -> InvitationQuerySet:
    """The tenant's open invitations, the newest first; expired ones too."""
    actor.require_person()
    found = Invitation.objects.open().filter(tenant_id=actor.tenant_id)
    return found.select_related("tenant", "invited_by").order_by("-pk")


def get_invitation(actor: Actor, invitation_id: UUID) -> Invitation:
    """One open invitation. Raises `InvitationNotFound`."""
    if found := invitations(actor).filter(pk=invitation_id).first():
        return found
    raise InvitationNotFound


def organisations(actor: Actor) -> QuerySet[Membership]:
    """The person's memberships of tenants that are not suspended, the first one first.

    `owner`: the e-mail address of the tenant's first owner, which tells tenants of one name apart.
    """
    owners = Membership.objects.filter(tenant_id=OuterRef("tenant_id"), role=OWNER)
    return (
        Membership.objects.filter(user_id=actor.person_id, tenant__status=Tenant.ACTIVE)
        .select_related("tenant")
        .annotate(owner=Subquery(owners.order_by("created_at", "pk").values("user__email")[:1]))
        .order_by("created_at", "pk")
    )


def get_organisation(actor: Actor, tenant_id: UUID) -> Membership:
    """The person's membership of a tenant. Raises `TenantNotFound`."""
    if found := organisations(actor).filter(tenant_id=tenant_id).first():
        return found
    raise TenantNotFound


def roles_to_give(actor: Actor) -> list[str]:
    """The roles that this person may give: none above their own."""
    return [role for role in RANKS if actor.is_admin and RANKS[role] <= RANKS[actor.role]]
