"""The keys that mail is signed with, decrypted for a minute at most."""

import threading
import time
from dataclasses import dataclass, field

from dnszones.models import DkimKey

# With `FORGET_EVERY` in between, no key is in memory for longer than 60 seconds after it was read.
LIFE = 50.0
FORGET_EVERY = 10.0


class NoSigningKey(Exception):
    """A domain of ours has keys, but none that signs: its mail waits until it has."""


@dataclass(frozen=True)
class SigningKey:
    """`pem`: the private key, PKCS 8."""

    domain: str
    selector: str
    pem: bytes = field(repr=False)


class KeyRing:
    """Signing keys by domain, read from the database as they are needed. Safe among threads."""

    def __init__(self, *, life: float = LIFE) -> None:
        self._life = life
        self._kept: dict[str, tuple[float, SigningKey]] = {}
        self._guard = threading.Lock()

    def key_of(self, domain: str) -> SigningKey | None:
        """The key that a verified domain of ours signs with; None where the domain is not ours.

        What is not ours is looked up each time: it may be ours by now. Raises `NoSigningKey`,
        `Unsealable` and what the database raises.
        """
        with self._guard:
            expires, key = self._kept.get(domain, (0.0, None))
        if key is not None and time.monotonic() < expires:
            return key
        key = _read(domain)
        with self._guard:
            if key is None:
                self._kept.pop(domain, None)
            else:
                self._kept[domain] = (time.monotonic() + self._life, key)
        return key

    def forget_old(self) -> None:
        """Let go of keys whose time is over."""
        now = time.monotonic()
        with self._guard:
            self._kept = {name: kept for name, kept in self._kept.items() if kept[0] > now}

    def __len__(self) -> int:
        return len(self._kept)


def _read(domain: str) -> SigningKey | None:
    rows = list(
        DkimKey.objects.filter(
            zone__domain__name=domain, zone__domain__verified_at__isnull=False
        ).exclude(status=DkimKey.RETIRED)
    )
    if not rows:
        return None
    for row in rows:
        if row.status == DkimKey.SIGNING:
            return SigningKey(domain, row.selector, row.private_pem().encode())
    raise NoSigningKey(domain)
