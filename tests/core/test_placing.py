"""What `make test` believes of the suite's folders and files."""

from pathlib import Path

import pytest

from tests.placing import (
    BOTH_DATABASES,
    LONGEST,
    MATRICES,
    ONE_DATABASE,
    POSTGRESQL_ONLY,
    TOGETHER,
    Scheduling,
)

TESTS = Path(__file__).parent.parent


def test_what_is_placed_exists() -> None:
    assert all((TESTS / name).is_dir() for name in {*LONGEST, *TOGETHER, *ONE_DATABASE})
    assert all((TESTS / name).is_file() for name in {*MATRICES, *BOTH_DATABASES})


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/core/test_checks.py::test_a[b::c/d@e]", "core/test_checks.py"),
        ("tests/browser/test_wizard.py::test_a", "browser"),
        ("tests/browser/test_access.py::test_b", "browser"),
        (
            "tests/wizard/test_every_page.py::test_a[x]",
            "tests/wizard/test_every_page.py::test_a[x]",
        ),
    ],
)
def test_what_a_worker_is_given(nodeid: str, scope: str) -> None:
    assert Scheduling._split_scope(None, nodeid) == scope  # type: ignore[arg-type]


def test_every_test_runs_on_a_database_and_gives_a_reason_not_to(
    request: pytest.FixtureRequest,
) -> None:
    """Of the tests that were collected; the whole suite's, in the whole suite."""
    for item in request.session.items:
        reasons = [mark.args[0] for mark in item.iter_markers("one_database")]
        assert all(reason.strip() for reason in reasons)
        if reasons:
            assert not any(item.get_closest_marker(name) for name in POSTGRESQL_ONLY), item.nodeid


def test_migrations_and_locks_run_on_both_databases() -> None:
    assert {"core/test_migrations.py", "core/test_short_locks.py"} <= BOTH_DATABASES
