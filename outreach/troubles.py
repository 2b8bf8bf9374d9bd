"""What can be wrong with a mailbox at an outreach tool."""

from django.db.models import Exists, OuterRef, Q

from mailboxes.models import Mailbox
from mpanel.core import troubles
from mpanel.core.troubles import Trouble
from outreach.models import OutreachLink


def _refused_link() -> Exists:
    return Exists(OutreachLink.objects.filter(mailbox=OuterRef("pk"), status=OutreachLink.FAILED))


troubles.register(
    Mailbox,
    Trouble(
        "outreach",
        "Outreach refused",
        "An outreach tool refused the mailbox. See why, then retry.",
        lambda: Q(_refused_link()),
        tone="warning",
    ),
)
