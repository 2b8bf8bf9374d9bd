"""Reading what is paid."""

from billing.models import Account
from mpanel.core.actor import Actor


def get_account(actor: Actor) -> Account:
    """The tenant's account; one that was never asked for begins its trial now."""
    account, _ = Account.objects.get_or_create(tenant_id=actor.tenant_id)
    return account
