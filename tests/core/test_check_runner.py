"""`make test` says that all passed only where something ran (scripts/checks.py)."""

import pytest

from scripts.checks import NO_TESTS_CHOSEN, Checks

pytestmark = pytest.mark.one_database("it runs no query")


def ran(*statuses: int, may_be_empty: bool = True) -> int:
    """How many checks failed, of suites that ended so."""
    checks = Checks(may_be_empty=may_be_empty)
    for status in statuses:
        checks.run(f"suite {status}", "python", "-c", f"raise SystemExit({status})")
    return checks.finish()


def test_files_that_choose_no_test_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(NO_TESTS_CHOSEN, NO_TESTS_CHOSEN) == 1
    said = capsys.readouterr().out
    assert "No test was run" in said
    assert "All checks passed" not in said


def test_files_whose_tests_are_for_one_database_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(0, NO_TESTS_CHOSEN) == 0
    assert "All checks passed." in capsys.readouterr().out


def test_a_test_that_fails_fails() -> None:
    assert ran(1, NO_TESTS_CHOSEN) == 1


def test_a_whole_suite_without_a_test_fails() -> None:
    assert ran(0, NO_TESTS_CHOSEN, may_be_empty=False) == 1
