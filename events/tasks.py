"""What the queue calls."""

from events import services


def send_mails() -> None:
    """Send the notifications that are to be sent by mail."""
    services.send_mails()
