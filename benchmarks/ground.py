"""What every benchmark stands on: Django, a database that goes afterwards, one form of result.

Import this before anything that has models.
"""

import contextlib
import os
import shutil
import statistics
from collections.abc import Iterator, Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import setup_databases, teardown_databases  # noqa: E402


@contextlib.contextmanager
def fresh_database() -> Iterator[None]:
    """A migrated database, dropped at the end together with the folder."""
    old = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        yield
    finally:
        teardown_databases(old, verbosity=0)
        shutil.rmtree(settings.FOLDER, ignore_errors=True)


def database() -> str:
    """The name of the database that is measured on."""
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]


def report(
    what: str, *, ours: Sequence[float], floor: Sequence[float], unit: str = "s", bound: str = ""
) -> None:
    """Print one line: both medians, and the median of the ratios of the rounds.

    `ours` and `floor` have one value for each round.
    """
    ratios = [mine / bare for mine, bare in zip(ours, floor, strict=True)]
    print(
        f"{what} ({database()}): {statistics.median(ours):.2f} {unit}"
        f" beside {statistics.median(floor):.2f} {unit},"
        f" ratio {statistics.median(ratios):.2f}"
        f" (rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        f"{f', bound {bound}' if bound else ''}",
        flush=True,
    )
