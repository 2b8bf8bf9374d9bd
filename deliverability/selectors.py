"""Reading what was sent, and what may be sent; an actor sees their own tenant's only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from django.conf import settings

from billing.selectors import get_account
from deliverability.limits import (
    UNLIMITED,
    Ramp,
    ceiling_of,
    limit_today,
    plan_ceiling,
    ramp_of,
    today,
)
from deliverability.models import SendingDay
from domains.models import Domain
from domains.selectors import get_domain
from mailboxes.models import Mailbox
from mailboxes.selectors import InboxRow, get_mailbox
from mailservers.models import MailDomain
from mpanel.core import registry
from mpanel.core.actor import Actor

DAYS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Day:
    """What was sent on a day, in recipients, and what became of it as far as is known."""

    date: date
    sent: int = 0
    delivered: int = 0
    deferred: int = 0
    bounced: int = 0
    complaints: int = 0


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is used. `limit`: None where there is none."""

    sent: int
    limit: int | None

    @property
    def tone(self) -> str:
        """How the bar looks."""
        if self.limit is None or self.sent * 5 < self.limit * 4:
            return "info"
        return "warning" if self.sent < self.limit else "danger"


@dataclass(frozen=True, slots=True)
class Sending:
    """How a mailbox sends. `use`: of today's limit; `ceiling`: the limit after the warm-up.

    `usual`: the ceiling is the one that holds where nobody chose another. `reaches`: the day on
    which the ramp is at the ceiling.
    """

    mailbox: Mailbox
    use: Use
    ceiling: int
    usual: bool
    ramp: Ramp | None
    reaches: date | None
    days: list[Day]


@dataclass(frozen=True, slots=True)
class DomainSending:
    """How all mailboxes of a domain together send, and all of the tenant."""

    domain: Domain
    use: Use
    account: Use
    running: list[Mailbox]
    possible: int
    days: list[Day]


def sending_of(actor: Actor, mailbox_id: UUID) -> Sending:
    """Limit, ramp and the last thirty days of a mailbox. Raises `MailboxNotFound`."""
    mailbox = get_mailbox(actor, mailbox_id)
    ramp, ceiling = ramp_of(mailbox), ceiling_of(mailbox)
    days = days_of(mailbox.pk)
    return Sending(
        mailbox,
        use=Use(days[-1].sent, limit_today(mailbox)),
        ceiling=ceiling,
        usual=mailbox.daily_limit is None,
        ramp=ramp,
        reaches=ramp.reaches(ceiling) if ramp else None,
        days=days,
    )


def sending_of_domain(actor: Actor, domain_id: UUID) -> DomainSending:
    """Sums, ceiling and the last thirty days of a domain. Raises `DomainNotFound`.

    `running`: its mailboxes that may send; `possible`: how much, by their own limits.
    """
    actor.need("mailboxes:read")
    domain = get_domain(actor, domain_id)
    mail = MailDomain.objects.filter(domain=domain).first()
    days = days_of(domain.pk)
    plan = plan_ceiling(get_account(actor).plan)
    mailboxes = Mailbox.objects.working().filter(domain=domain)
    running = list(mailboxes.only("daily_limit", "warmup_since", "warmup_start", "warmup_step"))
    return DomainSending(
        domain,
        use=Use(days[-1].sent, mail.daily_ceiling if mail else None),
        account=Use(
            sent_today([domain.tenant_id]).get(domain.tenant_id, 0),
            None if plan == UNLIMITED else plan,
        ),
        running=running,
        possible=sum(limit_today(mailbox) for mailbox in running),
        days=days,
    )


def days_of(subject_id: UUID) -> list[Day]:
    """The last thirty days of a mailbox, domain or tenant, the oldest first, today last.

    The caller has seen that the actor may look at it.
    """
    last = today()
    days = {
        last - timedelta(days=ago): Day(last - timedelta(days=ago)) for ago in range(DAYS_SHOWN)
    }
    names = ("sent", "delivered", "deferred", "bounced", "complaints")
    rows = SendingDay.objects.filter(subject_id=subject_id, day__gt=last - timedelta(DAYS_SHOWN))
    for row in rows.values("day", *names):
        if row["day"] in days:
            days[row["day"]] = replace(days[row["day"]], **{name: row[name] for name in names})
    return [days[day] for day in sorted(days)]


def sent_today(subject_ids: Iterable[UUID]) -> dict[UUID, int]:
    """What each of these sent today; one query. Who sent nothing is missing."""
    rows = SendingDay.objects.filter(subject_id__in=list(subject_ids), day=today())
    return dict(rows.values_list("subject_id", "sent"))


def sent_today_by_mailboxes(tenant_id: UUID) -> dict[UUID, int]:
    """What each mailbox of a tenant sent today; one query, for lists of all of them."""
    rows = SendingDay.objects.filter(tenant_id=tenant_id, kind=SendingDay.MAILBOX, day=today())
    return dict(rows.values_list("subject_id", "sent"))


def uses_of(mailboxes: Iterable[Mailbox]) -> dict[UUID, Use]:
    """How much each of these has used of today's limit; one query."""
    found = list(mailboxes)
    sent = sent_today(mailbox.pk for mailbox in found)
    return {one.pk: Use(sent.get(one.pk, 0), limit_today(one)) for one in found}


def is_measured(provider: str) -> bool:
    """Whether what is sent through a provider is counted here."""
    return bool(registry.get("mail", provider).is_ours)


def limits_today(rows: Sequence[InboxRow | Mailbox]) -> list[int | None]:
    """What each of these may send to today, None where a vendor limits. For long lists: what all
    have in common is looked up once."""
    usual = int(settings.MAILBOX_DAILY_LIMIT)
    measured = {provider: is_measured(provider) for provider in {row.provider for row in rows}}

    def limit(row: InboxRow | Mailbox) -> int | None:
        if not measured[row.provider]:
            return None
        if row.warmup_since is not None:
            return limit_today(row)
        return usual if row.daily_limit is None else row.daily_limit

    return [limit(row) for row in rows]


def show_use(found: Iterable[Mailbox]) -> None:
    """Give each mailbox of a list its `use` of today's limit; None where a vendor counts."""
    found = list(found)
    uses = uses_of(found)
    for mailbox in found:
        mailbox.use = uses[mailbox.pk] if is_measured(mailbox.provider) else None
