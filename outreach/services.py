"""Connecting mailboxes to outreach tools, taking them back, and seating them in campaigns."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.conf import settings
from django.db import transaction

from billing.services import lock_account, require_running
from domains.models import Domain
from events.services import record, record_each
from mailboxes import selectors as mail
from mailboxes.models import Mailbox
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict, Invalid, ProviderError
from outreach import selectors
from outreach.errors import (
    AccountAlreadyConnected,
    AccountNotConnected,
    AccountNotFound,
    CampaignElsewhere,
    CampaignNotFound,
    CampaignsNotIncluded,
    CredentialsNotFound,
    MailboxNotReady,
    as_answer,
)
from outreach.models import CampaignSeat, OutreachLink
from outreach.providers.base import Campaign, WarmupSettings
from outreach.records import mark_disconnected
from outreach.vendors import outreach_provider, tool
from provisioning.models import Job
from provisioning.services import start_job
from tenants.models import ProviderCredential

USUAL = WarmupSettings()
MOST_A_DAY = 1000
MOST_AT_ONCE = 1000


@transaction.atomic
def connect_mailbox(
    actor: Actor,
    mailbox_id: UUID,
    *,
    provider: str,
    credential_id: UUID | None = None,
    warmup: WarmupSettings = USUAL,
) -> OutreachLink:
    """Hand one mailbox to a tool; a job does it.

    Raises `AccountNotFound`, `MailboxNotReady`, `CredentialsNotFound`, `AccountAlreadyConnected`,
    `OutreachNotConnected`, `CredentialNotFound`, `TrialExpired`.
    """
    actor.require(ADMIN, "mailboxes:write")
    actor.require_fresh_code()
    require_running(lock_account(actor.tenant_id))
    mailbox = selectors.get_account(actor, mailbox_id)
    credential = selectors.chosen_account(actor, credential_id, provider=provider)
    _check(warmup)
    (link,) = _begin(actor, [mailbox], credential, warmup)
    return link


@transaction.atomic
def connect_mailboxes(
    actor: Actor,
    mailbox_ids: Sequence[UUID],
    *,
    credential_id: UUID,
    warmup: WarmupSettings = USUAL,
) -> list[OutreachLink]:
    """Hand all of these that can be connected to the tool of a credential, with one job.

    Those that are connected already or do not work now are left out; raises `MailboxNotReady` or
    `AccountAlreadyConnected` where none is left, and what `connect_mailbox` raises.
    """
    actor.require(ADMIN, "mailboxes:write")
    actor.require_fresh_code()
    require_running(lock_account(actor.tenant_id))
    if len(mailbox_ids) > MOST_AT_ONCE:
        raise Invalid.field("mailboxes", f"Choose at most {MOST_AT_ONCE} mailboxes.")
    credential = _tool_account(actor, credential_id)
    _check(warmup)
    wanted = selectors.connectable(actor, provider=credential.provider)
    chosen = list(wanted.filter(pk__in=mailbox_ids).exclude(sealed_password=""))
    if not chosen:
        if mail.mailboxes(actor).filter(pk__in=mailbox_ids).count() != len(set(mailbox_ids)):
            raise AccountNotFound
        if selectors.ready(actor).filter(pk__in=mailbox_ids).exists():
            raise AccountAlreadyConnected
        raise MailboxNotReady
    return _begin(actor, chosen, credential, warmup)


@transaction.atomic
def retry_link(actor: Actor, link_id: UUID) -> OutreachLink:
    """Try a connection that failed once more, alone. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    actor.require_fresh_code()
    require_running(lock_account(actor.tenant_id))
    link = selectors.get_link(actor, link_id)
    if link.status == OutreachLink.CONNECTING:
        return link
    if link.status != OutreachLink.FAILED or link.credential_id is None:
        raise Conflict(
            f"This connection is {link.status_label.lower()}; there is nothing to retry."
        )
    _require_ready(link.mailbox)
    link.move(OutreachLink.CONNECTING, error_code="", error_message="", remote_id="")
    record(actor, "outreach.retried", link.mailbox, f"Tried to connect {link.mailbox} again.")
    _start(actor, "outreach.connect", [link], verb="Connect", where=tool(link.provider).label)
    return link


@transaction.atomic
def disconnect_mailboxes(
    actor: Actor, mailbox_ids: Sequence[UUID], *, provider: str
) -> list[OutreachLink]:
    """Leave their campaigns and switch them off at a tool, which keeps its history.

    Raises `AccountNotFound`, `AccountNotConnected` where none of them is. Twice is harmless.
    """
    actor.require(ADMIN, "mailboxes:write")
    known = mail.mailboxes(actor).filter(pk__in=mailbox_ids)
    if known.count() != len(set(mailbox_ids)):
        raise AccountNotFound
    found = list(
        selectors.links(actor)
        .filter(mailbox__in=known, provider=provider)
        .exclude(status=OutreachLink.DISCONNECTED)
    )
    if not found:
        raise AccountNotConnected
    return _disconnect(actor, found)


@transaction.atomic
def disconnect_link(actor: Actor, link_id: UUID) -> OutreachLink:
    """As `disconnect_mailboxes`, for one connection."""
    actor.require(ADMIN, "mailboxes:write")
    link = selectors.get_link(actor, link_id)
    if link.status != OutreachLink.DISCONNECTED:
        _disconnect(actor, [link])
    return link


def read_campaigns(
    actor: Actor, *, provider: str, credential_id: UUID | None = None
) -> list[Campaign]:
    """The campaigns of an account, read from the tool now (docs/decisions/0007).

    Callers stand outside of any transaction and take a place (`mpanel.core.api.waiting.outside`).

    Without an account, the first of the tenant's own. Raises `OutreachNotConnected`,
    `CampaignsNotIncluded`, `CredentialNotFound`, and `SmartleadApiError` and its like.
    """
    actor.need("mailboxes:read")
    own = selectors.outreach_credentials(actor, provider=provider).filter(is_included=False)
    credential = (own.first() if credential_id is None else None) or selectors.chosen_account(
        actor, credential_id, provider=provider
    )
    if credential.is_included:
        raise CampaignsNotIncluded
    try:
        found = outreach_provider(credential, timeout=settings.LOOKUP_TIMEOUT).campaigns()
    except ProviderError as error:
        raise as_answer(error, provider) from None
    return [replace(campaign, account=str(credential.pk)) for campaign in found]


def find_campaign(
    actor: Actor,
    mailbox_ids: Sequence[UUID],
    campaign_id: str,
    *,
    provider: str,
    credential_id: UUID | None = None,
) -> Campaign:
    """The campaign that these connected mailboxes are to join, read from the tool now.

    Without an account, that of the mailboxes. Raises `AccountNotFound`, `AccountNotConnected` and
    `CampaignsNotIncluded` before it looks, then what `read_campaigns` raises, `CampaignNotFound`
    and `CampaignElsewhere`.
    """
    actor.require(ADMIN, "mailboxes:write")
    connected = _for_campaigns(actor, mailbox_ids, provider)
    credential_id = credential_id or connected[0].credential_id
    found = read_campaigns(actor, provider=provider, credential_id=credential_id)
    campaign = next((one for one in found if one.id == campaign_id), None)
    if campaign is None:
        raise CampaignNotFound
    _require_account(campaign, connected)
    return campaign


@transaction.atomic
def assign_campaign(
    actor: Actor, mailbox_ids: Sequence[UUID], campaign: Campaign, *, provider: str
) -> list[CampaignSeat]:
    """Let these mailboxes send for a campaign; a job tells the tool. Twice is harmless.

    `campaign`: as `read_campaigns` gives it. Raises `AccountNotFound`, `AccountNotConnected` where
    one of them is not connected, `CampaignElsewhere` where one is at another account.
    """
    actor.require(ADMIN, "mailboxes:write")
    require_running(lock_account(actor.tenant_id))
    connected = _for_campaigns(actor, mailbox_ids, provider)
    _require_account(campaign, connected)
    seats = [_seat(link, campaign) for link in connected]
    record_each(
        actor,
        "outreach.assigned",
        [link.mailbox for link in connected],
        lambda mailbox: f"Asked to let {mailbox} send for the campaign “{campaign.name}”.",
    )
    where = f"the campaign “{campaign.name}”"
    _start(actor, "outreach.assign", connected, verb="Seat", where=where, to="in")
    return seats


def why_not(mailbox: Mailbox) -> Conflict | None:
    """Why a mailbox cannot be connected now, if so."""
    if mailbox.status not in Mailbox.WORKING or mailbox.smtp_proved_at is None:
        return MailboxNotReady()
    if not mailbox.sealed_password:
        return CredentialsNotFound()
    return None


@transaction.atomic
def tell_new_password(actor: Actor, mailboxes: Sequence[Mailbox]) -> None:
    """The passwords of these change: the tools that have them log in anew, once they work."""
    links = list(
        OutreachLink.objects.filter(
            mailbox__in=mailboxes, status=OutreachLink.CONNECTED
        ).select_related("mailbox__domain")
    )
    for link in links:
        link.move(OutreachLink.CONNECTING, remote_id="")
    for group in _by_credential(links):
        where = tool(group[0].provider).label
        _start(actor, "outreach.connect", group, verb="Reconnect", where=where)


def _begin(
    actor: Actor,
    mailboxes: Sequence[Mailbox],
    credential: ProviderCredential,
    warmup: WarmupSettings,
) -> list[OutreachLink]:
    for mailbox in mailboxes:
        _require_ready(mailbox)
    links = [_link(mailbox, credential, warmup) for mailbox in mailboxes]
    where = tool(credential.provider).label
    record_each(
        actor,
        "outreach.connecting",
        list(mailboxes),
        lambda mailbox: f"Asked to connect {mailbox} to {where}.",
    )
    _start(actor, "outreach.connect", links, verb="Connect", where=where)
    return links


def _link(mailbox: Mailbox, credential: ProviderCredential, warmup: WarmupSettings) -> OutreachLink:
    """The row of a connection that is wanted now: a new one, or the one that failed before."""
    wish = {
        "credential": credential,
        "warmup_enabled": warmup.enabled,
        "max_email_per_day": warmup.max_email_per_day,
        "total_warmup_per_day": warmup.total_per_day,
        "daily_rampup": warmup.daily_rampup,
    }
    present = OutreachLink.objects.filter(mailbox=mailbox, provider=credential.provider)
    known = present.exclude(status=OutreachLink.DISCONNECTED).first()
    if known is None:
        return OutreachLink.objects.create(
            tenant_id=mailbox.tenant_id, mailbox=mailbox, provider=credential.provider, **wish
        )
    if known.status != OutreachLink.FAILED:
        raise AccountAlreadyConnected
    known.mailbox = mailbox
    known.move(OutreachLink.CONNECTING, error_code="", error_message="", remote_id="", **wish)
    return known


def _disconnect(actor: Actor, links: Sequence[OutreachLink]) -> list[OutreachLink]:
    """Those that never got there are over at once; a job takes the others back."""
    fresh = [link for link in links if link.status != OutreachLink.DISCONNECTING]
    never = [link for link in fresh if link.status == OutreachLink.FAILED and not link.remote_id]
    leaving = [link for link in fresh if link not in never]
    for link in leaving:
        link.move(OutreachLink.DISCONNECTING, error_code="", error_message="")
    where = {link.mailbox_id: tool(link.provider).label for link in fresh}
    record_each(
        actor,
        "outreach.disconnecting",
        [link.mailbox for link in fresh],
        lambda mailbox: f"Asked to disconnect {mailbox} from {where[mailbox.pk]}.",
    )
    mark_disconnected(never)
    for group in _by_credential(leaving):
        label = tool(group[0].provider).label
        _start(actor, "outreach.disconnect", group, verb="Disconnect", where=label, to="from")
    return list(links)


def _connected(actor: Actor, mailbox_ids: Sequence[UUID], provider: str) -> list[OutreachLink]:
    """The connections of exactly these mailboxes."""
    wanted = set(mailbox_ids)
    if mail.mailboxes(actor).filter(pk__in=wanted).count() != len(wanted):
        raise AccountNotFound
    connected = list(
        selectors.links(actor).filter(
            mailbox__in=wanted, provider=provider, status=OutreachLink.CONNECTED
        )
    )
    if len(connected) != len(wanted):
        raise AccountNotConnected
    return connected


def _for_campaigns(actor: Actor, mailbox_ids: Sequence[UUID], provider: str) -> list[OutreachLink]:
    """The connections of exactly these mailboxes, all of them through accounts of the tenant."""
    connected = _connected(actor, mailbox_ids, provider)
    accounts = {link.credential_id for link in connected if link.credential_id}
    if selectors.outreach_credentials(actor).filter(pk__in=accounts, is_included=True).exists():
        raise CampaignsNotIncluded
    return connected


def _require_account(campaign: Campaign, connected: Sequence[OutreachLink]) -> None:
    """Raise `CampaignElsewhere` unless all are at the account whose campaign this is."""
    if {str(link.credential_id) for link in connected} != {campaign.account}:
        raise CampaignElsewhere


def _seat(link: OutreachLink, campaign: Campaign) -> CampaignSeat:
    seat, _ = CampaignSeat.objects.get_or_create(
        link=link, campaign_id=campaign.id, defaults={"campaign_name": campaign.name}
    )
    if seat.left_at is not None:
        seat.left_at = seat.joined_at = None
        seat.campaign_name = campaign.name
        seat.save(update_fields=["left_at", "joined_at", "campaign_name", "updated_at"])
    return seat


def _start(
    actor: Actor,
    workflow: str,
    links: Sequence[OutreachLink],
    *,
    verb: str,
    where: str,
    to: str = "to",
) -> Job:
    """A job for these connections of one credential, after all others with the same key."""
    domains: dict[UUID, Domain] = {link.mailbox.domain_id: link.mailbox.domain for link in links}
    credential_id = links[0].credential_id
    assert credential_id is not None
    many = f"{len(links)} mailboxes"
    whom = links[0].mailbox if len(links) == 1 else many
    one_domain = next(iter(domains.values())) if len(domains) == 1 else None
    return start_job(
        actor,
        workflow,
        label=f"{verb} {whom} {to} {where}"[:200],
        subject_id=one_domain.pk if one_domain else credential_id,
        subject_label=str(one_domain) if one_domain else many,
        params={"links": [str(link.pk) for link in links]},
        lock=f"outreach:{credential_id}",
    )


def _by_credential(links: Sequence[OutreachLink]) -> list[list[OutreachLink]]:
    groups: dict[UUID | None, list[OutreachLink]] = {}
    for link in links:
        groups.setdefault(link.credential_id, []).append(link)
    return list(groups.values())


def _tool_account(actor: Actor, credential_id: UUID) -> ProviderCredential:
    found = selectors.outreach_credentials(actor).filter(pk=credential_id).first()
    if found is None:
        raise Invalid.field("credential", "Choose one of your accounts at an outreach tool.")
    return found


def _require_ready(mailbox: Mailbox) -> None:
    if refusal := why_not(mailbox):
        raise refusal


def _check(warmup: WarmupSettings) -> None:
    for name, value, least in (
        ("max_email_per_day", warmup.max_email_per_day, 1),
        ("total_warmup_per_day", warmup.total_per_day, 0),
        ("daily_rampup", warmup.daily_rampup, 0),
    ):
        if not least <= value <= MOST_A_DAY:
            raise Invalid.field(name, f"Enter a number from {least} to {MOST_A_DAY:,}.")
