"""Secrets at rest: AES-256-GCM under a key ring, bound to the row that holds them.

A sealed value is `v1.<key id>.<base64url of nonce + ciphertext + tag>`. The associated data names
table, column and row, so a value that is moved to another row does not open. The first key of
`ENCRYPTION_KEYS` seals; every key of the ring opens, which is how keys are rotated.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import Model

from mpanel.core.errors import MPanelError

VERSION = "v1"
NONCE_BYTES, KEY_BYTES = 12, 32


class Unsealable(MPanelError):
    """A stored secret cannot be opened. Enter it again, or ask the operator to restore its key."""

    code = "SECRET_UNREADABLE"

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why  # for operators and logs

    def __str__(self) -> str:
        return f"{self.message} ({self.why})"


class SealedField(models.TextField):
    """A column of sealed values; `seal` accepts no other.

    By this type `manage.py reseal` finds them all. `bound_as`: the name of the column in the
    associated data, where it is not that of the column.
    """

    def __init__(self, *args: Any, bound_as: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bound_as = bound_as

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """As a text column: in migrations, it is one."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs

    @property
    def binding(self) -> str:
        """What `seal` and `unseal` are given as `column`."""
        return self.bound_as or self.attname


def sealed_fields() -> list[tuple[type[Model], SealedField]]:
    """Every column of sealed values that this installation has, with its model."""
    return [
        (model, field)
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        if isinstance(field, SealedField)
    ]


def new_key() -> str:
    """A fresh entry for `ENCRYPTION_KEYS`, under an id that tells its day and that no other has."""
    key_id = f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"
    return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def parse_key_ring(entries: list[str]) -> dict[str, bytes]:
    """Key id to key. Raises `ImproperlyConfigured` with a sentence for the operator."""
    ring: dict[str, bytes] = {}
    for entry in entries:
        key_id, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not key_id or "." in key_id or len(key) != KEY_BYTES:
            raise ImproperlyConfigured(
                "ENCRYPTION_KEYS: each entry is 'id:base64 of 32 bytes', separated by commas. "
                "Make one with: python manage.py newkey"
            )
        # SQLite compares letters of either case as one.
        if key_id.casefold() in {known.casefold() for known in ring}:
            raise ImproperlyConfigured(
                f"ENCRYPTION_KEYS has two entries with the id {key_id}. Both may have sealed "
                "something: find out which one is older, and give the newer one another id only if "
                "nothing was sealed with it."
            )
        ring[key_id] = key
    if not ring:
        raise ImproperlyConfigured(
            "ENCRYPTION_KEYS is empty, so nothing secret could be stored. Make a key with: "
            "python manage.py newkey"
        )
    return ring


@lru_cache(maxsize=4)
def _ring(entries: tuple[str, ...]) -> dict[str, AESGCM]:
    return {key_id: AESGCM(key) for key_id, key in parse_key_ring(list(entries)).items()}


def front_key_id() -> str:
    """The id of the key that seals."""
    return next(iter(_ring(tuple(settings.ENCRYPTION_KEYS))))


def key_ids() -> list[str]:
    """The ids of all keys of the ring, the one that seals first."""
    return list(_ring(tuple(settings.ENCRYPTION_KEYS)))


def prefix_of(key_id: str) -> str:
    """How every value begins that this key sealed."""
    return f"{VERSION}.{key_id}."


def _associated(row: Model, column: str) -> bytes:
    return f"{row._meta.db_table}:{column}:{row.pk}".encode()


def seal(plain: str, *, row: Model, column: str) -> str:
    """Encrypt `plain` for this column of this row; the row's key must be set already."""
    fields = (one for one in row._meta.concrete_fields if isinstance(one, SealedField))
    if not any(one.binding == column for one in fields):
        raise TypeError(f"{row._meta.label}: {column} is no SealedField, so reseal would miss it")
    ring = _ring(tuple(settings.ENCRYPTION_KEYS))
    key_id = next(iter(ring))
    nonce = os.urandom(NONCE_BYTES)
    sealed = ring[key_id].encrypt(nonce, plain.encode(), _associated(row, column))
    return f"{prefix_of(key_id)}{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(sealed: str, *, row: Model, column: str) -> str:
    """Decrypt what `seal` made for this column of this row. Raises `Unsealable`."""
    version, _, rest = sealed.partition(".")
    key_id, _, encoded = rest.partition(".")
    key = _ring(tuple(settings.ENCRYPTION_KEYS)).get(key_id)
    if version != VERSION or key is None:
        raise Unsealable(f"no key {key_id!r} in ENCRYPTION_KEYS opens this value")
    try:
        raw = base64.urlsafe_b64decode(encoded)
        plain = key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _associated(row, column))
    except (InvalidTag, ValueError) as error:
        raise Unsealable("this value belongs to another row, or is damaged") from error
    return plain.decode()


def digest(value: str) -> str:
    """A keyed hash (HMAC-SHA-256, hex) for short-lived codes: useless without `SECRET_KEY`."""
    key = hashlib.sha256(b"mpanel.digest:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def numeric_code(digits: int = 6) -> str:
    """A random one-time code of so many digits."""
    return f"{secrets.randbelow(10**digits):0{digits}d}"
