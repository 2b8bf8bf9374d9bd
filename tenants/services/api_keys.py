"""API keys: made, found, revoked."""

import hashlib
import ipaddress
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.services import record
from mpanel.core.actor import ADMIN, SCOPES, Actor
from mpanel.core.errors import Conflict, Forbidden, Invalid, InvalidToken
from mpanel.core.secrets import same
from tenants import selectors
from tenants.models import ApiKey, Membership, Tenant
from tenants.services.still_valid import hold_session

LEADER = "mpk"
ALPHABET = string.ascii_letters + string.digits
MOST_KEYS = 50
MOST_NETWORKS = 20
NOTED_EVERY = timedelta(minutes=1)


class AddressNotAllowed(Forbidden):
    """This API key may not be used from this address."""

    code = "ADDRESS_NOT_ALLOWED"


class TooManyKeys(Conflict):
    """You have as many API keys as are allowed. Revoke one that is not used any more."""

    code = "TOO_MANY_KEYS"


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; `plain` is shown only once."""

    key: ApiKey
    plain: str = field(repr=False)


@transaction.atomic
def create_api_key(
    actor: Actor,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    allowed_networks: Sequence[str] = (),
) -> NewKey:
    """A key that acts as this person within `scopes`. Raises `Invalid`, `TooManyKeys`."""
    actor.require_person()
    actor.require(ADMIN)
    actor.require_fresh_code()
    hold_session(actor)
    membership = selectors.own_membership(actor)
    # The lock of everything that is counted per tenant: of several who make the last, one may.
    Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
    if membership.api_keys.filter(revoked_at=None).count() >= MOST_KEYS:
        raise TooManyKeys
    prefix, secret = _random(10), _random(40)
    key = ApiKey.objects.create(
        membership=membership,
        name=_clean_name(name),
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=_clean_scopes(actor, scopes),
        allowed_networks=_clean_networks(allowed_networks),
        expires_at=_clean_expiry(expires_at),
    )
    record(
        actor,
        "api_key.created",
        key,
        f"Made the API key “{key}”.",
        changes={"scopes": key.scopes, "allowed_networks": key.allowed_networks},
    )
    return NewKey(key, f"{LEADER}_{prefix}_{secret}")


@transaction.atomic
def revoke_api_key(actor: Actor, key_id: UUID) -> None:
    """Make a key useless at once. Twice is harmless."""
    actor.require_person()
    key = selectors.get_api_key(actor, key_id)
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        record(actor, "api_key.revoked", key, f"Revoked the API key “{key}”.")


def revoke_keys_of(membership: Membership, *, actor: Actor) -> int:
    """Make every key of one member useless at once, by somebody who may; how many."""
    live = list(membership.api_keys.filter(revoked_at=None))
    for key in live:
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            record(actor, "api_key.revoked", key, f"Revoked the API key “{key}”.")
    return len(live)


def is_api_key(text: str) -> bool:
    """Whether a bearer looks like an API key rather than a token."""
    return text.startswith(f"{LEADER}_")


def find_api_key(plain: str, *, address: str) -> ApiKey:
    """The live key with this secret. Raises `InvalidToken`, `AddressNotAllowed`."""
    _, _, rest = plain.partition("_")
    prefix, _, secret = rest.partition("_")
    key = selectors.api_key_called(prefix)
    if key is None or not same(key.secret_hash, _hash(secret)) or not key.is_live:
        raise InvalidToken
    if key.allowed_networks and not _is_within(address, key.allowed_networks):
        raise AddressNotAllowed
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - NOTED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - NOTED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now, last_address=address)
    return key


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _hash(secret: str) -> str:
    # 40 random characters are beyond guessing, so a fast hash is enough.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _clean_name(name: str) -> str:
    if not name.strip():
        raise Invalid.field("name", "Name the key after what will use it.")
    return name.strip()[:80]


def _clean_scopes(actor: Actor, scopes: Sequence[str]) -> list[str]:
    if not scopes:
        raise Invalid.field("scopes", "Choose at least one scope.")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise Invalid.field("scopes", f"There is no scope {unknown[0][:40]}.")
    if "operator" in scopes and not actor.is_operator:
        raise Invalid.field("scopes", "Only operators may give the scope operator.")
    return [scope for scope in SCOPES if scope in scopes]


def _clean_networks(networks: Sequence[str]) -> list[str]:
    if len(networks) > MOST_NETWORKS:
        raise Invalid.field("allowed_networks", f"List {MOST_NETWORKS} networks at most.")
    cleaned = []
    for text in networks:
        try:
            cleaned.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError:
            raise Invalid.field(
                "allowed_networks", f"{text[:50]} is no address or network, e.g. 192.0.2.0/24."
            ) from None
    return cleaned


def _clean_expiry(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid.field("expires_at", "This lies in the past.")
    return expires_at


def _is_within(address: str, networks: Sequence[str]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in ipaddress.ip_network(network) for network in networks)
