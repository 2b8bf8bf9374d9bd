"""What a KumoMTA server is told of its senders: limits and refusals."""

from django.utils import timezone

from billing.models import Account
from deliverability.limits import SenderState, limit_today, refusal
from mailboxes.models import Mailbox
from mailservers.models import MailServer
from mailservers.providers.kumomta import KumoMTA, SenderStatus


def sender_statuses(server: MailServer) -> list[SenderStatus]:
    """What each mailbox on a server may send now."""
    rows = (
        Mailbox.objects.present()
        .filter(domain__mail__server=server, provider=KumoMTA.key)
        .select_related("tenant")
        .defer("health", "sealed_password")
    )
    boxes = list(rows)
    accounts = {
        account.tenant_id: account
        for account in Account.objects.filter(tenant_id__in={box.tenant_id for box in boxes})
    }
    now = timezone.now()
    return [
        SenderStatus(
            email=box.address,
            tenant=str(box.tenant_id),
            daily_limit=limit_today(box),
            refusal=refusal(_status_of(box, accounts.get(box.tenant_id)), now),
        )
        for box in boxes
    ]


def _status_of(box: Mailbox, account: Account | None) -> SenderState:
    return SenderState(
        box.status,
        box.tenant.status,
        paused=box.paused_at is not None,
        paused_reason=box.paused_reason,
        plan=account.plan if account else None,
        trial_ends_at=account.trial_ends_at if account else None,
    )
