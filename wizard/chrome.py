"""What the frame around every page shows."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from billing.selectors import get_account
from mpanel.core.actor import Actor
from tenants.selectors import get_tenant


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: tenant and trial, looked up once and only where a template asks."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        return {}
    return {
        # Templates call what can be called.
        "tenant_name": cache(lambda: get_tenant(actor).name),
        "trial_days_left": cache(lambda: get_account(actor).trial_days_left),
    }
