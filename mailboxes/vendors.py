"""Where providers meet mailboxes; and Google Workspace, which is built of a customer's account."""

from django.conf import settings

from mailboxes.models import Mailbox
from mailboxes.providers.google_workspace import GoogleWorkspace
from mailservers.models import MailDomain
from mailservers.providers.base import MailProvider
from mailservers.vendors import provider_of_domain_id, register_mail_provider
from mpanel.core import registry
from tenants.models import ProviderCredential
from tenants.services import register_builder


def mail_provider_of(mailbox: Mailbox) -> MailProvider:
    """The provider that holds a mailbox, ready to be asked."""
    return provider_of_domain_id(mailbox.domain_id)


def is_ours(mailbox: Mailbox) -> bool:
    """Whether aliases, quotas and limits of ours hold for a mailbox."""
    return bool(registry.get("mail", mailbox.provider).is_ours)


def measured_providers() -> frozenset[str]:
    """The keys of providers that may tell how full a mailbox is: those that keep mail for us."""
    known = registry.all_providers().items()
    return frozenset(
        key for (port, key), one in known if port == "mail" and one.is_ours and one.has_imap
    )


def holds_rules(mailbox: Mailbox) -> bool:
    """Whether a mailbox can have forwarding and vacation notes through us."""
    return mail_provider_of(mailbox).scripts is not None


def _google(mail: MailDomain | None) -> GoogleWorkspace:
    return google_workspace(mail.credential if mail else None)


def google_workspace(credential: ProviderCredential | None) -> GoogleWorkspace:
    """Google Workspace with a customer's service account; without one it only tells settings."""
    return GoogleWorkspace(
        credential.values() if credential else {},
        directory_url=settings.GOOGLE_DIRECTORY_BASE_URL,
        verification_url=settings.GOOGLE_VERIFICATION_BASE_URL,
        token_url=settings.GOOGLE_TOKEN_URL,
        timeout=settings.VENDOR_TIMEOUT,
        names_admin=credential is None or not credential.is_included,
    )


register_mail_provider(GoogleWorkspace.key, _google)
register_builder("mail", google_workspace)
