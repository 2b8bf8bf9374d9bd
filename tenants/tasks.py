"""What the queue calls, by id."""

from uuid import UUID

from tenants import services


def send_code(code_id: str) -> None:
    """Send the one-time code that was asked for."""
    services.send_code(UUID(code_id))


def test_credential(credential_id: str) -> None:
    """Ask the provider whether it accepts a credential."""
    services.run_test(UUID(credential_id))
