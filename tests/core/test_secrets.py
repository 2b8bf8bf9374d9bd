"""Secrets at rest: what opens, and what does not."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import CharField, TextField

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
    sealed = secrets.seal("opensesame", row=mine, column="sealed")
    with pytest.raises(secrets.Unsealable) as caught:
        secrets.unseal(damage(sealed), row=mine, column="sealed")
    assert "opensesame" not in str(caught.value)
    assert caught.value.code == "SECRET_UNREADABLE"


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
    settings.ENCRYPTION_KEYS = [f"test:{secrets.new_key().partition(':')[2]}"]
    with pytest.raises(secrets.Unsealable):
        secrets.unseal(sealed, row=mine, column="sealed")


@pytest.mark.parametrize(
    "entries", [[], ["no colon"], ["a:short"], [":" + "A" * 43 + "="], ["a.b:" + "A" * 43 + "="]]
)
def test_a_bad_key_ring_is_explained(entries: list[str]) -> None:
    with pytest.raises(ImproperlyConfigured, match="newkey"):
        secrets.parse_key_ring(entries)


def test_two_new_keys_have_two_ids() -> None:
    ids = {secrets.new_key().partition(":")[0] for _ in range(50)}
    assert len(ids) == 50


@pytest.mark.parametrize("other", ["a", "A"])
def test_two_keys_of_one_id_are_refused(other: str) -> None:
    """Of two, one would win and what the other sealed would be lost without a word."""
    value = "A" * 43 + "="
    with pytest.raises(ImproperlyConfigured, match="two entries with the id"):
        secrets.parse_key_ring([f"a:{value}", "b:" + "B" * 42 + "A=", f"{other}:{value}"])


def test_only_a_sealed_field_is_sealed_into() -> None:
    """Any other column would be forgotten when keys are changed."""
    with pytest.raises(TypeError, match="SealedField"):
        secrets.seal("secret", row=row(), column="label")


def test_every_column_that_is_called_sealed_is_a_sealed_field() -> None:
    columns = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.local_concrete_fields
        if field.name.startswith("sealed") and isinstance(field, TextField | CharField)
    }
    assert columns == {(model, field.name) for model, field in secrets.sealed_fields()}
    assert len(columns) >= 9


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
