"""JSON about who works in a tenant: members, invitations, and switching tenants."""

from dataclasses import replace
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.serializers import single
from mpanel.core.api.views import ApiView, listing, operation
from tenants import services
from tenants.examples import EXAMPLE_USER
from tenants.selectors import get_user
from tenants.team import invitations, members, selectors, serializers

TEAM = "Team"
EXAMPLE_MEMBER = {
    "user_id": EXAMPLE_USER["id"],
    "email": "bo@example.com",
    "name": "Bo",
    "role": "member",
    "joined_at": "2026-11-21T09:00:00Z",
}
EXAMPLE_INVITATION = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b31",
    "email": "bo@example.com",
    "role": "member",
    "status": "sending",
    "invited_by": "ada@example.com",
    "created_at": "2026-11-21T09:00:00Z",
    "expires_at": "2026-11-28T09:00:00Z",
}
EXAMPLE_ORGANISATION = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b32",
    "name": "Example Ltd",
    "owner": "ada@example.com",
    "role": "member",
    "current": True,
}


class TeamView(ApiView):
    person = True

    @listing(
        "List members",
        tag=TEAM,
        item=serializers.MemberSerializer,
        example=EXAMPLE_MEMBER,
    )
    def get(self, request: Request) -> Response:
        """Who works in the organisation, the first one first."""
        return self.page(request, selectors.members(self.actor), serializers.MemberSerializer)


class MemberView(ApiView):
    person = True

    @operation(
        "Change a member's role",
        tag=TEAM,
        takes=serializers.RoleChangeSerializer,
        answers=single(serializers.MemberSerializer),
        errors=(404, 409),
        request_example={"role": "admin"},
        example={"data": {**EXAMPLE_MEMBER, "role": "admin"}},
    )
    def patch(self, request: Request, user_id: UUID) -> Response:
        """Admins change admins and members, owners everybody. 409 LAST_OWNER."""
        given = self.body(request, serializers.RoleChangeSerializer)
        changed = members.change_role(self.actor, user_id, given["role"])
        return Response({"data": serializers.MemberSerializer(changed).data})

    @operation("Remove a member", tag=TEAM, status=204, errors=(404, 409))
    def delete(self, request: Request, user_id: UUID) -> Response:
        """Sessions and API keys in this organisation end. Everybody may remove themselves. 409
        LAST_OWNER."""
        members.remove_member(self.actor, user_id)
        return Response(status=204)


class InviteView(ApiView):
    person = True

    @operation(
        "Invite somebody by e-mail",
        tag=TEAM,
        takes=serializers.NewInvitationSerializer,
        answers=single(serializers.InvitationSerializer),
        status=201,
        request_example={"email": "bo@example.com", "role": "member"},
        example={"data": EXAMPLE_INVITATION},
    )
    def post(self, request: Request) -> Response:
        """A link by e-mail, good once and for seven days. Admins give no role above their own. 409
        ALREADY_MEMBER, ALREADY_INVITED."""
        given = self.body(request, serializers.NewInvitationSerializer)
        made = invitations.invite(self.actor, **given)
        return Response({"data": serializers.InvitationSerializer(made).data}, 201)


class InvitationsView(ApiView):
    person = True

    @listing(
        "List open invitations",
        tag=TEAM,
        item=serializers.InvitationSerializer,
        example=EXAMPLE_INVITATION,
    )
    def get(self, request: Request) -> Response:
        """Neither accepted nor revoked, the newest first; expired ones can be sent again."""
        return self.page(
            request, selectors.invitations(self.actor), serializers.InvitationSerializer
        )


class OneInvitationView(ApiView):
    person = True

    @operation("Revoke an invitation", tag=TEAM, status=204, errors=(404,))
    def delete(self, request: Request, invitation_id: UUID) -> Response:
        """Its link stops working."""
        invitations.revoke_invitation(self.actor, invitation_id)
        return Response(status=204)


class ResendInvitationView(ApiView):
    person = True

    @operation(
        "Send an invitation again",
        tag=TEAM,
        answers=single(serializers.InvitationSerializer),
        status=202,
        errors=(404,),
        example={"data": EXAMPLE_INVITATION},
    )
    def post(self, request: Request, invitation_id: UUID) -> Response:
        """With a new link, good for seven days; the former one stops working."""
        sent = invitations.resend_invitation(self.actor, invitation_id)
        return Response({"data": serializers.InvitationSerializer(sent).data}, 202)


class AcceptInvitationView(ApiView):
    person = True

    @operation(
        "Accept an invitation",
        tag=TEAM,
        takes=serializers.InvitationTokenSerializer,
        answers=single(serializers.OrganisationSerializer),
        errors=(410,),
        request_example={"token": "3vJ8..."},
        example={"data": EXAMPLE_ORGANISATION},
    )
    def post(self, request: Request) -> Response:
        """The session goes on in that organisation. 403 INVITATION_FOR_ANOTHER where it was sent
        to another address; 410 INVITATION_GONE."""
        given = self.body(request, serializers.InvitationTokenSerializer)
        invitation = invitations.open_link(given["token"], address=self.address)
        user = get_user(self.actor)
        joined = invitations.accept_invitation(user, invitation, address=self.address)
        return _switched(self, joined.tenant_id)


class OrganisationsView(ApiView):
    person = True

    @listing(
        "List organisations",
        tag=TEAM,
        item=serializers.OrganisationSerializer,
        example=EXAMPLE_ORGANISATION,
    )
    def get(self, request: Request) -> Response:
        """Those that the person works in, the first one first."""
        found = selectors.organisations(self.actor)
        return self.page(request, found, serializers.OrganisationSerializer, actor=self.actor)


class SwitchOrganisationView(ApiView):
    person = True

    @operation(
        "Switch to another organisation",
        tag=TEAM,
        answers=single(serializers.OrganisationSerializer),
        errors=(404,),
        example={"data": EXAMPLE_ORGANISATION},
    )
    def post(self, request: Request, tenant_id: UUID) -> Response:
        """This session and its tokens act there from now on; other sessions stay where they are."""
        return _switched(self, tenant_id)


def _switched(view: ApiView, tenant_id: UUID) -> Response:
    services.switch_organisation(view.actor, tenant_id)
    row = selectors.get_organisation(view.actor, tenant_id)
    shown = serializers.OrganisationSerializer(
        row, context={"actor": replace(view.actor, tenant_id=tenant_id)}
    )
    return Response({"data": shown.data})
