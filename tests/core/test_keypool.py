"""The keys of the tests: never the same twice in a test, and made once for all of them."""

from cryptography.hazmat.primitives.asymmetric import rsa

from dnszones.dkim.records import make_key
from tests.keypool import POOLED, KeyPool


def test_no_key_is_given_twice_in_a_test() -> None:
    assert len({make_key().value for _ in range(3)}) == 3


def test_the_next_test_is_given_the_same_keys() -> None:
    made: list[rsa.RSAPrivateKey] = []

    def make(**wanted: int) -> rsa.RSAPrivateKey:
        made.append(rsa.generate_private_key(**wanted))
        return made[-1]

    pool = KeyPool(make)
    first = [pool(**POOLED), pool(**POOLED)]
    pool.begin_test()
    assert [pool(**POOLED), pool(**POOLED)] == first
    third = pool(**POOLED)
    assert third not in first
    assert made == [*first, third]


def test_keys_of_other_sizes_are_made_anew() -> None:
    pool = KeyPool(rsa.generate_private_key)
    small = [pool(public_exponent=65537, key_size=1024) for _ in range(2)]
    assert small[0].private_numbers() != small[1].private_numbers()
    assert small[0].key_size == 1024
