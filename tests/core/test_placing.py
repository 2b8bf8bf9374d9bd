"""What `make test` believes of the suite's folders and files."""

from pathlib import Path

import pytest

from tests.placing import (
    BOTH_DATABASES,
    LONGEST,
    MATRICES,
    NEVER_ON_POSTGRESQL,
    ONE_DATABASE,
    TOGETHER,
    Scheduling,
    file_of,
    place,
)

TESTS = Path(__file__).parent.parent


def test_what_is_placed_exists() -> None:
    assert all((TESTS / name).exists() for name in NEVER_ON_POSTGRESQL)
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
        databases = {"on_sqlite", "on_postgresql"} & {mark.name for mark in item.iter_markers()}
        assert databases
        if file_of(item.nodeid).startswith(NEVER_ON_POSTGRESQL):
            assert databases == {"on_sqlite"}


FILES = {
    "test_plain": "def test(db): pass",
    "test_none": "def test(): pass",
    "test_touching": "from django.db import connection\ndef test(db): pass",
    "test_counting": "def test(db, django_assert_num_queries): pass",
    "test_committing": "def test(transactional_db): pass",
    "test_serving": "def test(transactional_db, sandbox_process): pass",
    "test_services": "def test(db): pass",
    "test_mail": "import pytest\n@pytest.mark.mailserver\ndef test(transactional_db): pass",
    "test_refused": "import pytest\nfrom django.db import connection\n"
    "@pytest.mark.one_database('why')\ndef test(db): pass",
}


@pytest.mark.parametrize(
    ("name", "databases"),
    [
        ("test_plain", {"on_sqlite"}),
        ("test_none", {"on_sqlite"}),
        ("test_touching", {"on_sqlite", "on_postgresql"}),
        ("test_counting", {"on_sqlite", "on_postgresql"}),
        ("test_committing", {"on_sqlite", "on_postgresql"}),
        ("test_serving", {"on_postgresql"}),
        ("test_services", {"on_sqlite", "on_postgresql"}),
        ("test_mail", {"on_postgresql"}),
        ("test_refused", {"on_sqlite"}),
    ],
)
def test_where_a_test_runs(
    name: str, databases: set[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    file = tmp_path / "an_app" / f"{name}.py"
    file.parent.mkdir()
    file.write_text(FILES[name])
    module = pytest.Module.from_parent(request.session, path=file)
    (item,) = module.collect()
    assert isinstance(item, pytest.Function)
    place(item)
    given = {mark.name for mark in item.iter_markers()}
    assert given & {"on_sqlite", "on_postgresql"} == databases


def test_migrations_and_locks_run_on_both_databases() -> None:
    assert {"core/test_migrations.py", "core/test_short_locks.py"} <= BOTH_DATABASES
