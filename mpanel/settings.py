"""Settings, read top to bottom from the environment.

Every value has its default beside it. `make run` writes the few that must differ from machine to
machine (keys, ports) to `var/env`, so that a second shell sees the same installation.
`mpanel/operations/checks.py` explains a bad value when a process starts.
"""

import hashlib
import os
import tomllib
from datetime import timedelta
from pathlib import Path

from mpanel.core import queues
from mpanel.environment import LOG_LEVELS, Environment

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("MPANEL_VAR_DIR", BASE_DIR / "var"))

VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

env = Environment()
env.escape_proxy = True
env.read_env(os.environ.get("MPANEL_ENV_FILE", VAR_DIR / "env"))

# --- Identity and keys -----------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
# Key ring for secrets at rest: "id:base64 of 32 bytes", comma separated; the first one seals.
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[])
SITE_URL = env.str("SITE_URL", default="http://localhost:8000")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
# Whom `manage.py onboard` acts for when it is not told.
ONBOARD_ACCOUNT = env.str("ONBOARD_ACCOUNT", default="")
# How many proxies stand in front of us and add to X-Forwarded-For; 0 trusts nobody.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
# One line above every page, e.g. to name a staging system, and where it leads.
BANNER_TEXT = env.str("BANNER_TEXT", default="")
BANNER_URL = env.str("BANNER_URL", default="")
# Whom customers ask, for a larger plan or when something failed: an e-mail address, or the address
# of a page (https://). Empty: they are told to ask their host.
SUPPORT_CONTACT = env.str("SUPPORT_CONTACT", default="")

# --- The sandbox: where every vendor's address points when it is on --------------------------

SANDBOX = env.bool("SANDBOX", default=False)
# HTTP on this port; DNS, submission, system mail and IMAPS on the four that follow.
SANDBOX_PORT = env.int("SANDBOX_PORT", default=8001)
SANDBOX_DIR = VAR_DIR / "sandbox"
SANDBOX_ACCOUNT = "3c469e9d6c5875d37a43f353d4f88e61"  # of the token sandbox-token


def vendor(name: str, *, real: str, sandbox: str) -> str:
    """The address of a vendor: what the environment says, else the sandbox's or the real one."""
    return str(env.str(name, default=sandbox if SANDBOX else real))


# --- Outside services ------------------------------------------------------------------------

CLOUDFLARE_BASE_URL = vendor(
    "CLOUDFLARE_BASE_URL",
    real="https://api.cloudflare.com/client/v4",
    sandbox=f"http://127.0.0.1:{SANDBOX_PORT}/client/v4",
)
NAMECHEAP_BASE_URL = vendor(
    "NAMECHEAP_BASE_URL",
    real="https://api.namecheap.com/xml.response",
    sandbox=f"http://127.0.0.1:{SANDBOX_PORT}/xml.response",
)
# PowerDNS is the host's own: its HTTP API up to /servers/localhost; empty where there is none.
POWERDNS_BASE_URL = env.str("POWERDNS_BASE_URL", default="").rstrip("/")
# Google's APIs have two addresses, and a third that gives tokens for service accounts.
GOOGLE_DIRECTORY_BASE_URL = vendor(
    "GOOGLE_DIRECTORY_BASE_URL",
    real="https://admin.googleapis.com/",
    sandbox=f"http://127.0.0.1:{SANDBOX_PORT}/google/",
)
GOOGLE_VERIFICATION_BASE_URL = vendor(
    "GOOGLE_VERIFICATION_BASE_URL",
    real="https://www.googleapis.com/siteVerification/v1/",
    sandbox=f"http://127.0.0.1:{SANDBOX_PORT}/google/siteVerification/v1/",
)
GOOGLE_TOKEN_URL = vendor(
    "GOOGLE_TOKEN_URL",
    real="https://oauth2.googleapis.com/token",
    sandbox=f"http://127.0.0.1:{SANDBOX_PORT}/google/token",
)
SMARTLEAD_BASE_URL = vendor(
    "SMARTLEAD_BASE_URL",
    real="https://server.smartlead.ai/api/v1",
    sandbox=f"http://127.0.0.1:{SANDBOX_PORT}/smartlead/api/v1",
)
INSTANTLY_BASE_URL = vendor(
    "INSTANTLY_BASE_URL",
    real="https://api.instantly.ai",
    sandbox=f"http://127.0.0.1:{SANDBOX_PORT}/instantly",
)
# Whether calls to outreach tools keep the distance that their limits ask for.
OUTREACH_PACED = env.bool("OUTREACH_PACED", default=not SANDBOX)
# How long what a tool counted of a mailbox's warm-up is fresh; the sandbox's days are short.
WARMUP_INTERVAL = env.int("WARMUP_INTERVAL", default=60 if SANDBOX else 72_000)  # seconds
VENDOR_TIMEOUT = env.float("VENDOR_TIMEOUT", default=20.0)  # seconds per call
LOOKUP_TIMEOUT = env.float("LOOKUP_TIMEOUT", default=5.0)  # seconds per call within a request

# A DNS account that every tenant may use; empty for none. The host pays for it.
HOUSE_CLOUDFLARE_TOKEN = env.str(
    "HOUSE_CLOUDFLARE_TOKEN", default="sandbox-token" if SANDBOX else ""
)
HOUSE_CLOUDFLARE_ACCOUNT = env.str(
    "HOUSE_CLOUDFLARE_ACCOUNT", default=SANDBOX_ACCOUNT if SANDBOX else ""
)
# The same of the host's PowerDNS: its API key, and its nameservers, separated by commas.
HOUSE_POWERDNS_KEY = env.str("HOUSE_POWERDNS_KEY", default="")
HOUSE_POWERDNS_NAMESERVERS = env.str("HOUSE_POWERDNS_NAMESERVERS", default="")
# A registrar's account that every tenant may buy domains with; empty for none. Only the
# sandbox has one: elsewhere the customer's own account pays.
HOUSE_NAMECHEAP_USER = env.str("HOUSE_NAMECHEAP_USER", default="mpanel" if SANDBOX else "")
HOUSE_NAMECHEAP_KEY = env.str("HOUSE_NAMECHEAP_KEY", default="sandbox-mpanel" if SANDBOX else "")
HOUSE_NAMECHEAP_ADDRESS = env.str("HOUSE_NAMECHEAP_ADDRESS", default="127.0.0.1" if SANDBOX else "")
# Outreach tools that every tenant may use; like the registrar's account, in the sandbox only.
HOUSE_SMARTLEAD_KEY = env.str("HOUSE_SMARTLEAD_KEY", default="sandbox-mpanel" if SANDBOX else "")
HOUSE_INSTANTLY_KEY = env.str("HOUSE_INSTANTLY_KEY", default="sandbox-mpanel" if SANDBOX else "")

# The same of Google Workspace: the key file of a service account, and its administrator.
HOUSE_GOOGLE_KEY_FILE = env.str(
    "HOUSE_GOOGLE_KEY_FILE",
    default=str(SANDBOX_DIR / "google-service-account.json") if SANDBOX else "",
)
HOUSE_GOOGLE_ADMIN = env.str("HOUSE_GOOGLE_ADMIN", default="admin@workspace.test")

# Delegations are followed from here, as a resolver does (IANA's root hints).
DNS_ROOT_SERVERS = [
    address.strip()
    for address in vendor(
        "DNS_ROOT_SERVERS",
        real="198.41.0.4,170.247.170.2,192.33.4.12,199.7.91.13,192.203.230.10",
        sandbox="127.0.0.2",
    ).split(",")
]
DNS_PORT = env.int("DNS_PORT", default=SANDBOX_PORT + 1 if SANDBOX else 53)
# "Name=address[:port]", comma separated: the resolvers whose caches propagation watches.
DNS_RESOLVERS = vendor(
    "DNS_RESOLVERS",
    real="Google=8.8.8.8,Cloudflare=1.1.1.1,Quad9=9.9.9.9,OpenDNS=208.67.222.222",
    sandbox=(
        f"North=127.0.0.11:{SANDBOX_PORT + 1},East=127.0.0.12:{SANDBOX_PORT + 1},"
        f"South=127.0.0.13:{SANDBOX_PORT + 1},West=127.0.0.14:{SANDBOX_PORT + 1}"
    ),
)
DNS_TIMEOUT = env.float("DNS_TIMEOUT", default=3.0)  # seconds per try
# Suffixes outside the public suffix list under which domains may be connected, e.g. "test".
EXTRA_SUFFIXES = env.list("EXTRA_SUFFIXES", default=["test"] if SANDBOX else [])

# Names that nobody may connect, with all below them, beside those of public mail providers and of
# this installation itself.
REFUSED_DOMAINS = env.list("REFUSED_DOMAINS", default=[])
# A verified domain whose delegation or proof was seen to be gone on so many looks, over so many
# hours, is verified no longer. Caches may lead to us for two days after a delegation has changed.
CONTROL_GONE_LOOKS = env.int("CONTROL_GONE_LOOKS", default=3)
CONTROL_GONE_HOURS = env.float("CONTROL_GONE_HOURS", default=72.0)

# Our own mail server, as customers and we reach it.
MAILSERVER_HOST = env.str("MAILSERVER_HOST", default="localhost" if SANDBOX else "mail.example.com")
MAILSERVER_SUBMISSION_PORT = env.int(
    "MAILSERVER_SUBMISSION_PORT", default=SANDBOX_PORT + 2 if SANDBOX else 587
)
MAILSERVER_IMAPS_PORT = env.int(
    "MAILSERVER_IMAPS_PORT", default=SANDBOX_PORT + 4 if SANDBOX else 993
)
MAILSERVER_MX = env.str(
    "MAILSERVER_MX", default="mx.mail-sandbox.test" if SANDBOX else "mx.example.com"
)
# What a customer's SPF record includes to authorise our mail server.
MAILSERVER_SPF = env.str(
    "MAILSERVER_SPF", default="_spf.mail-sandbox.test" if SANDBOX else "_spf.example.com"
)
# CA that signed the mail server's certificate; empty for the system's.
MAILSERVER_CA_FILE = env.str(
    "MAILSERVER_CA_FILE", default=str(SANDBOX_DIR / "ca.pem") if SANDBOX else ""
)

# Where the house's mail server stands, as customers choose it, and the addresses it sends from.
MAILSERVER_REGION = env.str("MAILSERVER_REGION", default="local" if SANDBOX else "default")
MAILSERVER_REGION_LABEL = env.str(
    "MAILSERVER_REGION_LABEL", default="This machine" if SANDBOX else "Default region"
)
MAILSERVER_ADDRESSES = env.list("MAILSERVER_ADDRESSES", default=[])
# Dovecot's own HTTP interface (https://doc.dovecot.org/2.3/admin_manual/doveadm_http_api/), by
# which running sessions are ended and mailboxes measured; empty for none.
MAILSERVER_ADMIN_URL = env.str(
    "MAILSERVER_ADMIN_URL", default=f"http://127.0.0.1:{SANDBOX_PORT}" if SANDBOX else ""
)
MAILSERVER_ADMIN_KEY = env.str(
    "MAILSERVER_ADMIN_KEY", default="sandbox-admin-key" if SANDBOX else ""
)
# The mailbox on the house's mail server that gets mail to its postmaster and abuse, and to those of
# customers' domains that have none; empty refuses such mail.
MAILSERVER_POSTMASTER = env.str("MAILSERVER_POSTMASTER", default="").lower()
# Where mail programs edit filters (ManageSieve); 0 for no filters: vacation, forwarding, Junk. And
# the Postfix server on each mail server's machine to which filters give what they send. The sandbox
# runs no filters.
MAILSERVER_SIEVE_PORT = env.int("MAILSERVER_SIEVE_PORT", default=0 if SANDBOX else 4190)
MAILSIEVE_NEXT_HOP = env.str("MAILSIEVE_NEXT_HOP", default="127.0.0.1:10028")
# The database's role by which Dovecot and Postfix read the mail views, and nothing else.
MAILSERVER_ROLE = env.str("MAILSERVER_ROLE", default="mpanel_mail")
# Where Dovecot and Postfix have their sockets.
MAILSERVER_RUN_DIR = env.str("MAILSERVER_RUN_DIR", default="/run/mpanel-mail")
# Where `manage.py mailpolicy` and `manage.py mailsigner` listen for Postfix, and where the signer
# gives the signed mail back to it.
MAILPOLICY_ADDRESS = env.str(
    "MAILPOLICY_ADDRESS", default=f"127.0.0.1:{SANDBOX_PORT + 5}" if SANDBOX else "127.0.0.1:10031"
)
# Where `manage.py loginpolicy` listens for Dovecot, and from which networks it refuses nobody: the
# panel's own, and those of outreach tools, which log in for many customers.
LOGINPOLICY_ADDRESS = env.str("LOGINPOLICY_ADDRESS", default="127.0.0.1:10033")
LOGIN_TRUSTED_NETWORKS = env.list("LOGIN_TRUSTED_NETWORKS", default=["127.0.0.0/8", "::1/128"])
MAILSIGNER_ADDRESS = env.str("MAILSIGNER_ADDRESS", default="127.0.0.1:10025")
MAILSIGNER_NEXT_HOP = env.str("MAILSIGNER_NEXT_HOP", default="127.0.0.1:10026")
# Where the signer tells Postfix, before it takes a message, whether its author may be named.
MAILSIGNER_AUTHORS = env.str("MAILSIGNER_AUTHORS", default="127.0.0.1:10027")
# Who may write From addresses of domains that nobody here has: "chosen" are those whom an operator
# allowed it, "none" is nobody, "all" is everybody.
MAIL_OUTSIDE_FROM = env.str("MAIL_OUTSIDE_FROM", default="chosen")
# The largest message that may be submitted, in bytes.
MAIL_SIZE_LIMIT = env.int("MAIL_SIZE_LIMIT", default=26_214_400)
# What Postfix does when nobody can tell whether a sender may send: "closed" tries later, "open"
# lets the mail pass uncounted.
MAILPOLICY_FAILS = env.str("MAILPOLICY_FAILS", default="closed")

# Milters that Postfix shows mail from outside to, in this order: unix:/path or inet:host:port.
MAIL_MILTERS = env.list("MAIL_MILTERS", default=[])

DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="mPanel <noreply@localhost>")
# The mail server that takes our own messages: smtp://, smtp+tls:// (STARTTLS) or smtp+ssl://.
_mail = env.mail_server(
    "EMAIL_URL",
    default=f"smtp://127.0.0.1:{SANDBOX_PORT + 3}" if SANDBOX else "smtp://127.0.0.1:25",
)
MAILERS = {
    "default": {
        "BACKEND": _mail["EMAIL_BACKEND"],
        "OPTIONS": {
            "host": _mail["EMAIL_HOST"],
            "port": _mail["EMAIL_PORT"],
            "username": _mail["EMAIL_HOST_USER"] or "",
            "password": _mail["EMAIL_HOST_PASSWORD"] or "",
            "use_tls": _mail.get("EMAIL_USE_TLS", False),
            "use_ssl": _mail.get("EMAIL_USE_SSL", False),
            "timeout": 15,
        },
    }
}

# Networks outside of the public internet that webhooks may call nevertheless, e.g. 10.1.0.0/16.
WEBHOOK_ALLOWED_NETWORKS = env.list(
    "WEBHOOK_ALLOWED_NETWORKS", default=["127.0.0.0/8", "::1/128"] if SANDBOX else []
)

# --- How mPanel works ------------------------------------------------------------------------

MAILBOX_BCRYPT_COST = env.int("MAILBOX_BCRYPT_COST", default=10)
MAILBOX_DAILY_LIMIT = env.int("MAILBOX_DAILY_LIMIT", default=200)  # recipients, per mailbox
# Recipients to which filter scripts forward and answer a day, per mailbox.
MAILBOX_SCRIPTS_LIMIT = env.int("MAILBOX_SCRIPTS_LIMIT", default=1_000)
JOBS_KEPT = env.int("JOBS_KEPT", default=180)  # days after their end, with their logs
PLANS_KEPT = env.int("PLANS_KEPT", default=180)  # days; what may be taken back stays
DELETED_MAIL_KEPT = env.int("DELETED_MAIL_KEPT", default=30)  # days
# How long a DKIM key that was replaced stays published, for mail that is on its way; and how often
# keys are replaced by themselves, 0 for never.
DKIM_RETIRE_AFTER = env.int("DKIM_RETIRE_AFTER", default=7)  # days
DKIM_ROTATE_EVERY = env.int("DKIM_ROTATE_EVERY", default=0)  # days
# Sending pauses when this share of what was tried in seven days bounced, of at least so many.
BOUNCE_THRESHOLD = env.float("BOUNCE_THRESHOLD", default=0.08)
BOUNCE_SAMPLE = env.int("BOUNCE_SAMPLE", default=25)
# Postfix's log, where this machine has it: what bounced is read from there.
MAILLOG_FILE = env.str("MAILLOG_FILE", default=str(SANDBOX_DIR / "mail.log") if SANDBOX else "")
HEALTH_INTERVAL = env.int("HEALTH_INTERVAL", default=60 if SANDBOX else 3600)  # seconds
# How long it is known how full a mailbox is, before its server is asked again.
STORAGE_INTERVAL = env.int("STORAGE_INTERVAL", default=60 if SANDBOX else 21_600)  # seconds
# DNS blocklists for the addresses that mail is sent from, and the resolver that may ask them
# ("address[:port]"); without one, nobody is asked: public resolvers get wrong answers.
BLOCKLISTS = env.list(
    "BLOCKLISTS",
    default=["bl.mail-sandbox.test"] if SANDBOX else ["zen.spamhaus.org", "bl.spamcop.net"],
)
DOMAIN_BLOCKLISTS = env.list(  # for names
    "DOMAIN_BLOCKLISTS",
    default=["dbl.mail-sandbox.test"] if SANDBOX else ["dbl.spamhaus.org"],
)
BLOCKLIST_RESOLVER = env.str(
    "BLOCKLIST_RESOLVER", default=f"127.0.0.11:{SANDBOX_PORT + 1}" if SANDBOX else ""
)
PROPAGATION_INTERVAL = env.int("PROPAGATION_INTERVAL", default=30)  # seconds, while a session runs
DNS_WATCH_INTERVAL = env.int("DNS_WATCH_INTERVAL", default=30 if SANDBOX else 300)  # seconds, after
NAMESERVER_INTERVAL = env.int("NAMESERVER_INTERVAL", default=10 if SANDBOX else 30)  # seconds
# The longest time between two looks at the source of a flattened SPF record; a shorter TTL counts.
SPF_REFRESH_INTERVAL = env.int("SPF_REFRESH_INTERVAL", default=3600)  # seconds
TICK_INTERVAL = env.float("TICK_INTERVAL", default=2.0)  # seconds
JOB_LEASE = env.int("JOB_LEASE", default=60)  # seconds a silent runner keeps its job
# Processes of each worker that do jobs, that send sign-in codes, and that run periodic sweeps.
WORKERS = env.int("WORKERS", default=2)
URGENT_WORKERS = env.int("URGENT_WORKERS", default=2)
SWEEP_WORKERS = env.int("SWEEP_WORKERS", default=2)
WORKER_STALE_AFTER = env.int("WORKER_STALE_AFTER", default=90)  # seconds without a heartbeat

# --- Django ----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # before the admin, whose templates it replaces
    "mpanel.adminconfig.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "mpanel.core",
    "mpanel.operations",
    "events",
    "tenants",
    "provisioning",
    "billing",
    "domains",
    "dnszones",
    "mailservers",
    "mailboxes",
    "deliverability",
    "outreach",
    "wizard",
    "mpanel.launcher",
    "sandbox",
]

MIDDLEWARE = [
    "mpanel.core.requests.RequestMiddleware",
    # Answers at names of customers, which `ALLOWED_HOSTS` does not list.
    "mailservers.discovery.DiscoveryMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tenants.middleware.ActorMiddleware",
    "mpanel.core.pages.ErrorPageMiddleware",
]

ROOT_URLCONF = "mpanel.urls"
WSGI_APPLICATION = "mpanel.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mpanel.core.pages.banner",
                "events.context.bell",
                "wizard.chrome.frame",
            ],
            "builtins": ["mpanel.core.templatetags.ui"],
        },
    },
]

# Seconds until a server that cannot be reached, or does not answer, counts as unavailable.
DATABASE_CONNECT_TIMEOUT = env.int("DATABASE_CONNECT_TIMEOUT", default=2)
DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{VAR_DIR}/mpanel.sqlite3")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 600
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Without these, whoever talks to a dead network waits for the kernel: two minutes, or hours.
    # What DATABASE_URL says comes first. `tcp_user_timeout` is in ms, the others in seconds.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": DATABASE_CONNECT_TIMEOUT,
        "tcp_user_timeout": 5_000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        **DATABASES["default"].get("OPTIONS", {}),
    }
    # Behind a pooler in transaction mode (pgbouncer) no cursor outlives its transaction.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = env.bool("DATABASE_POOLED", default=False)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

Q_CLUSTER = {
    "name": queues.JOBS,
    "orm": "default",
    "workers": WORKERS,
    "timeout": 600,
    "retry": 660,
    "max_attempts": 1,
    "ack_failures": True,  # the engine owns retries; the queue is only a doorbell
    "queue_limit": WORKERS,
    "bulk": 1,
    "poll": 0.2,
    "save_limit": -1,
    "catch_up": False,
    "scheduler": False,  # the clock is ours (manage.py tick)
    "label": "Queue",
    "ALT_CLUSTERS": {
        queues.URGENT: {"workers": URGENT_WORKERS, "queue_limit": URGENT_WORKERS},
        queues.SWEEPS: {"workers": SWEEP_WORKERS, "queue_limit": SWEEP_WORKERS},
    },
}

AUTH_USER_MODEL = "tenants.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
CSRF_FAILURE_VIEW = "mpanel.core.pages.csrf_failure"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "overview"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE_URL.startswith("https://")
SESSION_COOKIE_NAME = "mpanel_session"
CSRF_COOKIE_NAME = "mpanel_csrf"
CSRF_TRUSTED_ORIGINS = [SITE_URL]
SECURE_HSTS_SECONDS = env.int(
    "SECURE_HSTS_SECONDS", default=31_536_000 if SITE_URL.startswith("https://") else 0
)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_SECONDS > 0
# For good, and for every name below: browsers build the list in. Only where the host says so.
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # which asks for that
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=SITE_URL.startswith("https://"))
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "object-src": ["'none'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
}

# --- The JSON API ----------------------------------------------------------------------------

# Requests a minute: of one address without signing in, and of one address in all. What a signed-in
# caller may do, the plan says (billing/plans.py), times this factor.
API_PUBLIC_RATE = env.int("API_PUBLIC_RATE", default=60)
API_ADDRESS_RATE = env.int("API_ADDRESS_RATE", default=3000)
API_PLAN_RATE_FACTOR = env.int("API_PLAN_RATE_FACTOR", default=1)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tenants.authentication.Bearer",
        "tenants.authentication.BrowserSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["mpanel.core.api.parsing.StrictJSON"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "mpanel.core.api.parsing.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "mpanel.core.api.schema.Schema",
    "EXCEPTION_HANDLER": "mpanel.core.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_METADATA_CLASS": None,
    "COERCE_DECIMAL_TO_STRING": False,
}
ACCESS_TOKEN_LASTS, SESSION_LASTS = timedelta(minutes=15), timedelta(days=14)
# Codes by e-mail for strangers of one network, per quarter of an hour: an office counts as one.
CODES_PER_NETWORK = env.int("CODES_PER_NETWORK", default=20)
CONFIRMATION_LASTS = env.int("CONFIRMATION_LASTS", default=600)  # seconds after a sign-in or a code
SESSION_COOKIE_AGE = int(SESSION_LASTS.total_seconds())
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": hashlib.sha256(b"mpanel.jwt:" + SECRET_KEY.encode()).hexdigest(),
    "ISSUER": "mpanel",
    "ACCESS_TOKEN_LIFETIME": ACCESS_TOKEN_LASTS,
    "REFRESH_TOKEN_LIFETIME": SESSION_LASTS,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "mPanel",
    "DESCRIPTION": "A domain name goes in, working, authenticated inboxes come out.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": r"/api/(v1/)?",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/mpanel/favicon.svg",
    "POSTPROCESSING_HOOKS": ["mpanel.core.api.schema.finish"],
}

# --- The operators' admin --------------------------------------------------------------------

SHADES = ["50", "100", "200", "300", "400", "500", "600", "700", "800", "900", "950"]
UNFOLD = {
    "SITE_TITLE": "mPanel operators",
    "SITE_HEADER": "mPanel",
    "SITE_SUBHEADER": "Operators",
    "SITE_URL": "/overview/",
    "SITE_ICON": "/static/mpanel/favicon.svg",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "/static/mpanel/favicon.svg"}
    ],
    "STYLES": ["/static/mpanel/admin.css"],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "7px",
    "ACCOUNT": {
        "navigation": [
            {"title": "Profile", "link": "/settings/profile/"},
            {"title": "Security", "link": "/settings/security/"},
        ]
    },
    # The colours of static/mpanel/tokens.css, from light to dark.
    "COLORS": {
        name: dict(zip(SHADES, shades.split(), strict=True))
        for name, shades in {
            "base": "#f8f9fb #f2f4f7 #e4e7ed #d0d5de #9ba3b2 #5a6271 #474f5d #363d49 #252a33 "
            "#14171c #0c0e12",
            "primary": "#edf0fe #dde2fd #c5cdfa #9fabff #8493fb #6d7ef4 #3d50dc #2f40c2 #28359c "
            "#1b2140 #141831",
        }.items()
    },
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["mpanel.formats"]

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Where `collectstatic` puts style sheets and scripts, with their hash in their names: browsers keep
# those for good. Without it they are served from where they are, and asked for every minute.
STATIC_ROOT = Path(env("STATIC_ROOT", default="") or VAR_DIR / "static")
STATIC_IS_COLLECTED = bool(env("STATIC_ROOT", default=""))
STATIC_STORAGE = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if STATIC_IS_COLLECTED
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATIC_STORAGE},
}
WHITENOISE_USE_FINDERS = not STATIC_IS_COLLECTED
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_000_000
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.one_of("LOG_LEVEL", LOG_LEVELS, default="INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
        "django_q": {"level": "WARNING"},
    },
}
