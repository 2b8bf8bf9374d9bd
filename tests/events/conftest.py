"""Fixtures of the events' tests."""

from collections.abc import Iterator

import pytest

from tests.events.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes webhooks."""
    with Receiver() as receiver:
        yield receiver
