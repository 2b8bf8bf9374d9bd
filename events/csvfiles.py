"""The audit log as a CSV file (RFC 4180, UTF-8), written as it is read."""

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import UTC

from django.db.models import QuerySet

from events.models import Event
from mpanel.core.csvcells import inert

PAGE = 1_000  # events
COLUMNS = (
    "number",
    "time",
    "who",
    "via",
    "address",
    "action",
    "subject_type",
    "subject_id",
    "what",
    "changes",
    "request_id",
    "hash",
)


class _Echo:
    """A file whose `write` gives back what was to be written."""

    def write(self, text: str) -> str:
        return text


def in_pages(events: QuerySet[Event]) -> Iterator[Event]:
    """Events, the newest first, by queries that are over while a slow client reads.

    An open one keeps a snapshot: SQLite's log cannot be cut meanwhile, PostgreSQL cannot clean up.
    """
    page = list(events.order_by("-pk")[:PAGE])
    yield from page
    while len(page) == PAGE:
        page = list(events.filter(pk__lt=page[-1].pk).order_by("-pk")[:PAGE])
        yield from page


def audit_lines(events: Iterable[Event]) -> Iterator[str]:
    """The file, a line at a time. No cell is a formula to a spreadsheet."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for event in events:
        cells = (
            str(event.seq or ""),
            event.created_at.astimezone(UTC).isoformat(timespec="milliseconds"),
            event.actor_name,
            event.via,
            event.address,
            event.action,
            event.subject_type,
            str(event.subject_id or ""),
            event.sentence,
            json.dumps(event.changes, sort_keys=True) if event.changes else "",
            event.request_id,
            event.hash,
        )
        yield writer.writerow(map(inert, cells))
