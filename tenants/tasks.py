"""What the queue calls, by id."""

from uuid import UUID

from tenants import services
from tenants.team import invitations


def send_code(code_id: str) -> None:
    """Send the one-time code that was asked for."""
    services.send_code(UUID(code_id))


def send_invitation(invitation_id: str) -> None:
    """Send an invitation that was asked for."""
    invitations.send_invitation(UUID(invitation_id))


def test_credential(credential_id: str) -> None:
    """Ask the provider whether it accepts a credential."""
    services.run_test(UUID(credential_id))
