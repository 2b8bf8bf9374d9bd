"""How well a mailbox's mail is likely to arrive: a score of 0 to 100 from named, weighted parts.

Each part says what it rests on and how it gets better. What nobody knows has no score and counts
neither for nor against. Everything is measured in bulk by a sweep.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q, Sum
from django.utils import timezone

from deliverability.blocklists import Listing, listings
from deliverability.limits import limit_on, ramp_of, today
from deliverability.models import SendingDay
from dnszones.models import Record
from mailboxes.models import Mailbox
from mailservers.models import MailDomain
from mpanel.core.bulk import ROWS_AT_ONCE, update_in_slices
from mpanel.core.extensions import Extensions
from mpanel.core.periodic import Slice

WEIGHTS: Final = {
    "authentication": 30,
    "bounces": 25,
    "complaints": 15,
    "blocklists": 15,
    "warm-up": 10,
    "age": 5,
}
LABELS: Final = {
    "authentication": "Authentication",
    "bounces": "Bounces",
    "complaints": "Complaints",
    "blocklists": "Blocklists",
    "warm-up": "Warm-up",
    "age": "Age",
}
PURPOSES: Final = {"spf": 30, "dkim": 30, "mx": 25, "dmarc": 15}
LOOKS_BACK = timedelta(days=30)
LEAST_SAMPLE = 10  # recipients whose fate is known, before a share of them means anything
WORST_BOUNCES, WORST_COMPLAINTS = 0.10, 0.003  # shares at which nothing is left of a part
GROWN_UP = 30  # days
AT_ONCE = 500  # domains measured together


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a score. `score`: 0 to 100, None where nobody knows."""

    key: str
    score: int | None
    evidence: str
    advice: str = ""

    @property
    def label(self) -> str:
        return LABELS[self.key]

    @property
    def weight(self) -> int:
        """Its share of the whole, in per cent if all parts are known."""
        return WEIGHTS[self.key]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the mail of the last 30 days, in recipients."""

    delivered: int = 0
    bounced: int = 0
    complaints: int = 0


def parts_of(stored: Sequence[Mapping[str, Any]]) -> list[Part]:
    """The parts as they were measured last."""
    return [Part(**part) for part in stored]


def total(parts: Iterable[Part]) -> int | None:
    """The weighted mean of the known parts, 0 to 100; None where none is known."""
    known = [(part.weight, part.score) for part in parts if part.score is not None]
    weights = sum(weight for weight, _ in known)
    return round(sum(weight * score for weight, score in known) / weights) if known else None


# --- The parts, pure -------------------------------------------------------------------------


def authentication(verdicts: Mapping[str, Sequence[str]]) -> Part:
    """From the last look at the domain's records: purpose to verdicts, as `Record.verdict`."""
    found: dict[str, bool] = {}
    for purpose, seen in verdicts.items():
        known = [verdict for verdict in seen if verdict != "unknown"]
        if purpose in PURPOSES and known:
            found[purpose] = all(verdict == "matches" for verdict in known)
    missing = [purpose.upper() for purpose in PURPOSES if found.get(purpose) is False]
    if not found:
        return Part("authentication", None, "The domain's DNS was not looked at yet.")
    good = [purpose.upper() for purpose in PURPOSES if found.get(purpose)]
    score = sum(PURPOSES[p] for p, fine in found.items() if fine) / sum(PURPOSES[p] for p in found)
    if missing:
        return Part(
            "authentication",
            round(100 * score),
            f"Not as planned: {', '.join(missing)}."
            + (f" In place: {', '.join(good)}." if good else ""),
            "Open the domain's DNS page and apply the plan again.",
        )
    return Part("authentication", 100, f"In place: {', '.join(good)}.")


def bounces(outcomes: Outcomes) -> Part:
    """From the share of recipients that bounced: none is 100, a tenth is 0."""
    tried = outcomes.delivered + outcomes.bounced
    if tried < LEAST_SAMPLE:
        return Part(
            "bounces",
            None,
            f"{_recipients(tried)} in 30 days: too few to score. It counts from 10.",
        )
    share = outcomes.bounced / tried
    return Part(
        "bounces",
        _left(share, WORST_BOUNCES),
        f"{outcomes.bounced} of {_recipients(tried)} in 30 days bounced ({share:.1%}).",
        "Take addresses that bounced off your lists, and verify lists before you send."
        if outcomes.bounced
        else "",
    )


def complaints(outcomes: Outcomes) -> Part:
    """From the share of recipients that complained: none is 100, 0.3 % is 0 (Google's limit)."""
    if not outcomes.complaints:
        # No feedback loop reports the absence of complaints.
        return Part("complaints", None, "No complaint was reported to us.")
    share = outcomes.complaints / max(1, outcomes.delivered)
    return Part(
        "complaints",
        _left(share, WORST_COMPLAINTS),
        f"{outcomes.complaints} complaints on {_recipients(outcomes.delivered)} in 30 days "
        f"({share:.2%}).",
        "Write only to people who expect it, and make leaving the list easy.",
    )


def blocklists(listings: Mapping[str, Listing]) -> Part:
    """From the lists that have the domain (its name) or an address that it sends from."""
    asked = sum(listing.asked for listing in listings.values())
    listed = [(name, one) for name, listing in listings.items() for one in listing.listed]
    if not asked:
        return Part("blocklists", None, "No blocklist could be asked.")
    if not listed:
        of = f"{len(listings)} names and addresses" if len(listings) > 1 else next(iter(listings))
        return Part("blocklists", 100, f"Not on any blocklist that we check for {of}.")
    told = ", ".join(f"{name} on {one}" for name, one in sorted(listed)[:5])
    return Part(
        "blocklists",
        0 if len(listed) > 1 else 30,
        f"Listed: {told}.",
        "Find out why on the list's own page, fix the cause, and ask there to be removed.",
    )


def warm_up(limit: int, ceiling: int, *, on_ramp: bool, reputation: float | None) -> Part:
    """From the ramp that we enforce and what the outreach tool says of its own warm-up."""
    scores, told = [], []
    if on_ramp:
        scores.append(min(100.0, 100 * limit / max(1, ceiling)))
        told.append(f"Ramp: {limit} of {ceiling} recipients a day.")
    if reputation is not None:
        scores.append(reputation)
        told.append(f"The outreach tool's warm-up reputation is {reputation:.0f} of 100.")
    if not scores:
        return Part("warm-up", None, "No warm-up was started.", "Start a warm-up before campaigns.")
    score = round(sum(scores) / len(scores))
    return Part(
        "warm-up",
        score,
        " ".join(told),
        "Let the warm-up go on until it has reached its ceiling." if score < 100 else "",
    )


def age(since: date | None, on: date) -> Part:
    """From how long it stands: 30 days are full age."""
    if since is None:
        return Part("age", None, "It is not in use yet.")
    days = max(0, (on - since).days)
    return Part(
        "age",
        min(100, round(100 * days / GROWN_UP)),
        f"In use for {days} {'day' if days == 1 else 'days'}.",
        f"Send little until it is {GROWN_UP} days old." if days < GROWN_UP else "",
    )


def _left(share: float, worst: float) -> int:
    return max(0, round(100 * (1 - share / worst)))


def _recipients(number: int) -> str:
    return f"{number} recipient" if number == 1 else f"{number} recipients"


# --- What apps above know -----------------------------------------------------------------------

# Of the mailboxes of domains: what the tools that warm them up say of them, 0 to 100.
Reputations = Callable[[Iterable[UUID]], Mapping[UUID, float]]

_reputations: Extensions[Reputations] = Extensions("reputations of mailboxes that warm up")
register_reputations = _reputations.register


# --- Measuring -------------------------------------------------------------------------------


def sweep() -> bool:
    """Measure what was measured too long ago, and at once what was never measured.

    For one slice; whether more may be due.
    """
    present = Slice()
    before = timezone.now() - timedelta(seconds=settings.HEALTH_INTERVAL)
    working = Mailbox.objects.working()
    due = MailDomain.objects.filter(
        Q(health_at=None)
        | Q(health_at__lt=before)
        | Q(domain_id__in=working.filter(health_at=None).values("domain_id"))
    )
    for chunk in batched(due.order_by("health_at").values_list("pk", flat=True), AT_ONCE):
        measure(chunk)
        if present.is_over:
            return True
    return False


def measure(mail_domain_ids: Sequence[UUID]) -> None:
    """Measure these domains and their mailboxes, and write down what changed."""
    found = MailDomain.objects.filter(pk__in=mail_domain_ids).select_related("domain", "server")
    domains = {mail.domain_id: mail for mail in found}
    boxes = list(Mailbox.objects.present().filter(domain_id__in=domains))
    verdicts = _verdicts(domains)
    outcomes = _outcomes([*domains, *(box.pk for box in boxes)])
    reputations = _reputations_of(domains)
    listed = asyncio.run(_blocklists_of(domains.values()))
    now, on = timezone.now(), today()
    per_domain: dict[UUID, list[int]] = defaultdict(list)
    for box in boxes:
        mail = domains[box.domain_id]
        ceiling = settings.MAILBOX_DAILY_LIMIT if box.daily_limit is None else box.daily_limit
        ramp = ramp_of(box)
        warm = warm_up(
            limit_on(on, ceiling, ramp),
            ceiling,
            on_ramp=ramp is not None,
            reputation=reputations.get(box.pk),
        )
        if warm.score is not None:
            per_domain[box.domain_id].append(warm.score)
        _note(
            box,
            [
                authentication(verdicts[box.domain_id]),
                bounces(outcomes.get(box.pk, Outcomes())),
                complaints(outcomes.get(box.pk, Outcomes())),
                blocklists(listed[mail.pk]),
                warm,
                age(box.created_at.date(), on),
            ],
            now,
        )
    for mail in domains.values():
        verified = mail.domain.verified_at
        _note(
            mail,
            [
                authentication(verdicts[mail.domain_id]),
                bounces(outcomes.get(mail.domain_id, Outcomes())),
                complaints(outcomes.get(mail.domain_id, Outcomes())),
                blocklists(listed[mail.pk]),
                _warm_up_of_all(per_domain[mail.domain_id]),
                age(verified.date() if verified else None, on),
            ],
            now,
        )
    columns = ["health_score", "health", "health_at"]
    update_in_slices(boxes, columns, at_once=ROWS_AT_ONCE)
    update_in_slices(domains.values(), columns, at_once=ROWS_AT_ONCE)


def _note(row: Mailbox | MailDomain, parts: Sequence[Part], now: datetime) -> None:
    row.health_score, row.health_at = total(parts), now
    row.health = [asdict(part) for part in parts]


def _warm_up_of_all(scores: Sequence[int]) -> Part:
    if not scores:
        return Part(
            "warm-up", None, "No mailbox is warming up.", "Start a warm-up before campaigns."
        )
    mean = round(sum(scores) / len(scores))
    boxes = "1 mailbox" if len(scores) == 1 else f"{len(scores)} mailboxes"
    return Part("warm-up", mean, f"{boxes} in warm-up, at {mean} % on average.")


def _verdicts(domains: Iterable[UUID]) -> dict[UUID, dict[str, list[str]]]:
    found: dict[UUID, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in Record.objects.filter(zone__domain_id__in=list(domains)).select_related("zone"):
        found[row.zone.domain_id][row.purpose].append(row.verdict)
    return found


def _outcomes(subjects: Sequence[UUID]) -> dict[UUID, Outcomes]:
    rows = (
        SendingDay.objects.filter(subject_id__in=subjects, day__gt=today() - LOOKS_BACK)
        .order_by()
        .values("subject_id")
        .annotate(a=Sum("delivered"), b=Sum("bounced"), c=Sum("complaints"))
    )
    return {row["subject_id"]: Outcomes(row["a"], row["b"], row["c"]) for row in rows}


def _reputations_of(domain_ids: Iterable[UUID]) -> dict[UUID, float]:
    found: dict[UUID, float] = {}
    for read in _reputations:
        found |= read(domain_ids)
    return found


async def _blocklists_of(mails: Iterable[MailDomain]) -> dict[UUID, dict[str, Listing]]:
    """What the blocklists say of each domain's name and of the addresses that it sends from."""
    wanted: dict[UUID, list[str]] = {}
    for mail in mails:
        addresses = mail.server.addresses if mail.server else []
        wanted[mail.pk] = [mail.domain.name, *map(str, addresses)]
    found = await listings({one for subjects in wanted.values() for one in subjects})
    return {
        pk: {one: found[one] for one in subjects if one in found} for pk, subjects in wanted.items()
    }
