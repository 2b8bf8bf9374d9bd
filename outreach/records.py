"""What states and sweeps write down about connections; people come in by `services`."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from domains.models import Domain
from events.services import record
from mailboxes.models import Mailbox
from mpanel.core.actor import system
from mpanel.core.errors import Conflict
from outreach.models import CampaignSeat, OutreachLink
from outreach.providers.base import KEY_REFUSED, RemoteSender
from outreach.vendors import tool
from tenants.models import ProviderCredential


def keep_sender(link: OutreachLink, sender: RemoteSender) -> bool:
    """The tool has the mailbox; False where somebody took the wish back meanwhile."""
    rows = OutreachLink.objects.filter(pk=link.pk, status=OutreachLink.CONNECTING)
    kept = rows.update(
        remote_id=sender.id,
        reputation=sender.reputation,
        error_code="",
        error_message="",
        updated_at=timezone.now(),
    )
    link.remote_id = sender.id
    return kept == 1


@transaction.atomic
def mark_connected(link: OutreachLink) -> None:
    """It is there with the settings that were asked for."""
    try:
        link.move(OutreachLink.CONNECTED, connected_at=timezone.now(), disconnected_at=None)
    except Conflict:
        return  # somebody took the wish back
    where = tool(link.provider).label
    text = f"Connected {link.mailbox} to {where}."
    record(
        system(link.tenant_id),
        "outreach.connected",
        link.mailbox,
        text,
        changes={"provider": link.provider, "warmup": link.warmup_enabled},
    )
    # At once, so that whoever sees the last one connected sees the domain connected.
    settle_domains([link.mailbox.domain_id])


@transaction.atomic
def refuse(link: OutreachLink, code: str, message: str) -> None:
    """This one cannot be had, or is lost; the others go on."""
    was = "disconnected from" if link.status == OutreachLink.DISCONNECTING else "connected to"
    try:
        link.move(OutreachLink.FAILED, error_code=code, error_message=message)
    except Conflict:
        return
    record(
        system(link.tenant_id),
        "outreach.failed",
        link.mailbox,
        f"{link.mailbox} is not {was} {tool(link.provider).label}: {message}",
        changes={"provider": link.provider, "code": code},
    )


@transaction.atomic
def lose(link: OutreachLink, code: str, message: str) -> None:
    """It was connected, and a look at the tool showed that it is not any more."""
    try:
        link.move(OutreachLink.FAILED, error_code=code, error_message=message)
    except Conflict:
        return
    record(
        system(link.tenant_id),
        "outreach.lost",
        link.mailbox,
        f"{link.mailbox} is no longer connected to {tool(link.provider).label}. {message}",
        changes={"provider": link.provider, "code": code},
    )


def refuse_key(credential: ProviderCredential, message: str) -> None:
    """The tool no longer takes this key; its page says so, as after a test."""
    ProviderCredential.objects.filter(pk=credential.pk).update(
        result=ProviderCredential.REFUSED, result_message=message, tested_at=timezone.now()
    )


@transaction.atomic
def give_up(links: Sequence[OutreachLink], code: str, message: str) -> None:
    """What was under way ends here for all of these."""
    moving = (OutreachLink.CONNECTING, OutreachLink.DISCONNECTING)
    for link in links:
        if link.status in moving:
            refuse(link, code, message)
    if code == KEY_REFUSED:
        for credential in {link.credential for link in links if link.credential}:
            refuse_key(credential, message)
    settle_domains(link.mailbox.domain_id for link in links)


@transaction.atomic
def mark_disconnected(links: Sequence[OutreachLink]) -> None:
    """They left; the row stays as history and lets its credential go."""
    now = timezone.now()
    CampaignSeat.objects.filter(link__in=links, left_at=None).update(left_at=now)
    for link in links:
        if link.status == OutreachLink.DISCONNECTED:
            continue
        if not link.can_move(OutreachLink.DISCONNECTED):
            link.move(OutreachLink.DISCONNECTING)
        link.move(OutreachLink.DISCONNECTED, credential=None, disconnected_at=now)
        where = tool(link.provider).label
        record(
            system(link.tenant_id),
            "outreach.disconnected",
            link.mailbox,
            f"Disconnected {link.mailbox} from {where}.",
            changes={"provider": link.provider},
        )
    settle_domains(link.mailbox.domain_id for link in links)


def settle_domains(domain_ids: Iterable[UUID]) -> None:
    """A domain is connected while all its working mailboxes are; else its inboxes are ready."""
    connected = OutreachLink.objects.filter(mailbox=OuterRef("pk"), status=OutreachLink.CONNECTED)
    movable = Domain.objects.filter(
        pk__in=set(domain_ids), status__in=(Domain.PROVISIONED, Domain.CONNECTED)
    )
    for domain in movable:
        working = Mailbox.objects.working().filter(domain=domain)
        rest = working.exclude(Exists(connected))
        all_are = working.exists() and not rest.exists()
        status = Domain.CONNECTED if all_are else Domain.PROVISIONED
        if status != domain.status:
            domain.move(status)


def settle_changed_domains() -> None:
    """Settle the domains whose mailboxes were suspended, activated or deleted since."""
    connected = OutreachLink.objects.filter(mailbox=OuterRef("pk"), status=OutreachLink.CONNECTED)
    working = Mailbox.objects.working().filter(domain=OuterRef("pk"))
    rest = Exists(working.exclude(Exists(connected)))
    is_so = Exists(working) & ~rest
    wrong = Domain.objects.filter(
        Q(status=Domain.CONNECTED) & ~is_so | Q(status=Domain.PROVISIONED) & is_so
    )
    settle_domains(wrong.values_list("pk", flat=True)[:500])
