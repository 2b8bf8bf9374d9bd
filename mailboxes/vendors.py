"""Where providers meet settings: the mail provider of a mailbox."""

from django.conf import settings

from mailboxes.providers.base import MailProvider
from mailboxes.providers.mailserver import MailServer


def mail_provider(key: str) -> MailProvider:
    """The mail provider of this key, ready to be asked. `KeyError` for one not installed."""
    return {MailServer.key: _mail_server}[key]()


def _mail_server() -> MailServer:
    return MailServer(
        {},
        smtp_host=settings.MAILSERVER_HOST,
        smtp_port=settings.MAILSERVER_SUBMISSION_PORT,
        imap_host=settings.MAILSERVER_HOST,
        imap_port=settings.MAILSERVER_IMAPS_PORT,
        ca_file=settings.MAILSERVER_CA_FILE,
        timeout=settings.VENDOR_TIMEOUT,
    )
