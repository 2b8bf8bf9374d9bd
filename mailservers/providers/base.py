"""The mail port: what mPanel asks of whatever holds a customer's inboxes."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mpanel.core.registry import CredentialField

Outcome = Literal["matches", "missing", "unknown"]
Encryption = Literal["starttls", "ssl"]

_ADDRESS = re.compile(r"[A-Za-z0-9._+'-]+@[A-Za-z0-9.-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class LoginSettings:
    """What a mail program is told. Without IMAP, `imap_host` and `imap_port` are `None`."""

    smtp_host: str
    smtp_port: int
    smtp_tls: Encryption = "starttls"
    imap_host: str | None = None
    imap_port: int | None = None
    imap_tls: Encryption = "ssl"


@dataclass(frozen=True)
class Login:
    """An address and its password, to be tried.

    Raises `ValueError` for an address with more than letters, digits and `._+'-`, and for a
    password that is not printable ASCII: neither may break out of its line of SMTP or IMAP.
    """

    email: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.email):
            raise ValueError("the email of a login is a plain address")
        if not (self.password and self.password.isascii() and self.password.isprintable()):
            raise ValueError("the password of a login is printable ASCII")


@dataclass(frozen=True)
class LoginCheck:
    """What came of trying one login for real.

    `smtp` and `imap` are `matches` (logged in), `missing` (the server refused: it does not know
    this login) or `unknown` (nobody can tell now: try later); `None` where it was not tried.
    `detail` says for a person what did not match, and never holds a secret.
    """

    email: str
    smtp: Outcome
    imap: Outcome | None
    detail: str = ""

    @property
    def outcome(self) -> Outcome:
        """The worse of both: `missing` before `unknown` before `matches`."""
        found = {self.smtp, self.imap}
        if "missing" in found:
            return "missing"
        return "unknown" if "unknown" in found else "matches"


@dataclass(frozen=True, kw_only=True)
class WantedAccount:
    """What should be true of one account at the provider.

    `password` is empty where the present one stays. `may_log_in` is false for a suspended one.
    `is_present` is false for one that shall be gone. `remote_id` is empty until it is known.
    `reference` is our own id of it: a provider that can keeps it with the account, so that we know
    it again. `organization_unit` is where a new account goes in a provider's directory.
    """

    email: str
    reference: str = ""
    first_name: str = ""
    last_name: str = ""
    password: str = field(default="", repr=False)
    quota_mb: int
    may_log_in: bool = True
    is_present: bool = True
    remote_id: str = ""
    organization_unit: str = "/"


@dataclass(frozen=True, kw_only=True)
class AccountState:
    """How an account at the provider compares with what is wanted.

    `outcome`: as a check's, and `conflicts` for an account that exists but is not ours. `detail`
    is a sentence for a person; `code` is stable, for `conflicts` and lasting refusals.
    """

    email: str
    outcome: Outcome | Literal["conflicts"]
    detail: str = ""
    code: str = ""
    remote_id: str = ""


@dataclass(frozen=True)
class DomainClaim:
    """A domain in a vendor's directory. `is_verified`: the vendor believes that it is ours."""

    name: str
    is_verified: bool


@dataclass(frozen=True)
class ActiveScript:
    """A Sieve script of a mailbox that runs as mail arrives."""

    name: str
    text: str


class MailboxMeter(ABC):
    """How much mail mailboxes hold."""

    @abstractmethod
    def used(self, emails: Sequence[str]) -> dict[str, int]:
        """The bytes that each of these holds, as its quota counts them.

        Who could not be measured is left out. Raises `ProviderError` where nobody is.
        """


class MailboxScripts(ABC):
    """The Sieve scripts of mailboxes, of which one at a time runs as mail arrives.

    Every method raises `ProviderError`.
    """

    @abstractmethod
    def active_script(self, email: str) -> ActiveScript | None:
        """The script that runs, None for none."""

    @abstractmethod
    def put_script(self, email: str, name: str, text: str) -> None:
        """Write a script and have it run instead of another, which stays as it is."""

    @abstractmethod
    def drop_script(self, email: str, name: str) -> None:
        """Remove a script, also where it runs; none of that name is fine."""


class DomainDirectory(ABC):
    """A mail provider in whose directory a domain must be entered before it can have accounts.

    Every method raises `ProviderError`.
    """

    claims_domains: ClassVar[bool] = True

    @abstractmethod
    def claim_domain(self, name: str) -> None:
        """Enter a domain into the directory; one that is there already is fine.

        DOMAIN_TAKEN where another customer of the vendor has it.
        """

    @abstractmethod
    def domain_claim(self, name: str) -> DomainClaim | None:
        """The domain in the directory, None where it is not there."""

    @abstractmethod
    def verification_token(self, name: str) -> str:
        """The text of the TXT record at the domain by which the vendor knows that it is ours."""

    @abstractmethod
    def verify_domain(self, name: str) -> bool:
        """Have the vendor look for that record now; whether it found it. Harmless to repeat."""


class MailProvider(ABC):
    """Holds inboxes. A provider is made with a customer's credentials, by field name.

    Its methods may be called from several threads at once.
    """

    key: ClassVar[str]
    label: ClassVar[str]
    credential_fields: ClassVar[tuple[CredentialField, ...]] = ()
    has_imap: ClassVar[bool] = True
    # Whether it takes aliases, quotas, sending limits of ours.
    is_ours: ClassVar[bool] = False
    # Whether it reads our rows by itself, so that no account is ever made there.
    reads_rows: ClassVar[bool] = False
    # Whether a domain must be claimed in its directory first: it is a `DomainDirectory`, too.
    claims_domains: ClassVar[bool] = False
    # The platform of the DNS setup whose records lead to it (dnszones.mail_records.PLATFORMS).
    platform: ClassVar[str] = "mailserver"

    @property
    def scripts(self) -> "MailboxScripts | None":
        """By what mailboxes have forwarding and vacation notes through us; None if they cannot."""
        return None

    @property
    def meter(self) -> "MailboxMeter | None":
        """What measures how full mailboxes are; None where the provider does not tell."""
        return None

    # How an inbox is verified, as texts continue after "Verified 3 inboxes ...".
    verified_by: ClassVar[str] = "by logging in"

    @abstractmethod
    def login_settings(self) -> LoginSettings:
        """Where and how every inbox of this provider logs in; its user name is its address."""

    @abstractmethod
    def verify_logins(
        self,
        logins: Sequence[Login],
        *,
        parallel: int = 16,
        on_result: Callable[[LoginCheck], None],
    ) -> list[LoginCheck]:
        """Log in for real with each, `parallel` at a time, and answer in the order of `logins`.

        `on_result` is called in the caller's thread, as each check is known; what it raises ends
        the work. Nothing is raised for a login or a server that fails: that is what a check says.
        Only a definite refusal is `missing`; time-outs, refused connections, certificates that
        do not verify and temporary errors of the server are `unknown`.
        """

    def observe_accounts(self, wanted: Sequence[WantedAccount]) -> list[AccountState]:
        """Compare each account at the provider with what is wanted, in order. Changes nothing.

        Raises `ProviderError` where nobody answers. Here for a provider that reads our rows: there
        is nothing to bring about.
        """
        return [AccountState(email=one.email, outcome="matches") for one in wanted]

    def apply_account(self, wanted: WantedAccount) -> AccountState:
        """Make, change or remove one account so that it is as wanted; harmless to run twice.

        A lasting refusal is `conflicts` with a code of the contract (USER_ALREADY_EXISTS,
        QUOTA_EXCEEDED, ...). Raises `ProviderError` for what may succeed later.
        """
        (state,) = self.observe_accounts([wanted])
        return state
