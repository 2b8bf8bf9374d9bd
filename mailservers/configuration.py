"""What a mail server is told, checked so strictly that nothing needs quoting in its files."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mailservers.models import MailServer
from mpanel.core.errors import Invalid
from mpanel.operations.checks import MILTER

_PATH = re.compile(r"(/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*)+")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_ADDRESS = re.compile(
    r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@" + _HOST.pattern.replace("(?=.{1,253}$)", "")
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
_SECRET = re.compile(r"[A-Za-z0-9._~-]{16,128}")
_PORTS = range(1, 65536)
MOST_REDIRECTS = 5  # to how many addresses a mailbox's filters may send one message on
# What the panel may have Dovecot do over its HTTP interface.
_ALWAYS = ("who", "kick", "quota get")
_FILTERS = (
    "sieve list",
    "sieve get",
    "sieve put",
    "sieve activate",
    "sieve deactivate",
    "sieve delete",
)
# The releases of Dovecot for which there are files (Debian 12 and 13).
DOVECOTS = ("2.3", "2.4")
SPAM_FILTERS = ("rspamd",)
FORGED_OWN = ("junk", "refuse")


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where PostgreSQL is, and the role that may read the mail views. Raises `Invalid`."""

    host: str
    port: int
    name: str
    user: str
    password: str

    def __post_init__(self) -> None:
        socket = self.host.startswith("/")
        _check("database", _PATH if socket else _HOST, self.host)
        _check_port("database port", self.port)
        _check("database name", _NAME, self.name)
        _check("role", _NAME, self.user)
        if not _SECRET.fullmatch(self.password):
            raise Invalid("A role's password is 16 to 128 letters, digits and . _ ~ -.")

    @property
    def postfix_host(self) -> str:
        return f"unix:{self.host}" if self.host.startswith("/") else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One mail server: names, ports, places. Raises `Invalid` with a sentence for the operator.

    `listen` holds IP addresses, none for all. `submissions_port` (TLS from the first byte) may be
    0 for none, `policy`, `login_policy`, `authors` and `signer` empty for none (`host:port`).
    `policy_fails` says what happens to mail while the policy service does not answer: `closed` (try
    later) or `open`. `dovecot` is the release that will read the files, one of `DOVECOTS`.

    `postmaster`: a mailbox on this server, for mail to postmaster and abuse of `own_names` (host
    names) and of domains without those; empty for none.

    `sieve_port`: where mail programs edit filters (ManageSieve, RFC 5804), 0 for no filters at all.
    What these send goes to `sieve_next_hop`, a Postfix server.

    `spam` is the filter for mail from outside, one of `SPAM_FILTERS` or empty for none. It asks
    `resolvers` (`address:port`; none for those of the system), and what it does with mail whose
    author is of our own domains but was not authenticated says `forged_own`, one of `FORGED_OWN`.
    `milters` are the operator's own, which see a message before that filter does.
    """

    server: str
    host: str
    folder: Path
    certificate: Path
    private_key: Path
    database: Database
    dovecot: str
    listen: tuple[str, ...] = ()
    smtp_port: int = 25
    submission_port: int = 587
    submissions_port: int = 465
    imaps_port: int = 993
    vmail: Path = Path("/var/vmail")
    vmail_id: int = 5000
    state: Path = Path("/var/lib/mpanel-mail")
    run: Path = Path("/run/mpanel-mail")
    log: Path = Path("/var/log/mpanel-mail")
    policy: str = ""
    login_policy: str = ""
    login_policy_key: str = ""
    login_policy_nonce: str = ""
    policy_fails: str = "closed"
    authors: str = ""
    signer: str = ""
    next_hop: str = ""
    outside: bool = True
    message_size: int = 25 * 1024 * 1024
    failure_delay: int = 2
    login_processes: int = 2
    admin_url: str = ""
    admin_key: str = ""
    own_names: tuple[str, ...] = ()
    postmaster: str = ""
    sieve_port: int = 0
    sieve_next_hop: str = "127.0.0.1:10028"
    spam: str = ""
    resolvers: tuple[str, ...] = ()
    forged_own: str = "junk"
    milters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check("server", _NAME, self.server)
        _check("host", _HOST, self.host)
        for address in self.listen:
            _check_address(address)
        for name in ("smtp_port", "submission_port", "imaps_port"):
            _check_port(name.replace("_", " "), getattr(self, name))
        if self.submissions_port:
            _check_port("submissions port", self.submissions_port)
        for name in ("folder", "certificate", "private_key", "vmail", "state", "run", "log"):
            _check(name.replace("_", " "), _PATH, str(getattr(self, name)))
        self._check_services()
        if self.dovecot not in DOVECOTS:
            raise Invalid(
                f"mPanel writes files for Dovecot {' and '.join(DOVECOTS)}, not for {self.dovecot}."
            )
        if self.policy_fails not in {"closed", "open"}:
            raise Invalid("MAILPOLICY_FAILS is closed or open.")
        if not 1 <= self.vmail_id < 2**31 or self.message_size < 1024:
            raise Invalid("The user of the mail and the largest message are positive numbers.")
        if self.admin_url:
            self._check_admin()
        self._check_filters()
        if self.postmaster:
            _check("postmaster", _ADDRESS, self.postmaster)
            for name in self.own_names:
                _check("host", _HOST, name)

    def _check_filters(self) -> None:
        if self.spam and self.spam not in SPAM_FILTERS:
            raise Invalid(f"The spam filter is {' or '.join(SPAM_FILTERS)}, not {self.spam!r}.")
        if self.forged_own not in FORGED_OWN:
            raise Invalid(f"Forged mail of own domains: {' or '.join(FORGED_OWN)}.")
        for resolver in self.resolvers:
            _check_endpoint("resolver", resolver)
        for milter in self.milters:
            _check("milter", MILTER, milter)

    def _check_services(self) -> None:
        if self.sieve_port:
            _check_port("ManageSieve port", self.sieve_port)
        for name in ("policy", "login_policy", "authors", "signer", "next_hop", "sieve_next_hop"):
            if endpoint := getattr(self, name):
                _check_endpoint(name.replace("_", " "), endpoint)
        if self.signer and not self.next_hop:
            raise Invalid("A signer needs a next hop, to which it gives the signed mail.")
        if self.login_policy:
            for secret in (self.login_policy_key, self.login_policy_nonce):
                _check("secret of the login policy", _SECRET, secret)

    def _check_admin(self) -> None:
        if self.admin_port not in _PORTS:
            raise Invalid("The admin address is http://host:port or https://host:port.")
        if not self.admin_key:
            raise Invalid("An admin address needs a key, or anybody could end sessions.")
        if not _SECRET.fullmatch(self.admin_key):
            raise Invalid("An admin key is 16 to 128 letters, digits and . _ ~ -.")

    @property
    def admin_port(self) -> int:
        """Where Dovecot's HTTP interface listens; 0 for nowhere."""
        return port_of(self.admin_url) if self.admin_url else 0

    @property
    def admin_commands(self) -> tuple[str, ...]:
        """All that its key is good for."""
        return (*_ALWAYS, *(_FILTERS if self.sieve_port else ()))

    @property
    def admin_is_local(self) -> bool:
        """Without TLS it listens on loopback only."""
        return urlsplit(self.admin_url).scheme != "https"


def port_of(url: str) -> int:
    """The port of an http or https address, 0 where it is none."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return 0
    if split.scheme not in {"http", "https"} or not split.hostname:
        return 0
    return port or {"http": 80, "https": 443}[split.scheme]


def check_server(server: MailServer) -> None:
    """Whether a server's row makes sense to customers, to us and in a file. Raises `Invalid`."""
    _check("slug", _NAME, server.slug)
    _check("region", _NAME, server.region)
    for name in ("label", "region_label"):
        value: str = getattr(server, name)
        if not value or not value.isprintable() or len(value) > 80:
            raise Invalid(f"The {name.replace('_', ' ')} is 1 to 80 printable characters.")
    _check("host", _HOST, server.host)
    _check("MX host", _HOST, server.mx_host)
    _check("SPF name", re.compile(r"(_[a-z0-9-]+\.)*" + _HOST.pattern), server.spf_name)
    _check_port("submission port", server.submission_port)
    _check_port("IMAPS port", server.imaps_port)
    for address in server.addresses:
        _check_address(address)
    for name in ("ca_file", "directory"):
        if getattr(server, name):
            _check(name.replace("_", " "), _PATH, getattr(server, name))
    if server.admin_url:
        _check_admin_url(server.admin_url)


def _check_admin_url(url: str) -> None:
    """The key travels in a header: in the clear only on this machine."""
    host = urlsplit(url).hostname or ""
    is_local = host in {"localhost", "::1"} or host.startswith("127.")
    if not port_of(url) or (urlsplit(url).scheme == "http" and not is_local):
        raise Invalid("The admin address is https://host:port, or http:// on this machine.")


def _check(what: str, form: re.Pattern[str], value: str) -> None:
    if not form.fullmatch(value):
        raise Invalid(f"This is no {what} that can stand in a configuration: {value!r}.")


def _check_port(what: str, port: int) -> None:
    if port not in _PORTS:
        raise Invalid(f"The {what} is a number from 1 to 65535, not {port}.")


def _check_address(address: str) -> None:
    try:
        if "%" in address:
            raise ValueError
        ipaddress.ip_address(address)
    except ValueError:
        raise Invalid(f"{address!r} is no IP address.") from None


def _check_endpoint(what: str, endpoint: str) -> None:
    host, _, port = endpoint.rpartition(":")
    _check_address(host.strip("[]"))
    if not (port.isascii() and port.isdigit()):
        raise Invalid(f"The {what} is address:port, not {endpoint!r}.")
    _check_port(what, int(port))
