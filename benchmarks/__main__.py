"""`scripts/bench`: every benchmark, on SQLite and, where it is installed, on PostgreSQL.

With `DATABASE_URL` in the environment, on that database only.
"""

import os
import subprocess
import sys
from contextlib import ExitStack

from tests.postgresql import PrivatePostgreSQL, binaries

BENCHMARKS = (
    "inboxes",
    "mailboxes",
    "propagation",
    "engine",
    "api",
    "policy",
    "codes",
    "lookups",
    "health",
    "guessing",
)


def main() -> int:
    """The number of benchmarks that did not come to their end."""
    failed = 0
    with ExitStack() as stack:
        chosen: list[dict[str, str]] = [{}]
        if "DATABASE_URL" not in os.environ and binaries() is not None:
            chosen.append({"DATABASE_URL": stack.enter_context(PrivatePostgreSQL()).url})
        for database in chosen:
            for name in BENCHMARKS:
                command = [sys.executable, "-m", f"benchmarks.{name}"]
                done = subprocess.run(command, env=os.environ | database, check=False)
                failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
