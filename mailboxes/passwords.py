"""Passwords of mailboxes, and the two hashes by which Dovecot knows them."""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from mpanel.core.errors import Invalid

LENGTH = 24
SHORTEST_GIVEN, LONGEST_GIVEN = 12, 72
# Without 0 O 1 l I, which people misread. Letters and digits only: they need no quoting in CSV,
# shells, URLs or SMTP AUTH, and no spreadsheet takes a cell that begins so for a formula.
ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

_CLASSES = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))
_COSTS = range(4, 17)


def make_password() -> str:
    """24 random characters, with a small letter, a capital and a digit among them.

    139 bits of entropy: 24 of 57 characters are 139.99 bits, and asking for all three kinds
    refuses 3 % of them.
    """
    while True:
        password = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        if all(kind.search(password) for kind in _CLASSES):
            return password


def check_given(password: str) -> str:
    """A password that a customer chose: 12 to 72 printable ASCII characters, no space at an end.

    72 is what bcrypt sees. What a spreadsheet would take for a formula is refused, since the CSV
    could not hold it as it is. Raises `Invalid` for the field `password`.
    """
    if not SHORTEST_GIVEN <= len(password) <= LONGEST_GIVEN:
        raise Invalid.field(
            "password", f"Choose {SHORTEST_GIVEN} to {LONGEST_GIVEN} characters, or leave it out."
        )
    if not (password.isascii() and password.isprintable()) or password != password.strip():
        raise Invalid.field("password", "Use letters, digits and signs of ASCII.")
    if password.startswith(("=", "+", "-", "@")):
        raise Invalid.field("password", "Begin with another character than =, +, - or @.")
    return password


def mail_hash(password: str, cost: int) -> str:
    """The bcrypt hash (`$2b$`) of a password, at a cost of 4 to 16 (2**cost rounds).

    Dovecot reads it as `BLF-CRYPT`. Raises `Invalid` for a password of more than 72 bytes, of
    which bcrypt would not see the end, and for one with a NUL; `ValueError` for another cost.
    """
    if cost not in _COSTS:
        raise ValueError(f"the bcrypt cost is {_COSTS[0]} to {_COSTS[-1]}, not {cost}")
    encoded = password.encode()
    if len(encoded) > 72:
        raise Invalid.field("password", "A password has at most 72 bytes.")
    if b"\0" in encoded:
        raise Invalid.field("password", "A password has no NUL character.")
    return bcrypt.hashpw(encoded, bcrypt.gensalt(cost)).decode("ascii")


def mail_hashes(
    passwords: Sequence[str], cost: int, *, on_progress: Callable[[int], None]
) -> Iterator[str]:
    """`mail_hash` of each password, in order, on all cores; each is given as soon as it is ready.

    The next ones are hashed while the caller works with one. `on_progress` is called in the
    caller's thread with the number done so far; what it raises ends the work. Threads are enough:
    bcrypt hashes without the interpreter's lock.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            hashes = pool.map(lambda password: mail_hash(password, cost), passwords)
            for done, hashed in enumerate(hashes, start=1):
                on_progress(done)
                yield hashed
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def proof_digest(password: str) -> str:
    """A salted SHA-512 in the form that Dovecot reads: `{SSHA512}` and base64 of digest and salt.

    It takes microseconds where bcrypt takes a tenth of a second, so it stands in while a batch of
    new inboxes is proved. Only for passwords of `make_password`, which nobody can guess offline;
    the bcrypt hash replaces it.
    https://doc.dovecot.org/2.3/configuration_manual/authentication/password_schemes/
    """
    salt = secrets.token_bytes(16)
    digest = hashlib.sha512(password.encode() + salt).digest()
    return "{SSHA512}" + base64.b64encode(digest + salt).decode("ascii")
