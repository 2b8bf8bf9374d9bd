"""Where outreach tools meet settings."""

from django.conf import settings

from mpanel.core import registry
from outreach.providers.base import OutreachProvider
from tenants.models import ProviderCredential
from tenants.services import register_builder

PORT = "outreach"


def outreach_provider(
    credential: ProviderCredential, *, timeout: float | None = None
) -> OutreachProvider:
    """The tool of a credential, ready to act for its tenant."""
    cls = tool(credential.provider)
    built: OutreachProvider = cls(  # type: ignore[call-arg]
        credential.values(),
        base_url={
            "smartlead": settings.SMARTLEAD_BASE_URL,
            "instantly": settings.INSTANTLY_BASE_URL,
        }[credential.provider],
        timeout=settings.VENDOR_TIMEOUT if timeout is None else timeout,
        # A tool logs in while it saves; a runner that is silent for longer loses its job.
        save_timeout=min(60.0, 0.75 * settings.JOB_LEASE),
    )
    return built


def tool(key: str) -> type[OutreachProvider]:
    """The class of a tool. `KeyError` for one that is not installed."""
    cls: type[OutreachProvider] = registry.get(PORT, key)
    return cls


def tools() -> dict[str, type[OutreachProvider]]:
    """The classes of all tools by key, Smartlead first as in the contract."""
    known = {key: cls for (port, key), cls in registry.all_providers().items() if port == PORT}
    return dict(sorted(known.items(), reverse=True))


def interval_of(provider: OutreachProvider) -> float:
    """Seconds to leave between two calls."""
    return provider.interval if settings.OUTREACH_PACED else 0.0


register_builder(PORT, outreach_provider)
