"""What the sandbox remembers: one SQLite file, written through before any answer leaves."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS registration (
    domain TEXT PRIMARY KEY,
    nameservers TEXT NOT NULL,  -- JSON list
    changed_on REAL NOT NULL,
    by_hand INTEGER NOT NULL DEFAULT 0  -- somebody chose these nameservers
);
CREATE TABLE IF NOT EXISTS zone (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    account_name TEXT NOT NULL,
    name TEXT NOT NULL,
    nameservers TEXT NOT NULL,  -- JSON list of two
    original_nameservers TEXT NOT NULL,  -- JSON list
    status TEXT NOT NULL,
    created_on REAL NOT NULL,
    modified_on REAL NOT NULL,
    activated_on REAL,
    UNIQUE (account_id, name)
);
CREATE INDEX IF NOT EXISTS zone_name ON zone (name);
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY,
    zone_id TEXT NOT NULL REFERENCES zone (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    ttl INTEGER NOT NULL,
    proxied INTEGER NOT NULL,
    priority INTEGER,
    data TEXT,  -- JSON object
    comment TEXT,
    tags TEXT NOT NULL,  -- JSON list
    created_on REAL NOT NULL,
    modified_on REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS record_name ON record (zone_id, name);
CREATE TABLE IF NOT EXISTS zone_dnssec (
    zone_id TEXT PRIMARY KEY REFERENCES zone (id) ON DELETE CASCADE,
    is_on INTEGER NOT NULL,
    public_key TEXT NOT NULL,  -- base64
    modified_on REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS zone_scan (
    zone_id TEXT PRIMARY KEY REFERENCES zone (id) ON DELETE CASCADE,
    started_on REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS delegation_signer (
    domain TEXT PRIMARY KEY,
    records TEXT NOT NULL  -- JSON list of DS records
);
CREATE TABLE IF NOT EXISTS elsewhere (
    domain TEXT PRIMARY KEY,
    zone_file TEXT NOT NULL,
    transfer INTEGER NOT NULL  -- anybody may ask for the whole zone
);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    kind TEXT NOT NULL,
    method TEXT,
    path TEXT,
    status INTEGER,
    delay REAL,
    retry_after INTEGER,
    times INTEGER  -- left; NULL until cleared
);
CREATE TABLE IF NOT EXISTS nameserver (
    address TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    delay REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,  -- system, outgoing or delivered
    mailbox TEXT,  -- whose inbox, if delivered
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,  -- JSON list
    raw BLOB NOT NULL,
    flags TEXT NOT NULL DEFAULT '[]',  -- JSON list, IMAP
    received_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS mail_mailbox ON mail (mailbox);
CREATE TABLE IF NOT EXISTS google_domain (
    name TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    verified INTEGER NOT NULL,
    created_on REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS google_user (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    domain TEXT NOT NULL,
    email TEXT NOT NULL,
    aliases TEXT NOT NULL DEFAULT '[]',  -- JSON list
    given TEXT NOT NULL,
    family TEXT NOT NULL,
    password TEXT NOT NULL DEFAULT '',  -- its SHA-256
    suspended INTEGER NOT NULL DEFAULT 0,
    suspension_reason TEXT,
    external_ids TEXT NOT NULL DEFAULT '[]',  -- JSON list
    unit TEXT NOT NULL DEFAULT '/',
    created_on REAL NOT NULL,
    deleted_on REAL
);
CREATE TABLE IF NOT EXISTS namecheap_account (
    name TEXT PRIMARY KEY,
    balance INTEGER NOT NULL  -- cents
);
CREATE TABLE IF NOT EXISTS namecheap_price (
    ending TEXT PRIMARY KEY,
    cents INTEGER NOT NULL  -- a year
);
CREATE TABLE IF NOT EXISTS namecheap_domain (
    domain TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    id INTEGER NOT NULL,
    created_on REAL NOT NULL,
    ready_on REAL NOT NULL,  -- when the registry has it
    expires_on REAL NOT NULL,
    charged INTEGER NOT NULL,  -- cents
    nameservers TEXT NOT NULL  -- JSON list
);
CREATE TABLE IF NOT EXISTS outreach_sender (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,  -- smartlead or instantly
    owner TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    logs_in INTEGER NOT NULL,
    is_paused INTEGER NOT NULL,
    warms INTEGER NOT NULL,
    daily INTEGER NOT NULL,
    total INTEGER NOT NULL,
    rampup INTEGER NOT NULL,
    since REAL NOT NULL  -- the first warm-up; 0 for never
);
CREATE TABLE IF NOT EXISTS outreach_campaign (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    created_on REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS outreach_seat (
    campaign_id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, sender_id)
);
CREATE TABLE IF NOT EXISTS outreach_revoked (
    service TEXT NOT NULL,
    owner TEXT NOT NULL
);
"""
TABLES = (
    "outreach_sender",
    "outreach_campaign",
    "outreach_seat",
    "outreach_revoked",
    "zone_dnssec",
    "zone_scan",
    "delegation_signer",
    "elsewhere",
    "record",
    "zone",
    "registration",
    "fault",
    "nameserver",
    "mail",
    "google_domain",
    "google_user",
    "namecheap_account",
    "namecheap_price",
    "namecheap_domain",
)


class Store:
    """The sandbox's SQLite file. Used from one thread, the event loop's.

    A committed write outlives the process, SIGKILL included; with WAL that costs no disk sync.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(SCHEMA)

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, if any."""
        found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return found

    def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row; `None` without a row."""
        found = self.row(sql, *values)
        return found[0] if found else None

    def write(self, sql: str, *values: object) -> int:
        """Run one statement that changes something; answers how many rows it touched."""
        return self._connection.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside take effect together, or none if the block raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def reset(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in TABLES:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constants above

    def close(self) -> None:
        self._connection.close()
