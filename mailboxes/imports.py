"""Mailboxes from a list: rows of JSON or of a CSV file, each with an outcome of its own."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction

from billing.models import Account
from billing.services import account_unlocked, lock_account, plan_of, require_room, require_running
from domains.models import Domain
from domains.selectors import DomainNotFound, domains
from mailboxes import selectors
from mailboxes.accounts import (
    InvalidUsername,
    NewMailbox,
    UserAlreadyExists,
    check,
    credentials_of,
    mark_revealed,
    require_reveal,
)
from mailboxes.csvfiles import HIDDEN
from mailboxes.models import Batch, Mailbox
from mailboxes.naming import Address, local_part_error
from mailboxes.pasted import DELIMITERS, one_space, without_separator_line
from mailboxes.services import Choices, Credential, begin_batch, domain_for_inboxes, draft_batch
from mailboxes.services.drafts import Draft
from mpanel.core.actor import Actor
from mpanel.core.addresses import HostRefused, ascii_host
from mpanel.core.errors import Invalid, MPanelError
from mpanel.core.invisible import find_invisible, invisible_problem

type Key = tuple[UUID, bool]  # a domain, and whether passwords are given

MOST_ROWS = 1_000
MOST_BYTES = 1_000_000
COLUMNS = ("email", "first_name", "last_name", "password", "quota_mb")
# What other programs call these columns; compared without case, spaces, `_` and `-`.
NAMES = {
    "email": "email emailaddress mail address mailbox",
    "first_name": "firstname givenname first",
    "last_name": "lastname surname familyname last",
    "password": "password",
    "quota_mb": "quotamb quota mailboxsize",
}
KNOWN = {name: column for column, names in NAMES.items() for name in names.split()}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row as it came. `quota_mb` is text where a file gave it."""

    email: str
    first_name: str = ""
    last_name: str = ""
    password: str = field(default="", repr=False)
    quota_mb: int | str = ""
    line: int = 0  # of the file, from 1; 0 where there is none


@dataclass
class RowOutcome:
    """What came of a row: a mailbox that was (or would be) made, or why there is none.

    `number` counts from 1, without a file's header.
    """

    number: int
    email: str
    wanted: NewMailbox | None = None
    domain: Domain | None = None
    error: MPanelError | None = None
    credential: Credential | None = None


def parse_csv(raw: bytes) -> list[Row]:
    """The rows of a CSV file with a header, separated by comma, semicolon, tab or `|`.

    UTF-8 with or without its mark, UTF-16 with it, else Windows-1252, as spreadsheets save; a line
    `sep=;` before the header, as Excel writes it, says which delimiter there is. A column `email`
    is needed; unknown columns are ignored. Raises `Invalid` for the field `csv`.
    """
    if len(raw) > MOST_BYTES:
        raise Invalid.field("csv", f"Send at most {MOST_BYTES // 1_000_000} MB.")
    text = text_of(raw)
    (line, header), *rows = _cells(text) or [(1, [])]
    for number, cell in enumerate(header, 1):
        if problem := invisible_problem(" ".join(cell.split())):
            raise Invalid.field("csv", f"Line {line}, column {number}: {problem}")
    columns = [KNOWN.get(_plain(cell), "") for cell in header]
    if "email" not in columns:
        raise Invalid.field("csv", "The first line names the columns; one of them is email.")
    if twice := [name for name in COLUMNS if columns.count(name) > 1]:
        raise Invalid.field("csv", f"The column {twice[0]} is there twice.")
    return _bounded([_row(columns, cells, line) for line, cells in rows])


def text_of(raw: bytes) -> str:
    """A file as text; see `parse_csv` for the encodings."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16", errors="replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", errors="replace")
    if "\0" in text:
        raise Invalid.field("csv", "This is no text, so it is no CSV file.")
    return text


def preview_import(actor: Actor, rows: Sequence[Row]) -> list[RowOutcome]:
    """What `import_mailboxes` would answer now. Changes nothing."""
    require_reveal(actor)
    with transaction.atomic():
        return _plan(actor, lock_account(actor.tenant_id), _bounded(rows))


def draft_import(actor: Actor, rows: Sequence[Row]) -> dict[Key, Draft]:
    """What `import_mailboxes` will most likely insert, made before the account is locked.

    Raises `Forbidden` and `Invalid`.
    """
    require_reveal(actor)
    account = account_unlocked(actor.tenant_id)
    drafts = {}
    for key, group in _groups(_plan(actor, account, _bounded(rows))).items():
        addresses, choices = _wishes(group)
        if draft := draft_batch(actor, key[0], lambda: addresses, choices):  # noqa: B023
            drafts[key] = draft
    return drafts


def import_mailboxes(
    actor: Actor, rows: Sequence[Row], *, drafts: Mapping[Key, Draft] | None = None
) -> list[RowOutcome]:
    """A mailbox for each row that allows it, with its credential; the others say why not.

    Rows are taken in order while the plan has room. Those of one domain are one batch, with one
    job that proves them; given passwords have a batch of their own (docs/decisions/0003).
    `drafts`: of `draft_import`, for who calls this inside a transaction. Raises `Invalid` for more
    than 1,000 rows or none, and `TrialExpired`.
    """
    require_reveal(actor)
    rows = _bounded(rows)
    if drafts is None:
        drafts = draft_import(actor, rows)
    batches: dict[Key, Batch] = {}
    with transaction.atomic():
        account = lock_account(actor.tenant_id)
        outcomes = _plan(actor, account, rows)
        groups = _groups(outcomes)
        for key, group in groups.items():
            batches[key] = _make(actor, account, key, group, drafts.get(key))
    for key, group in groups.items():
        made = {found.mailbox.local_part: found for found in credentials_of(batches[key])}
        for outcome in group:
            assert outcome.wanted is not None
            outcome.credential = made[outcome.wanted.username]
    return outcomes


def _groups(outcomes: Sequence[RowOutcome]) -> dict[Key, list[RowOutcome]]:
    """The rows that become one batch each."""
    groups: dict[Key, list[RowOutcome]] = {}
    for outcome in outcomes:
        if outcome.wanted and outcome.domain:
            key = (outcome.domain.pk, bool(outcome.wanted.password))
            groups.setdefault(key, []).append(outcome)
    return groups


def _wishes(group: Sequence[RowOutcome]) -> tuple[list[Address], dict[str, Choices]]:
    wishes = [outcome.wanted for outcome in group if outcome.wanted]
    return [one.address for one in wishes], {one.username: one.choices for one in wishes}


def _make(
    actor: Actor, account: Account, key: Key, group: Sequence[RowOutcome], draft: Draft | None
) -> Batch:
    domain = group[0].domain
    assert domain is not None
    addresses, choices = _wishes(group)
    batch = begin_batch(
        actor,
        account,
        domain,
        addresses,
        convention=Batch.CHOSEN if key[1] else "custom",
        choices=choices,
        draft=draft,
    )
    mark_revealed(actor, batch)
    return batch


def _plan(actor: Actor, account: Account, rows: Sequence[Row]) -> list[RowOutcome]:
    """What becomes of each row, in order; the account is locked."""
    require_running(account)
    hosts = set(filter(None, map(_host, rows)))
    places = {
        name: _ImportDomain(actor, account, found) for name, found in _domains(actor, hosts).items()
    }
    used = Mailbox.objects.present().filter(tenant_id=actor.tenant_id).count()
    outcomes = []
    for number, row in enumerate(rows, 1):
        outcome = RowOutcome(number, row.email.strip()[:320])
        outcomes.append(outcome)
        try:
            wanted, place = _wanted(row, places)
            limit = plan_of(account).inboxes
            require_room(account, what="inboxes", used=used, wanted=1, limit=limit)
        except MPanelError as error:
            outcome.error = error
            continue
        place.taken.add(wanted.username)
        used += 1
        outcome.wanted, outcome.domain = wanted, place.domain
    return outcomes


class _ImportDomain:
    """A domain of the list: which addresses it has, and why it takes none, if so."""

    def __init__(self, actor: Actor, account: Account, domain: Domain) -> None:
        self.domain = domain
        self.taken = selectors.taken_local_parts(domain.pk)
        self.error: MPanelError | None = None
        try:
            domain_for_inboxes(actor, account, domain.pk)
        except MPanelError as error:
            self.error = error


def _wanted(row: Row, places: dict[str, _ImportDomain]) -> tuple[NewMailbox, _ImportDomain]:
    """The mailbox that a row asks for, and where. Raises what is wrong with it."""
    _require_visible(row)
    local_part, at, host = row.email.strip().lower().rpartition("@")
    if not (at and host):
        raise Invalid.field("email", "Write a whole address, like anna@example.com.")
    if problem := local_part_error(local_part):
        raise InvalidUsername.field("email", problem)
    place = places.get(_host(row))
    if place is None:
        raise DomainNotFound
    if place.error:
        raise place.error
    wanted = NewMailbox(
        domain_id=place.domain.pk,
        username=local_part,
        first_name=one_space(row.first_name),
        last_name=one_space(row.last_name),
        password=row.password,
        quota_mb=_quota(row.quota_mb),
    )
    check(wanted)
    if local_part in place.taken:
        raise UserAlreadyExists
    return wanted, place


def _quota(given: int | str) -> int:
    if isinstance(given, int):
        return given
    text = given.strip()
    if not text:
        return Choices.quota_mb
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise Invalid.field("quota_mb", "Write the quota as a whole number of MB.")
    return int(text)


def _domains(actor: Actor, hosts: set[str]) -> dict[str, Domain]:
    """The tenant's domains by their names in ASCII."""
    return {row.name: row for row in domains(actor).filter(name__in=hosts)}


def _host(row: Row) -> str:
    """The domain of a row's address in ASCII, "" where there is none."""
    try:
        return ascii_host(row.email.strip().rpartition("@")[2])
    except HostRefused:
        return ""


def _require_visible(row: Row) -> None:
    """Raise `Invalid` that names the first invisible character, with its line and column."""
    for column in COLUMNS:
        value = str(getattr(row, column))
        value = value if column == "password" else " ".join(value.split())
        if (at := find_invisible(value)) is None:
            continue
        # What stands before it is shown, but never a part of a password.
        problem = invisible_problem(value if column != "password" else value[at:])
        where = f"Line {row.line}, column {column}: " if row.line else ""
        raise Invalid.field(column, f"{where}{problem}")


def _bounded(rows: Sequence[Row]) -> list[Row]:
    if not rows:
        raise Invalid.field("rows", "There is no row with a mailbox.")
    if len(rows) > MOST_ROWS:
        raise Invalid.field("rows", f"Send at most {MOST_ROWS:,} rows; these are {len(rows):,}.")
    return list(rows)


def _cells(text: str) -> list[tuple[int, list[str]]]:
    """The rows that hold anything, each with the line on which it ends."""
    text, delimiter = without_separator_line(text)
    first_line = text.lstrip("\r\n").partition("\n")[0]
    delimiter = delimiter or max(DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        found = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise Invalid.field(
            "csv", f"This is no valid CSV: {error} (line {reader.line_num})."
        ) from None
    return [(line, cells) for line, cells in found if any(cell.strip() for cell in cells)]


def _row(columns: Sequence[str], cells: Sequence[str], line: int) -> Row:
    given = dict(zip(columns, cells, strict=False))
    password = given.get("password", "")
    return Row(
        email=given.get("email", ""),
        first_name=given.get("first_name", ""),
        last_name=given.get("last_name", ""),
        # Our own list of mailboxes hides passwords so.
        password="" if password == HIDDEN else password,
        quota_mb=given.get("quota_mb", ""),
        line=line,
    )


def _plain(cell: str) -> str:
    """A column's name without case, spaces of any kind, `_` and `-`."""
    return "".join(cell.casefold().split()).replace("_", "").replace("-", "")
