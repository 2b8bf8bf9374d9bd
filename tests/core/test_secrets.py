"""Secrets at rest: what opens, and what does not."""

from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured

from mpanel.core import secrets
from tenants.models import ProviderCredential


def row() -> ProviderCredential:
    return ProviderCredential(port="dns", provider="cloudflare")


def test_what_is_sealed_opens_again_and_differs_every_time() -> None:
    mine = row()
    one, other = (secrets.seal("häßlich", row=mine, column="sealed") for _ in range(2))
    assert one != other
    assert "häßlich" not in one
    assert secrets.unseal(one, row=mine, column="sealed") == "häßlich"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-6] + "AAAAA=",
        lambda text: text.replace("v1.", "v2."),
        lambda text: text.replace(".test.", ".gone."),
        lambda text: text.rpartition(".")[0],
        lambda text: "",
        lambda text: "v1.test.€",
    ],
)
def test_what_is_damaged_does_not_open(damage: Callable[[str], str]) -> None:
    mine = row()
    sealed = secrets.seal("secret", row=mine, column="sealed")
    with pytest.raises(secrets.Unsealable) as caught:
        secrets.unseal(damage(sealed), row=mine, column="sealed")
    assert "secret" not in str(caught.value).replace("secret value", "")


def test_a_value_opens_in_its_own_row_and_column_only() -> None:
    mine = row()
    sealed = secrets.seal("secret", row=mine, column="sealed")
    with pytest.raises(secrets.Unsealable):
        secrets.unseal(sealed, row=row(), column="sealed")
    with pytest.raises(secrets.Unsealable):
        secrets.unseal(sealed, row=mine, column="public")


def test_a_key_of_the_same_name_with_other_bytes_does_not_open(settings: LazySettings) -> None:
    mine = row()
    sealed = secrets.seal("secret", row=mine, column="sealed")
    settings.ENCRYPTION_KEYS = [secrets.new_key("test")]
    with pytest.raises(secrets.Unsealable):
        secrets.unseal(sealed, row=mine, column="sealed")


@pytest.mark.parametrize(
    "entries", [[], ["no colon"], ["a:short"], [":" + "A" * 43 + "="], ["a.b:" + "A" * 43 + "="]]
)
def test_a_bad_key_ring_is_explained(entries: list[str]) -> None:
    with pytest.raises(ImproperlyConfigured, match="newkey"):
        secrets.parse_key_ring(entries)


def test_digests_need_the_secret_key(settings: LazySettings) -> None:
    before = secrets.digest("123456")
    assert secrets.same(before, secrets.digest("123456"))
    assert not secrets.same(before, secrets.digest("123457"))
    settings.SECRET_KEY = "another key for the tests, long enough"
    assert not secrets.same(before, secrets.digest("123456"))


def test_codes_have_their_digits_and_vary() -> None:
    codes = {secrets.numeric_code() for _ in range(200)}
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert len(codes) > 190
