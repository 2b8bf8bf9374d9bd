"""DKIM keys and their DNS records (RFC 6376 §3.6.1, RFC 8463 for ed25519)."""

import base64
import binascii
import re
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mpanel.core.errors import Invalid

KEY_BITS = 2048
LEAST_BITS = 1024  # RFC 8301 §3.2: verifiers need not accept shorter keys

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_TAG = re.compile(r"[a-z][a-z0-9_]*", re.IGNORECASE)


class DKIMSyntaxError(ValueError):
    """The text is not a valid DKIM key record."""


@dataclass(frozen=True)
class KeyPair:
    """`private_pem`: PKCS #8, unencrypted, never to be logged. `value`: the text of the TXT."""

    private_pem: str = field(repr=False)
    value: str


@dataclass(frozen=True)
class DKIMRecord:
    """A published key. `public_key` is base64 without white space; empty means revoked."""

    key_type: str
    public_key: str

    @property
    def is_revoked(self) -> bool:
        return not self.public_key


def make_key() -> KeyPair:
    """A new RSA key of 2048 bits and the record that publishes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return KeyPair(private.decode(), _value(key.public_key()))


def is_dkim(text: str) -> bool:
    """Whether a TXT record at a selector holds a key: it names DKIM1 or has a `p` tag."""
    try:
        parse(text)
    except DKIMSyntaxError:
        return text.lstrip().lower().startswith("v=dkim1")
    return True


def parse(text: str) -> DKIMRecord:
    """Read a key record. Raises `DKIMSyntaxError`."""
    tags: dict[str, str] = {}
    for part in text.strip().removesuffix(";").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not _TAG.fullmatch(name):
            raise DKIMSyntaxError("A DKIM record is a list of tag=value, parted by semicolons.")
        if name in tags:
            raise DKIMSyntaxError(f"The tag {name} appears twice.")
        tags[name] = "".join(value.split())
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        raise DKIMSyntaxError("The record is not of version DKIM1.")
    if "p" not in tags:
        raise DKIMSyntaxError("The record has no public key (p=).")
    return DKIMRecord(tags.get("k", "rsa").lower(), tags["p"])


def same(one: str, other: str) -> bool:
    """Whether two texts publish the same key; white space and other tags do not matter."""
    if one == other:
        return True
    try:
        return parse(one) == parse(other)
    except DKIMSyntaxError:
        return one.split() == other.split()


def public_key_value(given: str) -> str:
    """The TXT value of a key that a customer gives as PEM, base64 or a whole record.

    RSA of at least 1024 bits, or ed25519. Raises `Invalid` for the field `dkim_value`.
    """
    text = given.strip()
    if "PRIVATE KEY" in text:
        raise _invalid("This is a private key. Keep it secret and give the public one.")
    if text.startswith("-----"):
        return _value(_load_pem(text))
    key_type, encoded = "rsa", "".join(text.split())
    if "=" in text.rstrip("="):
        try:
            record = parse("".join(re.findall(r'"([^"]*)"', text)) or text)
        except DKIMSyntaxError as error:
            raise _invalid(str(error)) from error
        key_type, encoded = record.key_type, record.public_key
    try:
        der = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("The public key is not valid base64.") from error
    if not der:
        raise _invalid("The public key is empty, which means that it was revoked.")
    if key_type == "ed25519" and len(der) == 32:
        return f"v=DKIM1; k=ed25519; p={encoded}"
    return _value(_load_der(der))


def check_selector(selector: str) -> str:
    """The selector in lower case (RFC 6376 §3.1). Raises `Invalid` for `dkim_selector`."""
    name = selector.strip().lower()
    if len(name) > 63 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise Invalid.field(
            "dkim_selector",
            "A selector has letters, digits and inner hyphens, for example mpanel or s1.",
        )
    return name


def _value(key: object) -> str:
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes_raw()
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"
    if not isinstance(key, rsa.RSAPublicKey):
        raise _invalid("The key is neither RSA nor ed25519.")
    if key.key_size < LEAST_BITS:
        raise _invalid(f"The key has {key.key_size} bits; DKIM needs at least {LEAST_BITS}.")
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def _load_pem(text: str) -> object:
    try:
        return serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid("The PEM text holds no public key.") from error


def _load_der(der: bytes) -> object:
    try:
        return serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid("The base64 text holds no public key.") from error


def _invalid(message: str) -> Invalid:
    return Invalid.field("dkim_value", message)
