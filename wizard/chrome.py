"""What the frame around every page shows."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from billing.models import Account
from billing.selectors import get_account
from mpanel.core.actor import Actor
from tenants.models import Membership
from tenants.selectors import get_tenant
from tenants.team.selectors import organisations
from wizard.uses import obstacle


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: tenant and trial, looked up once and only where a template asks."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        return {}

    @cache
    def mine() -> list[Membership]:
        return list(organisations(actor))

    def tenant_name() -> str:
        here = (one.tenant for one in mine() if one.tenant_id == actor.tenant_id)
        return (next(here, None) or get_tenant(actor)).name

    @cache
    def account() -> Account:
        return get_account(actor)

    return {
        # Templates call what can be called.
        "tenant_name": tenant_name,
        "organisations": mine,
        "trial_days_left": lambda: account().trial_days_left,
        "domain_obstacle": cache(lambda: obstacle(actor, account(), "domains")),
        "inbox_obstacle": cache(lambda: obstacle(actor, account(), "inboxes")),
    }
