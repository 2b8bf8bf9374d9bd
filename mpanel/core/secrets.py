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
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

VERSION = "v1"
NONCE_BYTES = 12


class Unsealable(Exception):
    """A sealed value does not open: wrong row, missing key, or damaged."""


def new_key(key_id: str) -> str:
    """A fresh entry for `ENCRYPTION_KEYS`."""
    return f"{key_id}:{base64.b64encode(os.urandom(32)).decode()}"


def parse_key_ring(entries: list[str]) -> dict[str, bytes]:
    """Key id to key. Raises `ImproperlyConfigured` with a sentence for the operator."""
    ring: dict[str, bytes] = {}
    for entry in entries:
        key_id, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not key_id or "." in key_id or len(key) != 32:
            raise ImproperlyConfigured(
                "ENCRYPTION_KEYS: each entry is 'id:base64 of 32 bytes', separated by commas. "
                "Make one with: python manage.py newkey"
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


def _associated(row: Model, column: str) -> bytes:
    return f"{row._meta.db_table}:{column}:{row.pk}".encode()


def seal(plain: str, *, row: Model, column: str) -> str:
    """Encrypt `plain` for this column of this row; the row's key must be set already."""
    ring = _ring(tuple(settings.ENCRYPTION_KEYS))
    key_id = next(iter(ring))
    nonce = os.urandom(NONCE_BYTES)
    sealed = ring[key_id].encrypt(nonce, plain.encode(), _associated(row, column))
    return f"{VERSION}.{key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


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
