"""Passwords that are strong and easy to carry, and hashes that a mail server reads."""

import base64
import csv
import hashlib
import io
import shlex
import string
import threading
import urllib.parse

import bcrypt
import pytest

from mailboxes.passwords import ALPHABET, mail_hash, mail_hashes, make_password, proof_digest
from mpanel.core.errors import Invalid


def test_a_password_is_long_mixed_and_unlike_the_others() -> None:
    passwords = [make_password() for _ in range(2000)]
    assert len(set(passwords)) == 2000
    assert set("".join(passwords)) == set(ALPHABET)
    for password in passwords:
        assert len(password) == 24
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
            assert set(password) & set(kind)


def test_a_password_needs_no_quoting_anywhere() -> None:
    for password in (make_password() for _ in range(200)):
        assert not set(password) & set("0O1lI")
        assert shlex.quote(password) == password
        assert urllib.parse.quote(password, safe="") == password
        assert next(csv.reader(io.StringIO(password))) == [password]


def test_a_mail_hash_verifies_its_password_only() -> None:
    hashed = mail_hash("Right3password", 4)
    assert hashed.startswith("$2b$04$")
    assert bcrypt.checkpw(b"Right3password", hashed.encode())
    assert not bcrypt.checkpw(b"Wrong3password", hashed.encode())
    assert mail_hash("Right3password", 4) != hashed


@pytest.mark.parametrize("password", ["a" * 73, "é" * 37, "nul\0inside"])
def test_a_password_whose_end_bcrypt_would_not_see_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        mail_hash(password, 4)
    assert list(refused.value.details) == ["password"]
    assert password not in str(refused.value)


def test_seventy_two_bytes_are_seen_to_the_last() -> None:
    hashed = mail_hash("a" * 72, 4).encode()
    assert bcrypt.checkpw(b"a" * 72, hashed)
    assert not bcrypt.checkpw(b"a" * 71 + b"b", hashed)


@pytest.mark.parametrize("cost", [3, 17, 31, -1])
def test_a_cost_that_is_too_cheap_or_too_dear(cost: int) -> None:
    with pytest.raises(ValueError, match="cost is 4 to 16"):
        mail_hash("Right3password", cost)


def test_many_hashes_keep_their_order_and_tell_how_far_they_are() -> None:
    passwords = [make_password() for _ in range(20)]
    progress: list[tuple[int, int]] = []
    hashed = mail_hashes(
        passwords, 4, on_progress=lambda done: progress.append((done, threading.get_ident()))
    )
    for password, its_hash in zip(passwords, hashed, strict=True):
        assert bcrypt.checkpw(password.encode(), its_hash.encode())
    assert progress == [(done, threading.get_ident()) for done in range(1, 21)]


def test_no_hashes() -> None:
    assert list(mail_hashes([], 4, on_progress=lambda done: pytest.fail("no progress"))) == []


def test_hashing_ends_when_the_caller_has_enough() -> None:
    reached: list[int] = []

    def stop(done: int) -> None:
        reached.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(mail_hashes([make_password() for _ in range(500)], 8, on_progress=stop))
    assert reached == [1]


def test_a_bad_password_among_good_ones_is_refused() -> None:
    with pytest.raises(Invalid):
        list(mail_hashes(["Right3password", "a" * 73], 4, on_progress=lambda done: None))


def test_a_proof_digest_is_what_dovecot_reads() -> None:
    digest = proof_digest("Right3password")
    scheme, _, encoded = digest.partition("}")
    assert scheme == "{SSHA512"
    raw = base64.b64decode(encoded, validate=True)
    assert len(raw) == 64 + 16
    assert hashlib.sha512(b"Right3password" + raw[64:]).digest() == raw[:64]
    assert proof_digest("Right3password") != digest
