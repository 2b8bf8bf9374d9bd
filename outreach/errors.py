"""What stands in the way of connecting a mailbox, in the codes of contract 3."""

from mpanel.core.errors import Conflict, MPanelError, NotFound, ProviderError
from outreach.models import OutreachLink
from outreach.providers.base import KEY_REFUSED, NO_ANSWER
from outreach.vendors import tool


class AccountNotFound(NotFound):
    """There is no such mailbox in your account."""

    code = "ACCOUNT_NOT_FOUND"


class LinkNotFound(NotFound):
    """There is no such connection in your account."""

    code = "CONNECTION_NOT_FOUND"


class CampaignNotFound(NotFound):
    """There is no such campaign."""

    code = "CAMPAIGN_NOT_FOUND"


class CampaignElsewhere(Conflict):
    """This campaign is in another account of the tool than these mailboxes. Choose mailboxes that
    are connected through the campaign's account."""

    code = "CAMPAIGN_ELSEWHERE"


class CampaignsNotIncluded(Conflict):
    """Campaigns of an included account belong to the host. To join campaigns, connect the mailboxes
    through an account of your own."""

    code = "CAMPAIGNS_NOT_INCLUDED"


class MailboxNotReady(Conflict):
    """Only mailboxes whose login was verified and that are not suspended can be connected."""

    code = "MAILBOX_NOT_READY"


class CredentialsNotFound(Conflict):
    """The password of this mailbox is not known here. Set a new one first."""

    code = "CREDENTIALS_NOT_FOUND"


class AccountAlreadyConnected(Conflict):
    """This mailbox is connected already."""

    code = "ACCOUNT_ALREADY_CONNECTED"


class AccountNotConnected(Conflict):
    """This mailbox is not connected. Connect it first."""

    code = "ACCOUNT_NOT_CONNECTED"


class OutreachNotConnected(Conflict):
    """No account of this tool is known here yet. Add its API key under Credentials first."""

    code = "OUTREACH_NOT_CONNECTED"


class InvalidCredentials(Conflict):
    """The tool could not log in to this mailbox."""

    code = "INVALID_CREDENTIALS"


class NetworkError(ProviderError):
    """The outreach tool does not answer."""

    code = "NETWORK_ERROR"


class SmartleadApiError(ProviderError):
    """Smartlead refused the request."""

    code = "SMARTLEAD_API_ERROR"


class InstantlyApiError(ProviderError):
    """Instantly refused the request."""

    code = "INSTANTLY_API_ERROR"


TOOL_ERRORS: dict[str, type[ProviderError]] = {
    cls.code: cls for cls in (NetworkError, SmartleadApiError, InstantlyApiError)
}


def as_answer(error: ProviderError, provider: str) -> ProviderError:
    """The same failure under the code that the contract names for it."""
    code = NO_ANSWER if error.error_code == NO_ANSWER else tool(provider).error_code
    return TOOL_ERRORS[code](
        error.error_code, error.message, retryable=error.retryable, retry_after=error.retry_after
    )


def refusal_of(link: OutreachLink) -> MPanelError:
    """Why a connection failed, as an answer to who asked for it."""
    code, message = link.error_code, link.error_message
    if code in TOOL_ERRORS or code in {KEY_REFUSED, "RATE_LIMITED"}:
        error = ProviderError(code, message, retryable=code not in {KEY_REFUSED})
        return as_answer(error, link.provider)
    known = {cls.code: cls for cls in (InvalidCredentials, MailboxNotReady)}
    return known.get(code, InvalidCredentials)(message)
