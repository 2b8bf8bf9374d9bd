"""mPanel's settings as the suite runs them: keys of its own, the sandbox, a database file.

`DATABASE_URL` in the environment chooses another database; that is how the suite runs on
PostgreSQL.
"""

import os
import tempfile
from pathlib import Path

from tests.sandboxes import find_free_port_block

FOLDER = Path(tempfile.mkdtemp(prefix="mpanel-tests-"))

os.environ["MPANEL_VAR_DIR"] = str(FOLDER)
os.environ["SECRET_KEY"] = "a key for the tests, long enough for every check"
os.environ["ENCRYPTION_KEYS"] = "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
os.environ["SANDBOX"] = "yes"
os.environ["SANDBOX_PORT"] = str(find_free_port_block())
os.environ["MAILBOX_BCRYPT_COST"] = "4"
os.environ["VENDOR_TIMEOUT"] = "3"
os.environ["DNS_TIMEOUT"] = "1.5"
os.environ["JOB_LEASE"] = "6"
os.environ["NAMESERVER_INTERVAL"] = "1"
os.environ["PROPAGATION_INTERVAL"] = "1"
os.environ["DNS_WATCH_INTERVAL"] = "1"
os.environ["TICK_INTERVAL"] = "0.2"
# Most tests have no mail server beside them; those of its interface name one.
os.environ["MAILSERVER_ADMIN_URL"] = os.environ["MAILSERVER_ADMIN_KEY"] = ""
os.environ["MAILSERVER_SIEVE_PORT"] = "4190"
# Reading an RSA key takes a while; tests of Google Workspace add a credential themselves.
os.environ["HOUSE_GOOGLE_KEY_FILE"] = ""
os.environ["LOG_LEVEL"] = "ERROR"

from mpanel.settings import *  # noqa: E402, F403
from mpanel.settings import DATABASES  # noqa: E402

STATIC_ROOT = FOLDER / "static"
STATIC_ROOT.mkdir()
# In the suite's own process nothing ends early because the machine is slow: after a call that is
# given up, or a lease that runs out, comes a second call, which tests would count. Other processes
# are killed in tests, so theirs are short.
JOB_LEASE, VENDOR_TIMEOUT = 600, 120.0
API_PUBLIC_RATE = API_ADDRESS_RATE = 1_000_000  # tests of the limits set their own
API_PLAN_RATE_FACTOR = 1_000
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because the sandbox's mail server reads it from its own process.
    DATABASES["default"]["TEST"] = {"NAME": str(FOLDER / "test.sqlite3")}
