"""Serializers of who works in a tenant."""

from rest_framework import serializers

from mpanel.core.actor import RANKS, Actor
from mpanel.core.api.serializers import Email, Serializer, Text
from tenants.models import Membership
from tenants.team.models import Invitation


class NewInvitationSerializer(Serializer):
    """Whom to invite, and the role that they will have."""

    email = Email()
    role = serializers.ChoiceField(choices=list(RANKS), default="member")


class RoleChangeSerializer(Serializer):
    """Another role."""

    role = serializers.ChoiceField(choices=list(RANKS))


class InvitationTokenSerializer(Serializer):
    """What stands at the end of the link in the e-mail."""

    token = Text(max_length=200)


class MemberSerializer(Serializer):
    """Somebody who works here."""

    user_id = serializers.UUIDField()
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    role = serializers.ChoiceField(choices=list(RANKS))
    joined_at = serializers.DateTimeField(source="created_at")


class InvitationSerializer(Serializer):
    """An invitation; never its link, which only the e-mail has."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=list(RANKS))
    status = serializers.ChoiceField(choices=list(Invitation.STATUSES))
    invited_by = serializers.EmailField(source="invited_by.email", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class OrganisationSerializer(Serializer):
    """An organisation that the person works in. `owner`: the e-mail address of its first owner."""

    id = serializers.UUIDField(source="tenant_id")
    name = serializers.CharField(source="tenant.name")
    owner = serializers.EmailField(allow_null=True)
    role = serializers.ChoiceField(choices=list(RANKS))
    current = serializers.SerializerMethodField()

    def get_current(self, row: Membership) -> bool:
        actor: Actor | None = self.context.get("actor")
        return actor is not None and row.tenant_id == actor.tenant_id
