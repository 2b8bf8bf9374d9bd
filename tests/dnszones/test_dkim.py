import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from dnszones.dkim import records as dkim
from mpanel.core.errors import Invalid

PAIR = dkim.make_key()
ENCODED = PAIR.value.partition("p=")[2]


def pem(key):
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def test_the_pair_signs_and_verifies():
    private = serialization.load_pem_private_key(PAIR.private_pem.encode(), None)
    public = serialization.load_der_public_key(base64.b64decode(dkim.parse(PAIR.value).public_key))
    assert isinstance(private, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey)
    assert private.key_size == 2048
    signature = private.sign(b"mail", padding.PKCS1v15(), hashes.SHA256())
    public.verify(signature, b"mail", padding.PKCS1v15(), hashes.SHA256())


def test_the_private_key_is_not_printed():
    assert "PRIVATE" not in repr(PAIR)
    assert dkim.make_key().value != PAIR.value


def test_a_key_is_taken_in_every_form():
    public = serialization.load_der_public_key(base64.b64decode(ENCODED))
    half = len(PAIR.value) // 2
    for given in (
        PAIR.value,
        ENCODED,
        pem(public),
        f" k=rsa; p={ENCODED[:70]}\n  {ENCODED[70:]} ;",
        f'"{PAIR.value[:half]}" "{PAIR.value[half:]}"',
    ):
        assert dkim.public_key_value(given) == PAIR.value


def test_ed25519_is_taken_as_pem_and_as_record():
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    value = dkim.public_key_value(pem(public))
    assert value.startswith("v=DKIM1; k=ed25519; p=")
    assert dkim.public_key_value(value) == value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "empty"),
        ("v=DKIM1; p=", "revoked"),
        ("v=DKIM1; k=rsa", "no public key"),
        ("v=DKIM2; p=abcd", "version"),
        ("not base64!", "base64"),
        ("AAAA", "no public key"),
        (PAIR.private_pem, "private key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "PEM"),
        (PAIR.value + "; p=again", "twice"),
    ],
)
def test_what_is_no_key_is_refused_with_the_reason(given, message):
    with pytest.raises(Invalid, match=message) as raised:
        dkim.public_key_value(given)
    assert list(raised.value.details) == ["dkim_value"]


def test_short_and_foreign_keys_are_refused():
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505
    assert dkim.public_key_value(pem(short)).startswith("v=DKIM1; k=rsa; p=")
    with pytest.raises(Invalid, match="neither RSA"):
        dkim.public_key_value(pem(ec.generate_private_key(ec.SECP256R1()).public_key()))
    with pytest.raises(Invalid, match="512 bits"):
        dkim.public_key_value(SHORT_KEY)


def test_comparison_ignores_space_and_other_tags():
    spaced = f"v=DKIM1 ;t=s;  p={ENCODED[:20]} {ENCODED[20:]};"
    assert dkim.same(PAIR.value, spaced)
    assert not dkim.same(PAIR.value, PAIR.value.replace("k=rsa", "k=ed25519"))
    assert dkim.parse("p=").is_revoked


@pytest.mark.parametrize("selector", ["google", "S1", "2026-08.mail"])
def test_selectors(selector):
    assert dkim.check_selector(f" {selector} ") == selector.lower()


@pytest.mark.parametrize("selector", ["", "-a", "a b", "a..b", "a/b", "x" * 64, "_a", "é"])
def test_bad_selectors(selector):
    with pytest.raises(Invalid):
        dkim.check_selector(selector)


# RSA of 512 bits, which the library reads but does not make any more.
SHORT_KEY = (
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAJv8ZpB5hEK7qxP9K3v43hUS5fGT4waKe7ix4Z4mu5UBv+cw7WSF"
    "At0Vaag0sAbsPzU8Hhsrj/qPABvfB8asUwcCAwEAAQ=="
)
