"""The one vocabulary of what can be wrong: the lists show it at its row, the overview counts it.

An app says `watch` once for each of its lists, and `register` for each kind of trouble that a row
can have; an app above may add kinds to a list below. Each kind is one condition for the database,
so that a list marks and filters its rows, and the overview counts them, by the same words.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import BooleanField, Case, Count, Model, Q, QuerySet, Value, When
from django.urls import reverse

from mpanel.core.actor import Actor
from mpanel.core.errors import Forbidden

PREFIX = "trouble-"
TONES = ("danger", "warning", "info")
ICONS = {"danger": "x-circle", "warning": "alert-triangle", "info": "info"}


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble of a row.

    `label`: on the row's badge. `advice`: what it means and what to do. `where`: the rows that have
    it. `in_status`: the row's status says it already, so that the list shows no second badge.
    """

    key: str
    label: str
    advice: str
    where: Callable[[], Q]
    tone: str = "danger"
    in_status: bool = False

    @property
    def icon(self) -> str:
        return ICONS[self.tone]


@dataclass
class _Watched:
    noun: str
    url_name: str
    rows: Callable[[Actor], QuerySet[Any]]
    can_filter: bool
    kinds: dict[str, Trouble] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What the overview says of one kind: how many rows have it, and where they are listed."""

    trouble: Trouble
    number: int
    noun: str
    url: str

    @property
    def kinds(self) -> tuple[Trouble]:
        """For the component that shows the troubles of a row."""
        return (self.trouble,)


_watched: dict[type[Model], _Watched] = {}


def watch(
    model: type[Model],
    *,
    noun: str,
    url_name: str,
    rows: Callable[[Actor], QuerySet[Any]],
    can_filter: bool = True,
) -> None:
    """Make a list known: `noun` as "mailbox,mailboxes", and the actor's rows of it.

    `can_filter`: its page takes `?status=trouble-<key>`.
    """
    _watched[model] = _Watched(noun, url_name, rows, can_filter)


def register(model: type[Model], *kinds: Trouble) -> None:
    """Add kinds of trouble to a list that is watched."""
    for kind in kinds:
        if kind.tone not in TONES or kind.key in _watched[model].kinds:
            raise ValueError(f"a second or a toneless trouble {kind.key} of {model.__name__}")
        _watched[model].kinds[kind.key] = kind


def all_kinds() -> dict[tuple[str, str], Trouble]:
    """Every kind by the names of its model and its key."""
    return {
        (model.__name__, key): kind
        for model, watched in _watched.items()
        for key, kind in watched.kinds.items()
    }


def choices(model: type[Model], present: str, *, with_statuses: bool = False) -> dict[str, str]:
    """What a list's filter offers in addition to the statuses. `present`: what is chosen now.

    `with_statuses`: also those that a status says, for a list whose filter offers no statuses.
    """
    kinds = {f"{PREFIX}{kind.key}": kind for kind in _watched[model].kinds.values()}
    return {
        value: kind.label
        for value, kind in kinds.items()
        if with_statuses or not kind.in_status or value == present
    }


def asked(model: type[Model], status: str) -> tuple[str, Q]:
    """A list's `?status=` as the status that it names, and the condition of a trouble."""
    if not status.startswith(PREFIX):
        return status, Q()
    kind = _watched[model].kinds.get(status.removeprefix(PREFIX))
    return "", kind.where() if kind else Q(pk__in=[])


def marked[Rows: QuerySet[Any]](found: Rows) -> Rows:
    """The rows, each with what is wrong with it, for the tag `{% troubles row %}`."""
    kinds = _watched[found.model].kinds.values()
    marks = {
        _mark(kind): Case(
            When(kind.where(), then=Value(True)), default=Value(False), output_field=BooleanField()
        )
        for kind in kinds
        if not kind.in_status
    }
    return found.annotate(**marks)


def of_row(row: Model) -> list[Trouble]:
    """What is wrong with a row out of `marked`, beside what its status says."""
    kinds = _watched[type(row)].kinds.values()
    return [kind for kind in kinds if getattr(row, _mark(kind), False)]


def found_by(actor: Actor) -> list[Finding]:
    """All that is wrong with what the actor may see, the worst first; one query for each list.

    What is equally bad is in the order of the apps, the uppermost first: mail before webhooks.
    """
    findings = []
    for watched in reversed(_watched.values()):
        try:
            rows = watched.rows(actor)
        except Forbidden:
            continue  # a list for admins
        counts = rows.order_by().aggregate(
            **{_mark(kind): Count("pk", filter=kind.where()) for kind in watched.kinds.values()}
        )
        findings += [
            Finding(kind, counts[_mark(kind)], watched.noun, _url(watched, kind))
            for kind in watched.kinds.values()
            if counts[_mark(kind)]
        ]
    return sorted(findings, key=lambda finding: TONES.index(finding.trouble.tone))


def _mark(kind: Trouble) -> str:
    return f"trouble_{kind.key}"


def _url(watched: _Watched, kind: Trouble) -> str:
    query = f"?status={PREFIX}{kind.key}" if watched.can_filter else ""
    return f"{reverse(watched.url_name)}{query}"
