"""Reading what mailboxes do at outreach tools; an actor sees their own tenant's only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Avg, Prefetch, QuerySet
from django.utils import timezone

from domains.models import Domain
from mailboxes import selectors as mail
from mailboxes.cards import Card as PageCard
from mailboxes.models import Mailbox, MailboxQuerySet
from mpanel.core.actor import Actor
from mpanel.core.errors import Invalid
from outreach.charts import SHOWN_DAYS, WarmupChart, chart_of
from outreach.errors import AccountNotFound, LinkNotFound, OutreachNotConnected
from outreach.models import CampaignSeat, OutreachLink, WarmupDay
from outreach.vendors import PORT, tool
from provisioning.models import Job
from provisioning.selectors import jobs
from tenants.models import ProviderCredential
from tenants.selectors import CredentialNotFound, credentials, credentials_for

WORKFLOWS = ("outreach.connect", "outreach.disconnect", "outreach.assign")


def links(actor: Actor) -> QuerySet[OutreachLink]:
    """The tenant's connections, those of the past included, newest first."""
    actor.need("mailboxes:read")
    return OutreachLink.objects.filter(tenant_id=actor.tenant_id).select_related("mailbox__domain")


def get_link(actor: Actor, link_id: UUID) -> OutreachLink:
    """One connection. Raises `LinkNotFound`."""
    if found := links(actor).filter(pk=link_id).first():
        return found
    raise LinkNotFound


def get_account(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """One mailbox of the tenant. Raises `AccountNotFound`."""
    if found := mail.mailboxes(actor).filter(pk=mailbox_id).first():
        return found
    raise AccountNotFound


def links_of(actor: Actor, mailbox: Mailbox) -> list[OutreachLink]:
    """All of a mailbox's connections with their campaigns and last days; the present ones first."""
    found = links(actor).filter(mailbox=mailbox).prefetch_related(*_details())
    return sorted(found, key=lambda link: link.status == OutreachLink.DISCONNECTED)


def links_of_domain(actor: Actor, domain: Domain) -> list[OutreachLink]:
    """The present connections of a domain's mailboxes, by address, with their campaigns."""
    found = (
        links(actor)
        .filter(mailbox__domain=domain)
        .exclude(status=OutreachLink.DISCONNECTED)
        .exclude(mailbox__status__in=(Mailbox.DELETING, Mailbox.DELETED))
        .order_by("mailbox__address", "provider")
    )
    return list(found.select_related("credential").prefetch_related(*_details()))


def ready(actor: Actor) -> MailboxQuerySet:
    """Mailboxes that work: proved, and not suspended."""
    return mail.mailboxes(actor).working().filter(smtp_proved_at__isnull=False)


def connectable(actor: Actor, *, provider: str = "") -> MailboxQuerySet:
    """Mailboxes that work and are not connected to this tool; to none, where none is named."""
    held = (OutreachLink.CONNECTING, OutreachLink.CONNECTED, OutreachLink.DISCONNECTING)
    taken = OutreachLink.objects.filter(tenant_id=actor.tenant_id, status__in=held)
    if provider:
        taken = taken.filter(provider=provider)
    return ready(actor).exclude(pk__in=taken.values("mailbox"))


def _details() -> tuple[Prefetch, Prefetch]:
    since = timezone.now().date() - timedelta(days=SHOWN_DAYS - 1)
    return (
        Prefetch("seats", CampaignSeat.objects.filter(left_at=None)),
        Prefetch("days", WarmupDay.objects.filter(date__gte=since)),
    )


def outreach_credentials(actor: Actor, *, provider: str = "") -> QuerySet[ProviderCredential]:
    """The tenant's accounts at outreach tools, Smartlead's first as in the contract, by label."""
    found = credentials_for(actor, PORT).order_by("-provider", "label", "id")
    return found.filter(provider=provider) if provider else found


def chosen_account(
    actor: Actor, credential_id: UUID | None, *, provider: str
) -> ProviderCredential:
    """The account that is named, else the first at this tool.

    Raises `CredentialNotFound`, `Invalid` for an account elsewhere, `OutreachNotConnected`.
    """
    if credential_id is None:
        if found := outreach_credentials(actor, provider=provider).first():
            return found
        raise OutreachNotConnected
    chosen = credentials(actor).filter(pk=credential_id).first()
    if chosen is None:
        raise CredentialNotFound
    if (chosen.port, chosen.provider) != (PORT, provider):
        raise Invalid.field("credential_id", "Choose a credential of this outreach tool.")
    return chosen


def jobs_of_link(actor: Actor, link: OutreachLink, workflow: str) -> Job | None:
    """The newest job of this kind that is about this connection."""
    subjects = [link.mailbox.domain_id, *([link.credential_id] if link.credential_id else [])]
    found = jobs(actor, workflow=workflow).filter(subject_id__in=subjects)[:50]
    return next((job for job in found if str(link.pk) in job.params["links"]), None)


@dataclass(frozen=True)
class WarmupStats:
    """What a tool counted of a mailbox's warm-up, oldest day first."""

    mailbox_id: UUID
    provider: str
    enabled: bool
    days: tuple[WarmupDay, ...]


def warmup_stats(actor: Actor, mailbox_id: UUID, *, provider: str = "") -> WarmupStats:
    """The last seven days at a tool; at the one connected last, where none is named."""
    mailbox = get_account(actor, mailbox_id)
    found = [link for link in links_of(actor, mailbox) if not provider or link.provider == provider]
    if not found:
        return WarmupStats(mailbox.pk, provider, enabled=False, days=())
    link = found[0]
    is_on = link.status == OutreachLink.CONNECTED and link.warmup_enabled
    return WarmupStats(mailbox.pk, link.provider, is_on, tuple(link.days.all()))


@dataclass(frozen=True)
class Card:
    """A mailbox at one tool, as its page shows it."""

    link: OutreachLink
    label: str
    campaigns: tuple[str, ...]
    chart: WarmupChart | None


def cards(actor: Actor, mailbox: Mailbox) -> list[Card]:
    """How a mailbox stands with each tool that it ever was at, the newest of each."""
    newest: dict[str, OutreachLink] = {}
    for link in links_of(actor, mailbox):
        newest.setdefault(link.provider, link)
    return [
        Card(
            link,
            tool(link.provider).label,
            tuple(seat.campaign_name for seat in link.seats.all()),
            chart_of(link.days.all()),
        )
        for link in newest.values()
    ]


def mailbox_cards(actor: Actor, mailbox: Mailbox) -> list[PageCard]:
    """The same for the mailbox's page."""
    return [PageCard("outreach/card.html", {"tools": cards(actor, mailbox)})]


def reputations(domain_ids: Iterable[UUID]) -> dict[UUID, float]:
    """What the tools say of the mailboxes of these domains, 0 to 100; for the health sweep."""
    rows = (
        OutreachLink.objects.filter(
            mailbox__domain_id__in=list(domain_ids),
            status=OutreachLink.CONNECTED,
            reputation__isnull=False,
        )
        .order_by()
        .values("mailbox_id")
        .annotate(mean=Avg("reputation"))
    )
    return {row["mailbox_id"]: row["mean"] for row in rows}
