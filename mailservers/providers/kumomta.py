"""KumoMTA: sends for inboxes that live elsewhere, or nowhere. It reads files that we write.

`users.sqlite` says who may log in and send, `dkim_data.toml` and `dkim/` hold the keys, and the
policy `init.lua` (`manage.py kumomta` writes it) reads both. https://docs.kumomta.com
(seen 2026-08)

KumoMTA's policies know no slow password hash, only HMACs, so a password is kept as a salted
HMAC-SHA256. That is enough for those that we make; the file is for KumoMTA's eyes alone.
"""

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import httpx

from mailservers.providers.base import AccountState, LoginSettings, WantedAccount
from mailservers.providers.mailserver import MailServer
from mpanel.core.errors import ProviderError
from mpanel.core.registry import provider

SCHEMA = """
CREATE TABLE IF NOT EXISTS user (
    email TEXT PRIMARY KEY,
    reference TEXT NOT NULL,
    salt TEXT NOT NULL,
    mac TEXT NOT NULL,
    tenant TEXT NOT NULL DEFAULT '',
    active INTEGER NOT NULL DEFAULT 1,
    daily_limit INTEGER NOT NULL DEFAULT 0,
    refusal TEXT NOT NULL DEFAULT ''
)
"""
_DOMAIN = re.compile(r"[a-z0-9._-]{1,253}")
_BUSY = 5.0  # seconds that a writer waits for another


@dataclass(frozen=True, kw_only=True)
class SenderStatus:
    """What one login may send now. `refusal`: why nothing, empty where it may."""

    email: str
    tenant: str
    daily_limit: int
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class SigningKeyFile:
    """A domain's DKIM key. `pem`: PKCS 8, which OpenSSL reads like PKCS 1.

    None where it cannot be read now: the file that is there stays.
    """

    domain: str
    selector: str
    pem: str | None = field(repr=False)

    def __post_init__(self) -> None:
        # Both become parts of a path and of a TOML key.
        if not (_DOMAIN.fullmatch(self.domain) and _DOMAIN.fullmatch(self.selector)):
            raise ValueError("domain and selector are plain names")
        if ".." in self.domain or ".." in self.selector:
            raise ValueError("no name has two dots in a row")


@provider("mail")
class KumoMTA(MailServer):
    """One server of ours: its directory of files on this machine, and its HTTP interface.

    `admin_url`: such as `http://127.0.0.1:8000`, which trusts this machine's address; empty for
    none, then KumoMTA notices changes of its files by itself within ten seconds.
    """

    key: ClassVar[str] = "kumomta"
    label: ClassVar[str] = "KumoMTA"
    has_imap: ClassVar[bool] = False
    is_ours: ClassVar[bool] = False
    reads_rows: ClassVar[bool] = False

    def __init__(
        self,
        credentials: Mapping[str, str],
        *,
        directory: Path,
        smtp_host: str,
        smtp_port: int,
        ca_file: str,
        timeout: float,
        admin_url: str = "",
    ) -> None:
        super().__init__(
            credentials,
            smtp_host=smtp_host,
            smtp_port=smtp_port,
            imap_host="",
            imap_port=0,
            ca_file=ca_file,
            timeout=timeout,
        )
        self._directory = directory
        self._kumo_url = admin_url

    def login_settings(self) -> LoginSettings:
        """Submission with STARTTLS; AUTH PLAIN is all that KumoMTA knows."""
        return LoginSettings(smtp_host=self._smtp[0], smtp_port=self._smtp[1])

    def observe_accounts(self, wanted: Sequence[WantedAccount]) -> list[AccountState]:
        """Compare with the rows of `users.sqlite`."""
        with self._users() as users:
            return [_compared(one, _row(users, one.email)) for one in wanted]

    def apply_account(self, wanted: WantedAccount) -> AccountState:
        """Write or remove the row, in one transaction."""
        with self._users() as users:
            row = _row(users, wanted.email)
            state = _compared(wanted, row)
            if state.outcome != "missing":
                return state
            if not wanted.is_present:
                users.execute("DELETE FROM user WHERE email = ?", (wanted.email,))
            elif row is None:
                if not wanted.password:
                    raise ProviderError(
                        "CREDENTIALS_NOT_FOUND",
                        f"The password of {wanted.email} is not known any more.",
                        retryable=False,
                    )
                salt, mac = _hashed(wanted.password)
                users.execute(
                    "INSERT INTO user (email, reference, salt, mac, active) VALUES (?, ?, ?, ?, ?)",
                    (wanted.email, wanted.reference, salt, mac, int(wanted.may_log_in)),
                )
            else:
                changes: dict[str, str | int] = {"active": int(wanted.may_log_in)}
                if wanted.password:
                    changes["salt"], changes["mac"] = _hashed(wanted.password)
                columns = ", ".join(f"{name} = :{name}" for name in changes)
                users.execute(
                    f"UPDATE user SET {columns} WHERE email = :email",  # noqa: S608  (our names)
                    {**changes, "email": wanted.email},
                )
        return AccountState(email=wanted.email, outcome="matches", remote_id=wanted.email)

    def keep_sender_statuses(self, statuses: Sequence[SenderStatus]) -> int:
        """Write what each login may send; how many rows differed."""
        with self._users() as users:
            before = users.total_changes
            users.executemany(
                "UPDATE user SET tenant = :tenant, daily_limit = :daily_limit, refusal = :refusal"
                " WHERE email = :email"
                " AND (tenant, daily_limit, refusal) IS NOT (:tenant, :daily_limit, :refusal)",
                [
                    {
                        "email": one.email,
                        "tenant": one.tenant,
                        "daily_limit": one.daily_limit,
                        "refusal": one.refusal,
                    }
                    for one in statuses
                ],
            )
            return users.total_changes - before

    def keep_keys(self, keys: Sequence[SigningKeyFile]) -> bool:
        """Make the keys and `dkim_data.toml` these; whether anything differed.

        A new key stands in its file before the table names it, and an old one goes after.
        """
        folder = self._existing() / "dkim"
        wanted = {folder / key.domain / f"{key.selector}.key": key for key in keys}
        unread = [path for path, key in wanted.items() if key.pem is None]
        for path in unread:
            if not path.exists():
                del wanted[path]
        written = [
            write_whole(path, key.pem, mode=0o400)
            for path, key in wanted.items()
            if key.pem is not None
        ]
        table = "".join(
            f'[domain."{key.domain}"]\nselector = "{key.selector}"\nalgo = "sha256"\n'
            f'filename = "{path}"\n\n'
            for path, key in sorted(wanted.items())
        )
        head = "# Written by mPanel.\n[base]\n"
        headers = '"From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", '
        head += f'headers = [{headers}"Content-Type"]\nover_sign = true\n\n'
        written.append(write_whole(folder.parent / "dkim_data.toml", head + table, mode=0o640))
        old = [path for path in folder.glob("*/*.key") if path not in wanted]
        for path in old:
            path.unlink(missing_ok=True)
        return any(written) or bool(old)

    def reload(self) -> None:
        """Have KumoMTA read its files now. Raises `ProviderError`."""
        if not self._kumo_url:
            return
        try:
            answer = httpx.post(
                f"{self._kumo_url}/api/admin/bump-config-epoch",
                timeout=self._timeout,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise ProviderError(
                "NETWORK_ERROR",
                f"KumoMTA's HTTP interface does not answer ({type(error).__name__}).",
                retryable=True,
            ) from None
        if not answer.is_success:
            raise ProviderError(
                "KUMOMTA_ERROR",
                f"KumoMTA's HTTP interface answered {answer.status_code} to a reload.",
                retryable=True,
            )

    def _existing(self) -> Path:
        if not self._directory.is_dir():
            raise ProviderError(
                "KUMOMTA_UNREACHABLE",
                f"The files of KumoMTA are not reachable: {self._directory} is no folder here.",
                retryable=True,
            )
        return self._directory

    @contextmanager
    def _users(self) -> Iterator[sqlite3.Connection]:
        """The users, locked against other writers until done; nothing is kept of a failure."""
        path = self._existing() / "users.sqlite"
        try:
            with closing(sqlite3.connect(path, timeout=_BUSY, autocommit=True)) as users:
                users.row_factory = sqlite3.Row
                users.execute("PRAGMA busy_timeout = 5000")
                users.execute("BEGIN IMMEDIATE")
                users.execute(SCHEMA)
                try:
                    yield users
                except BaseException:
                    users.execute("ROLLBACK")
                    raise
                users.execute("COMMIT")
            path.chmod(0o640)
        except (sqlite3.Error, OSError) as error:
            raise ProviderError(
                "KUMOMTA_UNREACHABLE",
                f"The users of KumoMTA cannot be written ({type(error).__name__}).",
                retryable=True,
            ) from None


def _row(users: sqlite3.Connection, email: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = users.execute(
        "SELECT * FROM user WHERE email = ?", (email,)
    ).fetchone()
    return found


def _compared(wanted: WantedAccount, row: sqlite3.Row | None) -> AccountState:
    is_ours = row is not None and row["reference"] == wanted.reference
    known = wanted.email if row is not None else ""
    if row is not None and wanted.reference and not is_ours and wanted.is_present:
        return AccountState(
            email=wanted.email,
            outcome="conflicts",
            code="USER_ALREADY_EXISTS",
            detail=f"{wanted.email} belongs to another mailbox.",
        )
    differs = _difference(wanted, row if is_ours or not wanted.reference else None)
    if differs:
        return AccountState(email=wanted.email, outcome="missing", detail=differs, remote_id=known)
    return AccountState(email=wanted.email, outcome="matches", remote_id=known)


def _difference(wanted: WantedAccount, row: sqlite3.Row | None) -> str:
    """What is not as wanted of our own row, "" where all is."""
    if row is None or not wanted.is_present:
        if wanted.is_present:
            return "There is no such login."
        return "The login is still there." if row is not None else ""
    if bool(row["active"]) != wanted.may_log_in:
        return "It is suspended on one side only."
    if wanted.password and not hmac.compare_digest(_mac(row["salt"], wanted.password), row["mac"]):
        return "It has another password."
    return ""


def _hashed(password: str) -> tuple[str, str]:
    salt = secrets.token_hex(32)
    return salt, _mac(salt, password)


def _mac(salt: str, password: str) -> str:
    return hmac.digest(salt.encode(), password.encode(), hashlib.sha256).hex()


def write_whole(path: Path, text: str, *, mode: int) -> bool:
    """Write a file whole or not at all; False where it was so already."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
    return True
