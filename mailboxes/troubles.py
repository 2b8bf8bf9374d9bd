"""What can be wrong with a mailbox and with a domain's mail."""

from django.db.models import Q

from domains.models import Domain
from mailboxes.models import Mailbox
from mailboxes.models.mailbox import ALMOST_FULL, FULL, filled_to
from mailboxes.selectors import mailboxes
from mailservers.models import MailDomain
from mpanel.core import troubles
from mpanel.core.troubles import Trouble

NOT_PROVED = (Mailbox.FAILED, Mailbox.PROVISIONING)


troubles.watch(Mailbox, noun="mailbox,mailboxes", url_name="mailbox-list", rows=mailboxes)
troubles.register(
    Mailbox,
    Trouble(
        "failed",
        "Failed",
        "The login could not be verified. See why, then retry.",
        lambda: Q(status=Mailbox.FAILED),
        in_status=True,
    ),
    Trouble(
        "paused",
        "Sending paused",
        "Too many messages bounced. See why before you resume.",
        lambda: Q(paused_at__isnull=False) & ~Q(status=Mailbox.DELETING),
    ),
    Trouble(
        "full",
        "Full",
        "New mail is refused. Delete mail from it, or give it a larger quota.",
        lambda: filled_to(FULL) & ~Q(status=Mailbox.DELETING),
    ),
    Trouble(
        "almost_full",
        "Almost full",
        "Mail is refused once it is full. Delete mail from it, or give it a larger quota.",
        lambda: filled_to(ALMOST_FULL) & ~filled_to(FULL) & ~Q(status=Mailbox.DELETING),
        tone="warning",
    ),
    Trouble(
        "not_told",
        "Change not applied",
        "The last change did not reach the mail provider.",
        lambda: ~Q(error_message="") & ~Q(status__in=NOT_PROVED),
    ),
    Trouble(
        "suspended",
        "Suspended",
        "They receive mail, but nobody can log in or send. Activate them when you need them.",
        lambda: Q(status=Mailbox.SUSPENDED),
        tone="warning",
        in_status=True,
    ),
)
troubles.register(
    Domain,
    Trouble(
        "mail",
        "Mail not attached",
        "The mail provider refused the domain. See why, then try again.",
        lambda: Q(mail__status=MailDomain.FAILED),
    ),
)
