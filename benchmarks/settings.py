"""mPanel's settings as the benchmarks run them: keys and a folder of their own, free ports.

What a customer's installation would have stays as it is, the bcrypt cost above all. `DATABASE_URL`
in the environment chooses another database server; without it a database file is used.
"""

import os
import tempfile
from pathlib import Path

from tests.sandboxes import find_free_port_block

# A worker process of the same run gets both from its parent.
FOLDER = Path(os.environ.get("BENCHMARK_FOLDER") or tempfile.mkdtemp(prefix="mpanel-bench-"))
PORT = os.environ.get("BENCHMARK_PORT") or str(find_free_port_block())

os.environ["MPANEL_VAR_DIR"] = str(FOLDER)
os.environ["SECRET_KEY"] = "a key for the benchmarks, long enough for every check"
os.environ["ENCRYPTION_KEYS"] = "bench:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
os.environ["SANDBOX"] = "yes"
os.environ["SANDBOX_PORT"] = PORT
os.environ["WORKERS"] = "1"
os.environ.setdefault("LOG_LEVEL", "ERROR")

from mpanel.settings import *  # noqa: E402, F403
from mpanel.settings import DATABASES, INSTALLED_APPS  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": str(FOLDER / "bench.sqlite3")}
else:
    DATABASES["default"]["TEST"] = {"NAME": f"mpanel_bench_{FOLDER.name[-8:]}".lower()}
if "BENCHMARK_FOLDER" in os.environ:
    name = os.environ.get("BENCHMARK_DATABASE")
    DATABASES["default"]["NAME"] = name or DATABASES["default"]["TEST"]["NAME"]
