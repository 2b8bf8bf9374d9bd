"""The one write path of what is sent: check all ceilings and count, all or nothing.

One statement on SQLite and PostgreSQL alike, in a transaction of its own. It locks the rows of
mailbox, domain and tenant in this order for everybody, so that no two senders wait for each other
in a circle, and the row that most share is held for the shortest time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import connection, transaction

from deliverability.limits import UNLIMITED, Ramp, SenderState, limit_on, plan_ceiling
from deliverability.models import SendingDay
from mpanel.core.models import new_id

SCRIPTS = UUID("6d9c2a51-3f0b-5e64-9a3f-0d5f5b7c1e20")  # the namespace of ids of scripts' counts
Part = tuple[str, Any, int]  # kind, subject and ceiling of one count

# An address that was deleted and given again stands twice: the living one counts. One whose domain
# is not verified sends nothing: the name may be somebody else's by now.
SENDER = """
SELECT m.id, m.domain_id, m.tenant_id, m.status, t.status, m.paused_at, m.paused_reason,
       a.plan, a.trial_ends_at, m.daily_limit, m.warmup_since, m.warmup_start, m.warmup_step,
       md.daily_ceiling
FROM mailboxes_mailbox m
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
JOIN tenants_tenant t ON t.id = m.tenant_id
LEFT JOIN billing_account a ON a.tenant_id = m.tenant_id
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
WHERE m.address = %s
ORDER BY CASE m.status WHEN 'deleted' THEN 1 ELSE 0 END
LIMIT 1
"""
ROW = "(%s, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, %s, %s, %s, %s, %s, 0, 0, 0, 0)"
COUNT = """
INSERT INTO mailboxes_sendingday AS counted (id, created_at, updated_at, tenant_id, kind,
    subject_id, day, sent, delivered, deferred, bounced, complaints)
VALUES {rows}
ON CONFLICT (subject_id, day) DO UPDATE
SET sent = counted.sent + excluded.sent, updated_at = CURRENT_TIMESTAMP
WHERE counted.sent + excluded.sent <=
    CASE counted.kind {ceilings} END
RETURNING kind
"""
USED = "SELECT sent FROM mailboxes_sendingday WHERE subject_id = %s AND day = %s"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends. Ids are as the database speaks them."""

    mailbox: Any
    domain: Any
    tenant: Any
    state: SenderState
    ceiling: int
    ramp: Ramp | None
    domain_ceiling: int

    def limits(self, day: date) -> tuple[int, int, int]:
        """Of mailbox, domain and tenant on a day."""
        return (
            limit_on(day, self.ceiling, self.ramp),
            self.domain_ceiling,
            plan_ceiling(self.state.plan),
        )


@dataclass(frozen=True, slots=True)
class Over:
    """A ceiling that is in the way: of which `kind`, how high, how much of it is used."""

    kind: str
    limit: int
    used: int


class TooLate(Exception):
    """Nobody waits for this answer any more, so nothing was counted."""


def sender_of(address: str, *, before: str = "") -> Sender | None:
    """Who logs in by this address; None where nobody ever did. One query.

    `before`: see `_rows`.
    """
    row = next(iter(_rows(SENDER, [address], before)), None)
    if row is None:
        return None
    mailbox, domain, tenant, status, tenant_status, paused_at, paused_reason, *limits = row
    plan, trial_ends_at, daily_limit, since, start, step, domain_ceiling = limits
    return Sender(
        mailbox,
        domain,
        tenant,
        SenderState(
            status,
            tenant_status,
            paused=paused_at is not None,
            paused_reason=paused_reason,
            plan=plan,
            trial_ends_at=_moment(trial_ends_at),
        ),
        ceiling=settings.MAILBOX_DAILY_LIMIT if daily_limit is None else daily_limit,
        ramp=None if since is None else Ramp(since, start, step),
        domain_ceiling=UNLIMITED if domain_ceiling is None else domain_ceiling,
    )


def count(
    sender: Sender,
    number: int,
    day: date,
    *,
    in_time: Callable[[], bool] = lambda: True,
    before: str = "",
) -> Over | None:
    """Count `number` recipients for mailbox, domain and tenant, or none of it and say why.

    `in_time`: asked last, before it counts for good. Raises `TooLate` where it answers False.
    `before`: see `_rows`.
    """
    mailbox, domain, tenant = sender.limits(day)
    parts = (
        (SendingDay.MAILBOX, sender.mailbox, mailbox),
        (SendingDay.DOMAIN, sender.domain, domain),
        (SendingDay.TENANT, sender.tenant, tenant),
    )
    return _count_all(sender, parts, number, day, in_time=in_time, before=before)


def count_of_scripts(
    sender: Sender,
    number: int,
    day: date,
    *,
    in_time: Callable[[], bool] = lambda: True,
    before: str = "",
) -> Over | None:
    """Count what the mailbox's filter scripts send, as `count` does, against their own ceiling."""
    part = (SendingDay.SCRIPTS, scripts_of(sender.mailbox).hex, settings.MAILBOX_SCRIPTS_LIMIT)
    return _count_all(sender, [part], number, day, in_time=in_time, before=before)


def scripts_of(mailbox: Any) -> UUID:
    """The `subject_id` under which a mailbox's scripts are counted."""
    return uuid5(SCRIPTS, UUID(str(mailbox)).hex)


def _count_all(
    sender: Sender,
    parts: Sequence[Part],
    number: int,
    day: date,
    *,
    in_time: Callable[[], bool],
    before: str,
) -> Over | None:
    for kind, subject, limit in parts:
        if number > limit:  # the first row of a day is not compared by the statement
            return Over(kind, limit, _used(subject, day))
    with transaction.atomic():
        granted = _count(sender, parts, number, day, before=before)
        if len(granted) < len(parts):
            transaction.set_rollback(True)
        elif not in_time():
            raise TooLate
    for kind, subject, limit in parts:
        if kind not in granted:
            return Over(kind, limit, _used(subject, day))
    return None


def _count(
    sender: Sender, parts: Sequence[Part], number: int, day: date, *, before: str
) -> set[str]:
    values: list[Any] = []
    for kind, subject, _ in parts:
        values += [new_id().hex, sender.tenant, kind, subject, day.isoformat(), number]
    for kind, _, limit in parts:
        values += [kind, limit]
    statement = COUNT.format(
        rows=", ".join([ROW] * len(parts)), ceilings="WHEN %s THEN %s " * len(parts)
    )
    return {kind for (kind,) in _rows(statement, values, before)}


def _rows(sql: str, values: Sequence[Any], before: str) -> list[Any]:
    """What a statement answers.

    `before`: statements for PostgreSQL that go in the same round trip, and so in one transaction
    with this one, which the server begins where none is open.
    https://www.postgresql.org/docs/17/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
    """
    with connection.cursor() as cursor:
        cursor.execute(before + sql, values)
        if before:
            while cursor.nextset():
                pass
        return list(cursor.fetchall())


def _used(subject: Any, day: date) -> int:
    with connection.cursor() as cursor:
        cursor.execute(USED, [subject, day.isoformat()])
        row = cursor.fetchone()
    return row[0] if row else 0


def _moment(value: datetime | None) -> datetime | None:
    """A time, which SQLite keeps in UTC without saying so."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
