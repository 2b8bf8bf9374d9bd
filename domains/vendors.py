"""Where registrars meet settings."""

from django.conf import settings

from domains.providers.base import Registrar
from mpanel.core import registry
from tenants.models import ProviderCredential
from tenants.services import register_builder


def registrar(credential: ProviderCredential, *, timeout: float | None = None) -> Registrar:
    """The registrar of a credential, ready to act for its tenant."""
    cls: type[Registrar] = registry.get("registrar", credential.provider)
    return cls(
        credential.values(),
        base_url={"namecheap": settings.NAMECHEAP_BASE_URL}[credential.provider],
        timeout=settings.VENDOR_TIMEOUT if timeout is None else timeout,
    )


register_builder("registrar", registrar)
