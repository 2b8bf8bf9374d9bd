"""What tests about who share."""

import pytest

from mpanel.core.api.ratelimit import forget_portions


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """Tries that an earlier test used up, in the process's memory, are forgotten."""
    forget_portions()
