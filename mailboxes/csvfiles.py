"""The CSV files by which credentials leave mPanel (RFC 4180, to be sent as UTF-8)."""

import csv
import io
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from mailboxes.services import Credential
from mailservers.providers.base import LoginSettings
from mpanel.core.csvcells import inert

COLUMNS = (
    "email",
    "username",
    "password",
    "smtp_host",
    "smtp_port",
    "smtp_auth",
    "smtp_tls",
    "imap_host",
    "imap_port",
)
HIDDEN = "***HIDDEN***"


@dataclass(frozen=True)
class CredentialRow:
    """One inbox of the file. `password` is not looked at where passwords are hidden."""

    email: str
    settings: LoginSettings
    password: str = field(default="", repr=False)


# Writes the file that one tool imports; the settings are those of each domain.
ImportFile = Callable[[Sequence[Credential], Mapping[UUID, LoginSettings]], str]

_import_files: dict[str, ImportFile] = {}


def register_import_file(tool: str, write: ImportFile) -> None:
    """Offer a file as a tool imports it; apps above register theirs as Django starts."""
    _import_files[tool] = write


def import_files() -> dict[str, ImportFile]:
    """The files that are offered, by the key of their tool."""
    return dict(_import_files)


def credentials_csv(
    rows: Iterable[CredentialRow], *, hidden: bool, columns: Collection[str] = COLUMNS
) -> str:
    """The whole file with its header, lines ending in CR LF; with these of `COLUMNS` only.

    `username` is the full address, because that is what the mail server takes (a local part alone
    exists on many domains). `smtp_auth` is always `true`; `smtp_tls` is `true` where the
    connection is encrypted, by STARTTLS or from its start. A provider without IMAP leaves the two
    last cells empty. `hidden` writes `***HIDDEN***` for every password.

    A cell that a spreadsheet would take for a formula gets a leading apostrophe. The local parts
    of `mailboxes.naming`, domains, and the passwords of `mailboxes.passwords` never begin like
    one, so the file always holds them exactly as they are.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    chosen = [name in columns for name in COLUMNS]
    writer.writerow(itertools.compress(COLUMNS, chosen))
    for row in rows:
        settings = row.settings
        cells = (
            row.email,
            row.email,
            HIDDEN if hidden else row.password,
            settings.smtp_host,
            str(settings.smtp_port),
            "true",
            "true" if settings.smtp_tls in {"starttls", "ssl"} else "false",
            settings.imap_host or "",
            str(settings.imap_port or ""),
        )
        writer.writerow(map(inert, itertools.compress(cells, chosen)))
    return text.getvalue()
