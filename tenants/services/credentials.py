"""Provider credentials: added, changed, tested, removed."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django_q.tasks import async_task

from events.services import record
from mpanel.core import registry
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict, Invalid, ProviderError
from tenants import selectors
from tenants.models import ProviderCredential

logger = logging.getLogger(__name__)

# How a provider of a port is built from a credential; the app of that port says so.
_builders: dict[str, Callable[[ProviderCredential], Any]] = {}


def register_builder(port: str, build: Callable[[ProviderCredential], Any]) -> None:
    """Make known how a provider of this port is built from a credential."""
    _builders[port] = build


def provider_for(credential: ProviderCredential) -> Any:
    """The provider, ready to act with this credential. It reaches the outside: workers only."""
    return _builders[credential.port](credential)


class CredentialInUse(Conflict):
    """Domains or mailboxes still use this credential. Disconnect them first."""

    code = "CREDENTIAL_IN_USE"


@transaction.atomic
def add_credential(
    actor: Actor, *, port: str, provider: str, label: str, values: Mapping[str, str]
) -> ProviderCredential:
    """Keep a tenant's credential for a provider. Raises `Invalid` with the fields that are off."""
    actor.require(ADMIN)
    actor.require_person()
    try:
        cls = registry.get(port, provider)
    except KeyError:
        raise Invalid.field("provider", "Choose one of the providers offered.") from None
    if not registry.is_offered(port, provider):
        raise Invalid.field("provider", f"{cls.label} is not offered here. Choose another one.")
    credential = ProviderCredential(
        tenant_id=actor.tenant_id, port=port, provider=provider, label=label.strip() or cls.label
    )
    credential.set_values(_cleaned(cls, values))
    _save(credential)
    record(actor, "credential.created", credential, f"Added the credential “{credential}”.")
    return credential


def include_house_credentials(actor: Actor) -> None:
    """Give a new tenant the host's own accounts, so that it can begin at once (decision 5)."""
    if settings.HOUSE_CLOUDFLARE_TOKEN:
        add_credential(
            actor,
            port="dns",
            provider="cloudflare",
            label="Included DNS",
            values={
                "api_token": settings.HOUSE_CLOUDFLARE_TOKEN,
                "account_id": settings.HOUSE_CLOUDFLARE_ACCOUNT,
            },
        )
    if settings.HOUSE_POWERDNS_KEY and registry.is_offered("dns", "powerdns"):
        add_credential(
            actor,
            port="dns",
            provider="powerdns",
            label="Included PowerDNS",
            values={
                "api_key": settings.HOUSE_POWERDNS_KEY,
                "nameservers": settings.HOUSE_POWERDNS_NAMESERVERS,
            },
        )
    if settings.HOUSE_NAMECHEAP_USER:
        add_credential(
            actor,
            port="registrar",
            provider="namecheap",
            label="Included registrar",
            values={
                "api_user": settings.HOUSE_NAMECHEAP_USER,
                "api_key": settings.HOUSE_NAMECHEAP_KEY,
                "client_ip": settings.HOUSE_NAMECHEAP_ADDRESS,
            },
        )
    key_file = Path(settings.HOUSE_GOOGLE_KEY_FILE or "/nowhere")
    if key_file.is_file():
        add_credential(
            actor,
            port="mail",
            provider="google-workspace",
            label="Included Google Workspace",
            values={
                "service_account_json": key_file.read_text(),
                "admin_email": settings.HOUSE_GOOGLE_ADMIN,
            },
        )
    for provider, label, key in (
        ("smartlead", "Included Smartlead", settings.HOUSE_SMARTLEAD_KEY),
        ("instantly", "Included Instantly", settings.HOUSE_INSTANTLY_KEY),
    ):
        if key:
            values = {"api_key": key}
            add_credential(actor, port="outreach", provider=provider, label=label, values=values)


@transaction.atomic
def change_credential(
    actor: Actor, credential_id: UUID, *, label: str, values: Mapping[str, str]
) -> ProviderCredential:
    """Change label or values; a secret left empty keeps its present value."""
    actor.require(ADMIN)
    actor.require_person()
    credential = selectors.get_credential(actor, credential_id)
    cls = registry.get(credential.port, credential.provider)
    kept = credential.values()
    merged = {
        field.name: values.get(field.name, "").strip()
        or (kept.get(field.name, "") if field.secret else "")
        for field in cls.credential_fields
    }
    credential.label = label.strip() or credential.label
    credential.set_values(_cleaned(cls, merged))
    credential.result, credential.result_message = ProviderCredential.UNTESTED, ""
    _save(credential)
    record(actor, "credential.updated", credential, f"Changed the credential “{credential}”.")
    return credential


@transaction.atomic
def remove_credential(actor: Actor, credential_id: UUID) -> None:
    """Forget a credential. Raises `CredentialInUse` while anything needs it."""
    actor.require(ADMIN)
    actor.require_person()
    credential = selectors.get_credential(actor, credential_id)
    record(actor, "credential.deleted", credential, f"Removed the credential “{credential}”.")
    try:
        credential.delete()
    except models.ProtectedError:
        raise CredentialInUse from None


@transaction.atomic
def start_test(actor: Actor, credential_id: UUID) -> ProviderCredential:
    """Have a worker ask the provider whether it accepts the credential."""
    actor.require(ADMIN)
    actor.require_person()
    credential = selectors.get_credential(actor, credential_id)
    credential.test_asked_at = timezone.now()
    credential.save(update_fields=["test_asked_at", "updated_at"])
    async_task("tenants.tasks.test_credential", str(credential.pk))
    return credential


def run_test(credential_id: UUID) -> None:
    """Ask the provider, and keep its answer."""
    credential = ProviderCredential.objects.filter(pk=credential_id).first()
    if credential is None:
        return
    try:
        message = provider_for(credential).check_connection()
        result = ProviderCredential.WORKS
    except ProviderError as error:
        message = error.message
        result = ProviderCredential.UNREACHABLE if error.retryable else ProviderCredential.REFUSED
    except Exception:  # a fault of one provider must not hold up other tenants' tests
        logger.exception("the test of the credential %s failed", credential_id)
        message = "The test failed on our side. Check the values, and try again."
        result = ProviderCredential.UNREACHABLE
    ProviderCredential.objects.filter(pk=credential_id).update(
        result=result, result_message=message, tested_at=timezone.now()
    )


def run_forgotten_tests() -> None:
    """Run the tests whose message was lost."""
    now = timezone.now()
    forgotten = ProviderCredential.objects.filter(
        Q(tested_at=None) | Q(tested_at__lt=F("test_asked_at")),
        test_asked_at__range=(now - timedelta(hours=1), now - timedelta(seconds=30)),
    )
    for credential_id in forgotten.values_list("pk", flat=True)[:20]:
        run_test(credential_id)


def _cleaned(cls: type[registry.Provider], values: Mapping[str, str]) -> dict[str, str]:
    cleaned: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    for field in cls.credential_fields:
        value = values.get(field.name, "").strip()
        if not value and field.required:
            missing[field.name] = [f"Please give the {field.label}."]
        elif len(value) > 8000:
            missing[field.name] = [f"The {field.label} is too long."]
        elif value and field.check and (problem := field.check(value)):
            missing[field.name] = [problem]
        cleaned[field.name] = value
    if missing:
        raise Invalid("Some values are missing or not right.", details=missing)
    return cleaned


def _save(credential: ProviderCredential) -> None:
    try:
        with transaction.atomic():
            credential.save()
    except IntegrityError:
        raise Invalid.field("label", "You have a credential of that name already.") from None
