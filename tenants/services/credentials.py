"""Provider credentials: added, changed, tested, removed."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from events.services import record
from mpanel.core import queues, registry
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict, Invalid, ProviderError
from mpanel.core.secrets import Unsealable
from tenants import included, selectors
from tenants.models import ProviderCredential, Tenant

logger = logging.getLogger(__name__)

MOST_TENANTS = 1000  # per sweep and account
INCLUDED_RESULTS = {
    ProviderCredential.WORKS: "The included account works.",
    ProviderCredential.REFUSED: "The provider refuses the included account. Please tell the host.",
    ProviderCredential.UNREACHABLE: "The provider does not answer. Try again in a few minutes.",
}
LABEL_TAKEN = "You have a credential of that name already."

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


class AccountIsIncluded(Conflict):
    """This account is the host's and comes with mPanel, so it cannot be changed or removed here."""

    code = "ACCOUNT_IS_INCLUDED"


@transaction.atomic
def add_credential(
    actor: Actor, *, port: str, provider: str, label: str, values: Mapping[str, str]
) -> ProviderCredential:
    """Keep a tenant's credential for a provider. Raises `Invalid` with the fields that are off."""
    actor.require(ADMIN)
    actor.require_person()
    actor.require_fresh_code()
    try:
        cls = registry.get(port, provider)
    except KeyError:
        raise Invalid.field("provider", "Choose one of the providers offered.") from None
    if not registry.is_offered(port, provider):
        raise Invalid.field("provider", f"{cls.label} is not offered here. Choose another one.")
    credential = ProviderCredential(
        tenant_id=actor.tenant_id,
        port=port,
        provider=provider,
        label=_clean_label(label) or cls.label,
    )
    credential.set_values(_cleaned(cls, values))
    _save(credential)
    record(actor, "credential.created", credential, f"Added the credential “{credential}”.")
    return credential


def include_accounts(tenant_ids: Iterable[UUID]) -> None:
    """Let these tenants use every account that the host includes now (docs/decisions/0018)."""
    offered = included.included()
    ProviderCredential.objects.bulk_create(
        (
            ProviderCredential(
                tenant_id=tenant_id,
                port=account.port,
                provider=account.provider,
                label=account.label,
                is_included=True,
            )
            for tenant_id in tenant_ids
            for account in offered
        ),
        ignore_conflicts=True,
    )


def include_accounts_everywhere() -> None:
    """Let tenants use what the host included since they opened their account."""
    for account in included.included():
        here = ProviderCredential.objects.filter(
            tenant=OuterRef("pk"),
            port=account.port,
            provider=account.provider,
            is_included=True,
        )
        lacking = Tenant.objects.filter(~Exists(here)).order_by("pk")
        include_accounts(lacking.values_list("pk", flat=True)[:MOST_TENANTS])


@transaction.atomic
def change_credential(
    actor: Actor, credential_id: UUID, *, label: str, values: Mapping[str, str]
) -> ProviderCredential:
    """Change label or values; secrets left empty keep their values if nothing else changes.

    Changing another value requires the secrets: else a key could be pointed elsewhere by
    somebody who never had it. Raises `Invalid` with fields, `AccountIsIncluded`.
    """
    actor.require(ADMIN)
    actor.require_person()
    credential = get_own_credential(actor, credential_id)
    actor.require_fresh_code()
    cls = registry.get(credential.port, credential.provider)
    given = {field.name: values.get(field.name, "").strip() for field in cls.credential_fields}
    try:
        kept = credential.values()
    except Unsealable:  # so all of it is entered again
        kept = credential.public
        _require_secrets(cls, given)
    if any(
        given[field.name] != kept.get(field.name, "")
        for field in cls.credential_fields
        if not field.secret
    ):
        _require_secrets(cls, given)
    merged = {
        field.name: given[field.name] or (kept.get(field.name, "") if field.secret else "")
        for field in cls.credential_fields
    }
    credential.label = _clean_label(label) or credential.label
    credential.set_values(_cleaned(cls, merged))
    credential.result, credential.result_message = ProviderCredential.UNTESTED, ""
    _save(credential)
    record(actor, "credential.updated", credential, f"Changed the credential “{credential}”.")
    return credential


@transaction.atomic
def remove_credential(actor: Actor, credential_id: UUID) -> None:
    """Forget a credential. Raises `CredentialInUse` while it is needed, `AccountIsIncluded`."""
    actor.require(ADMIN)
    actor.require_person()
    credential = get_own_credential(actor, credential_id)
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
    queues.send("tenants.tasks.test_credential", str(credential.pk))
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
    except Unsealable as error:
        message, result = error.message, ProviderCredential.UNREACHABLE
    except Exception:  # a fault of one provider must not hold up other tenants' tests
        logger.exception("the test of the credential %s failed", credential_id)
        message = "The test failed on our side. Check the values, and try again."
        result = ProviderCredential.UNREACHABLE
    if credential.is_included and not credential.is_gone:
        # The provider's own words may name the host's account.
        logger.info("the test of the included account %s: %s", credential, message)
        message = INCLUDED_RESULTS[result]
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
        elif value and field.clean:
            try:
                value = field.clean(value)
            except Invalid as error:
                missing[field.name] = [error.message]
        cleaned[field.name] = value
    if missing:
        raise Invalid("Some values are missing or not right.", details=missing)
    return cleaned


def _require_secrets(cls: type[registry.Provider], given: Mapping[str, str]) -> None:
    """Raise `Invalid` for each secret that is needed and was not given."""
    missing = {
        field.name: [f"Enter the {field.label} again, because another value changes."]
        for field in cls.credential_fields
        if field.secret and field.required and not given[field.name]
    }
    if missing:
        raise Invalid(next(iter(missing.values()))[0], details=missing)


def get_own_credential(actor: Actor, credential_id: UUID) -> ProviderCredential:
    """A credential of the tenant's own. Raises `CredentialNotFound`, `AccountIsIncluded`."""
    credential = selectors.get_credential(actor, credential_id)
    if credential.is_included:
        raise AccountIsIncluded
    return credential


def _clean_label(label: str) -> str:
    if included.is_reserved(label):
        raise Invalid.field("label", LABEL_TAKEN)
    return label.strip()


def _save(credential: ProviderCredential) -> None:
    try:
        with transaction.atomic():
            credential.save()
    except IntegrityError:
        raise Invalid.field("label", LABEL_TAKEN) from None
