"""Fixtures of the engine's tests."""

from collections.abc import Iterator

import pytest

from tests.provisioning.workshop import Workshop, opened


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    """A workflow of three things, one after the other."""
    with opened(["floor", "walls", "roof"]) as shop:
        yield shop
