"""Where and when a test runs: on one database or both, on which worker, early or late.

`tests/conftest.py` asks for every test that was collected. Decision 35 says why.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

# Fixtures of pytest-django and of ours that give a test a database.
DATABASE = {
    "db",
    "django_db_blocker",
    "live_server",
    "mail_server_process",
    "transactional_db",
}
# Folders in which nothing depends on which database the panel has, and why.
ONE_DATABASE = {
    "browser": "the panel behind the browser has a database of its own",
    "core": "settings, serving and parsing; the apps' tests lead through the rest",
    "sandbox": "the stand-ins keep no rows of ours",
    "terminal": "the panel behind the terminal has a database of its own",
}
# Files of this name, in every folder, and these files run on both databases: in the folders above,
# what depends on the database; elsewhere, a cross-section of services, operations and sweeps.
CROSS_SECTION = {"test_housekeeping.py", "test_services.py"}
BOTH_DATABASES = {
    "contract/test_isolation.py",
    "contract/test_source_1.py",
    "contract/test_source_2_mailboxes.py",
    "contract/test_source_3.py",
    "contract/test_source_3_dns.py",
    "contract/test_source_5_email.py",
    "contract/test_source_5_operators.py",
    "core/test_api_limits.py",
    "core/test_migrations.py",
    "core/test_resealing.py",
    "core/test_short_locks.py",
    "provisioning/test_engine.py",
    "provisioning/test_worker.py",
    "tenants/test_guesses.py",
}
# What the pass on PostgreSQL need not even collect: schemas take seconds to turn into tests.
NEVER_ON_POSTGRESQL = ("browser", "contract/test_schemathesis.py", "sandbox", "terminal")
# Fixtures that count queries.
COUNTING = {"django_assert_num_queries", "django_assert_max_num_queries"}
# Fixtures that start a server, and names by whose import a module tells that it starts processes.
SERVERS = {"mail_server_process", "powerdns_process", "running", "sandbox_process", "server"}
STARTERS = {
    "Clock",
    "KumoStandIn",
    "PrivatePgbouncer",
    "PrivatePostgreSQL",
    "Process",
    "RunningPanel",
    "Worker",
    "subprocess",
    "suite_environment",
}
# Folders whose fixtures live as long as the folder's tests.
TOGETHER = {"browser"}
# Files with a test for each page or operation and each input, which are spread over the workers:
# each takes less than some seconds, and none has fixtures of its module.
MATRICES = {"contract/test_isolation.py", "wizard/test_every_page.py"}
# Folders with the longest tests: begun last, one of them would keep a single worker busy at the
# end. The matrices fill that end, since each of their tests takes less than a second.
LONGEST = ("browser", "crash", "mailserver", "terminal")
# Tests that need a PostgreSQL under the panel.
POSTGRESQL_ONLY = ("mailserver", "pgbouncer")
# What of `django.db` a file imports that depends on the database.
TOUCHING = {
    "CaptureQueriesContext",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "OperationalError",
    "connection",
    "connections",
    "transaction",
}


def place(item: pytest.Item) -> None:
    """Mark a test with what follows from its folder, its module and its fixtures."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if folder_of(item) in LONGEST or fixtures & SERVERS or _starts_processes(item):
        item.add_marker(pytest.mark.servers)
    if file_of(item.nodeid) in MATRICES:
        item.add_marker(pytest.mark.matrix)
    for database in databases_of(item):
        item.add_marker(database)


def databases_of(item: pytest.Item) -> set[str]:
    """The passes in which a test runs: `on_sqlite`, `on_postgresql` or both.

    Both, where its file touches the database itself, where it commits without a server beside it,
    and in the cross-section. Of the rest, PostgreSQL has what commits beside servers, and SQLite
    everything else.
    """
    if _has(item, *POSTGRESQL_ONLY):
        if _has(item, "one_database"):
            raise pytest.UsageError(f"{item.nodeid} would run on no database")
        return {"on_postgresql"}
    fixtures = set(getattr(item, "fixturenames", ()))
    if (
        _has(item, "one_database", "postgresql")
        or not (fixtures & DATABASE or _has(item, "django_db"))
        or (folder_of(item) in ONE_DATABASE and not _is_cross_section(item))
    ):
        return {"on_sqlite"}
    if (
        _is_cross_section(item)
        or fixtures & COUNTING
        or touches_database(getattr(item, "module", None))
    ):
        return {"on_sqlite", "on_postgresql"}
    if not _commits(item):
        return {"on_sqlite"}
    return {"on_postgresql"} if _has(item, "servers") else {"on_sqlite", "on_postgresql"}


def touches_database(module: object) -> bool:
    """Whether a file imports a connection, a transaction or an error of the database."""
    return not TOUCHING.isdisjoint(vars(module or object))


def _is_cross_section(item: pytest.Item) -> bool:
    return item.path.name in CROSS_SECTION or file_of(item.nodeid) in BOTH_DATABASES


def _commits(item: pytest.Item) -> bool:
    """Whether a test's transactions are real."""
    return "transactional_db" in getattr(item, "fixturenames", ()) or any(
        mark.kwargs.get("transaction") for mark in item.iter_markers("django_db")
    )


def order(item: pytest.Item) -> int:
    """The longest first, the matrices last."""
    if _has(item, "matrix"):
        return len(LONGEST) + 1
    folder = folder_of(item)
    return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)


class Scheduling(LoadScopeScheduling):
    """Gives a worker a file, a whole folder, or one test of a matrix.

    xdist's own `loadgroup` writes groups into a part of a test that pytest 9 no longer has, and
    then spreads everything (seen in 3.8.0).
    """

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        folder = file.partition("/")[0]
        return nodeid if file in MATRICES else folder if folder in TOGETHER else file


def file_of(nodeid: str) -> str:
    """The file of a test, from the folder `tests` on."""
    return nodeid.partition("::")[0].removeprefix("tests/")


def folder_of(item: pytest.Item) -> str:
    """The folder of `tests` that a test is in."""
    return item.path.parent.name


def _starts_processes(item: pytest.Item) -> bool:
    return not STARTERS.isdisjoint(vars(getattr(item, "module", None) or object))


def _has(item: pytest.Item, *markers: str) -> bool:
    return any(item.get_closest_marker(name) for name in markers)
