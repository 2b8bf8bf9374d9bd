"""RSA keys for tests: made once for each process, and handed out again in the next test.

Making one takes 50 to 100 ms of CPU time, and every test with a domain whose mail is signed needs
one. The keys are real, and within a test no two are the same.
"""

import threading
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

POOLED = {"public_exponent": 65537, "key_size": 2048}


class KeyPool:
    """Takes the place of `rsa.generate_private_key`."""

    def __init__(self, make: Callable[..., rsa.RSAPrivateKey]) -> None:
        self._make = make
        self._keys: list[rsa.RSAPrivateKey] = []
        self._given = 0
        self._lock = threading.Lock()

    def begin_test(self) -> None:
        """From here on, every key may be given once more."""
        with self._lock:
            self._given = 0

    def __call__(self, **wanted: Any) -> rsa.RSAPrivateKey:
        """A key that this test was not given yet."""
        if wanted != POOLED:
            return self._make(**wanted)
        with self._lock:
            if self._given == len(self._keys):
                self._keys.append(self._make(**wanted))
            self._given += 1
            return self._keys[self._given - 1]


keys = KeyPool(rsa.generate_private_key)
