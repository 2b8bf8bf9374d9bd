"""Files of credentials in the format that an outreach tool imports."""

import csv
import io
from collections.abc import Iterable, Mapping
from uuid import UUID

from mailboxes.services import Credential
from mailservers.providers.base import LoginSettings
from mpanel.core.csvcells import inert
from outreach.services import USUAL
from outreach.states import sender_login
from outreach.vendors import tool


def import_file(
    provider: str, credentials: Iterable[Credential], logins: Mapping[UUID, LoginSettings]
) -> str:
    """The whole file with its header, lines ending in CR LF (RFC 4180), with our usual warm-up.

    `logins`: how the mailboxes of a domain log in. A cell that a spreadsheet would take for a
    formula gets a leading apostrophe; names may, addresses and passwords never begin like one.
    `KeyError` for a tool that is not installed.
    """
    cls = tool(provider)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(cls.import_columns)
    for credential in credentials:
        login = sender_login(credential.mailbox, logins[credential.mailbox.domain_id])
        writer.writerow(map(inert, cls.import_row(login, USUAL)))
    return text.getvalue()
