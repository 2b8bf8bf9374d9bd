"""What every mail provider promises, tried over real connections.

The first half runs against the sandbox's submission and IMAPS servers, which accept exactly the
logins of the database, and against Dovecot and Postfix, which do the same; the ids say which. The
second half runs against a server that answers as it is told, for what a healthy server never says.
"""

import contextlib
import datetime
import http.server
import imaplib
import smtplib
import socket
import socketserver
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailboxes.passwords import mail_hash, proof_digest
from mailservers.providers.base import Login, LoginCheck, Outcome, WantedAccount
from mailservers.providers.doveadm import Doveadm
from mailservers.providers.mailserver import MailServer
from mpanel.core.errors import ProviderError
from tests.cast import Person, owner
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import inbox
from tests.mailviews import STATEMENTS
from tests.processes import eventually
from tests.sandboxes import RunningSandbox

ADA = Login("ada@example.test", "Right3password")


def quiet(proof: LoginCheck) -> None:
    """For tests that only read what `prove` returns."""


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- The contract, against the sandbox and the real server ----------------------------------------


class Stand:
    """The sandbox's mail servers, over a database with the two views that a mail server reads."""

    def __init__(self, sandbox: RunningSandbox, database: Path) -> None:
        self.sandbox = sandbox
        self._database = database
        with self.sql() as connection:
            for statement in STATEMENTS:
                connection.execute(statement)

    @contextlib.contextmanager
    def sql(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._database)) as connection, connection:
            yield connection

    def holds(self, login: Login, stored: str) -> None:
        """Give the inbox of a login this stored password."""
        with self.sql() as connection:
            connection.execute("REPLACE INTO mail_login VALUES (?, ?)", (login.email, stored))
            connection.execute("REPLACE INTO mail_recipient VALUES (?)", (login.email,))

    # Ports for submission and IMAPS, and what is said while nobody can tell.
    silent = ("(454 4.7.0)", "(UNAVAILABLE)")

    @property
    def ports(self) -> tuple[int, int]:
        return self.sandbox.submission_port, self.sandbox.imaps_port

    @property
    def admin(self) -> dict[str, str]:
        """Where its HTTP interface is."""
        return {"admin_url": self.sandbox.base_url, "admin_key": "sandbox-admin-key"}

    @property
    def ca_file(self) -> Path:
        return self.sandbox.ca_file

    @contextlib.contextmanager
    def unreadable(self) -> Iterator[None]:
        """Until the end of the block, the logins cannot be read."""
        with self.sql() as database:
            database.execute("ALTER TABLE mail_login RENAME TO away")
        try:
            yield
        finally:
            with self.sql() as database:
                database.execute("ALTER TABLE away RENAME TO mail_login")

    def reset(self) -> None:
        self.sandbox.clear_faults()
        with self.sql() as connection:
            connection.execute("DELETE FROM mail_login")
            connection.execute("DELETE FROM mail_recipient")

    def provider(self, **changes: Any) -> MailServer:
        given: dict[str, Any] = {
            "smtp_host": "localhost",
            "smtp_port": self.sandbox.submission_port,
            "imap_host": "localhost",
            "imap_port": self.sandbox.imaps_port,
            "ca_file": str(self.sandbox.ca_file),
            "timeout": 5.0,
        }
        return MailServer({}, **given | changes)


@pytest.fixture(scope="module")
def running_stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("stand")
    database = folder / "mail.sqlite3"
    with RunningSandbox(folder / "sandbox", database_url=f"sqlite:///{database}") as sandbox:
        yield Stand(sandbox, database)


class RealStand:
    """Dovecot and Postfix, over the suite's own database."""

    silent = ("answered 451 4.3",)

    def __init__(self, server: PrivateMailServer, person: Person) -> None:
        self.server = server
        self._person = person

    @property
    def ports(self) -> tuple[int, int]:
        return self.server.submission_port, self.server.imaps_port

    def holds(self, login: Login, stored: str) -> None:
        """Give the inbox of a login this stored password."""
        is_bcrypt = stored.startswith("{BLF-CRYPT}")
        inbox(
            self._person,
            login.email,
            password_hash=stored.removeprefix("{BLF-CRYPT}") if is_bcrypt else "unused",
            proof_digest="" if is_bcrypt else stored,
        )

    @property
    def admin(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.server.admin_port}"
        return {"admin_url": url, "admin_key": self.server.admin_key}

    @property
    def ca_file(self) -> Path:
        return self.server.ca_file

    def unreadable(self) -> contextlib.AbstractContextManager[None]:
        return self.server.blind()

    def provider(self, **changes: Any) -> MailServer:
        given: dict[str, Any] = {
            "smtp_host": "localhost",
            "smtp_port": self.server.submission_port,
            "imap_host": "localhost",
            "imap_port": self.server.imaps_port,
            "ca_file": str(self.server.ca_file),
            "timeout": 5.0,
        }
        return MailServer({}, **given | changes)


AnyStand = Stand | RealStand


@pytest.fixture
def sandbox_stand(running_stand: Stand) -> Stand:
    running_stand.reset()
    return running_stand


@pytest.fixture(
    params=[
        "sandbox",
        pytest.param(
            "dovecot-postfix",
            marks=[pytest.mark.mailserver, pytest.mark.django_db(transaction=True)],
        ),
    ],
)
def stand(request: pytest.FixtureRequest) -> AnyStand:
    if request.param == "sandbox":
        found: Stand = request.getfixturevalue("sandbox_stand")
        return found
    return RealStand(request.getfixturevalue("mail_server"), owner("ada"))


def test_settings_are_those_that_log_in(stand: AnyStand) -> None:
    settings = stand.provider().login_settings()
    assert (settings.smtp_host, settings.imap_host) == ("localhost", "localhost")
    assert (settings.smtp_port, settings.imap_port) == stand.ports
    assert (settings.smtp_tls, settings.imap_tls) == ("starttls", "ssl")


@pytest.mark.parametrize(
    "stored", [lambda word: "{BLF-CRYPT}" + mail_hash(word, 4), proof_digest], ids=["bcrypt", "sha"]
)
def test_the_right_password_logs_in(stand: AnyStand, stored: Callable[[str], str]) -> None:
    stand.holds(ADA, stored(ADA.password))
    [proof] = stand.provider().verify_logins([ADA], on_result=quiet)
    assert proof == LoginCheck(ADA.email, "matches", "matches")


def test_an_inbox_works_as_soon_as_its_row_is_there(stand: AnyStand) -> None:
    provider = stand.provider()
    [before] = provider.verify_logins([ADA], on_result=quiet)
    stand.holds(ADA, proof_digest(ADA.password))
    [after] = provider.verify_logins([ADA], on_result=quiet)
    assert (before.outcome, after.outcome) == ("missing", "matches")


def test_one_bad_row_blocks_no_other(stand: AnyStand) -> None:
    wrong, nobody = (
        Login("bo@example.test", "Wrong3password"),
        Login("cy@example.test", "Cy3456789"),
    )
    stand.holds(ADA, proof_digest(ADA.password))
    stand.holds(wrong, proof_digest("Other3password"))
    proofs = stand.provider().verify_logins([wrong, ADA, nobody], on_result=quiet)
    assert [(proof.email, proof.smtp, proof.imap) for proof in proofs] == [
        ("bo@example.test", "missing", None),
        ("ada@example.test", "matches", "matches"),
        ("cy@example.test", "missing", None),
    ]
    assert "(535 5.7.8)" in proofs[0].detail
    assert all(login.password not in repr(proofs) for login in (wrong, ADA, nobody))


def submit(stand: AnyStand, login: Login, octets: int) -> None:
    """A message of about so many bytes from a mailbox to itself."""
    tls = ssl.create_default_context(cafile=str(stand.ca_file))
    text = "Subject: Big\r\n\r\n" + ("x" * 70 + "\r\n") * (octets // 72)
    with smtplib.SMTP("localhost", stand.ports[0], timeout=120) as client:
        client.starttls(context=tls)
        client.login(login.email, login.password)
        client.sendmail(login.email, [login.email], text)


def test_it_tells_how_full_mailboxes_are(stand: AnyStand) -> None:
    empty = Login("bo@example.test", "Bo3password")
    for login in (ADA, empty):
        stand.holds(login, proof_digest(login.password))
    meter = stand.provider(**stand.admin, timeout=120).meter
    assert meter
    assert meter.used([ADA.email]) == {ADA.email: 0}
    submit(stand, ADA, 20_000)
    eventually(lambda: meter.used([ADA.email])[ADA.email])
    # Who is not there is left out, and more than one request holds is no matter.
    nobody = [f"nobody{number}@example.test" for number in range(120)]
    used = meter.used([*nobody, empty.email, ADA.email])
    assert used.keys() == {empty.email, ADA.email}
    assert used[empty.email] == 0
    assert 20_000 < used[ADA.email] < 30_000


def test_without_its_interface_it_does_not_tell(stand: AnyStand) -> None:
    assert stand.provider().meter is None


def test_a_wrong_key_measures_nothing(stand: AnyStand) -> None:
    meter = stand.provider(**stand.admin | {"admin_key": "another-key-of-some-length"}).meter
    assert meter
    with pytest.raises(ProviderError) as refused:
        meter.used([ADA.email])
    assert (refused.value.error_code, refused.value.retryable) == ("KEY_REFUSED", False)


def test_sessions_of_who_may_not_log_in_are_seen_and_ended(stand: AnyStand) -> None:
    stand.holds(ADA, proof_digest(ADA.password))
    provider = stand.provider(**stand.admin, timeout=120)
    shut = WantedAccount(email=ADA.email, quota_mb=1024, may_log_in=False)
    assert provider.observe_accounts([shut])[0].outcome == "matches"
    tls = ssl.create_default_context(cafile=str(stand.ca_file))
    session = imaplib.IMAP4_SSL("localhost", stand.ports[1], ssl_context=tls, timeout=120)
    session.login(ADA.email, ADA.password)
    assert provider.observe_accounts([shut])[0].outcome == "missing"
    provider.apply_account(shut)
    eventually(lambda: provider.observe_accounts([shut])[0].outcome == "matches")
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        session.noop()
    session.shutdown()


class Said(http.server.BaseHTTPRequestHandler):
    """Answers every request with the text of its server."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said: bytes = self.server.said  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def saying(text: str) -> Iterator[Doveadm]:
    """An HTTP interface that says this, whatever it is asked."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Said) as server:
        server.said = text.encode()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            yield Doveadm(url, "a-key", ca_file="", timeout=5)
        finally:
            server.shutdown()


def test_a_server_that_was_configured_before_says_what_to_do() -> None:
    # What 2.3.19.1 answers: it leaves out the comma after a command that the key may not use.
    refused = '["error",{"type":"unAuthorized", "exitCode":0},"%s"]'
    with (
        saying(f"[{refused % 'a@b.test'}{refused % 'c@b.test'}]") as meter,
        pytest.raises(ProviderError) as error,
    ):
        meter.used(["a@b.test", "c@b.test"])
    assert (error.value.error_code, error.value.retryable) == ("RULES_UNAVAILABLE", False)
    assert "Configure it again" in str(error.value)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        '[["doveadmResponse",[],"a@b.test"]]',
        '[["doveadmResponse",[{"type":"STORAGE","value":"-"}],"a@b.test"]]',
        '[["doveadmResponse",[{"type":"MESSAGE","value":"3"}],"a@b.test"]]',
    ],
)
def test_an_answer_without_sense_measures_nothing(said: str) -> None:
    with saying(said) as meter, pytest.raises(ProviderError) as error:
        meter.used(["a@b.test"])
    assert (error.value.error_code, error.value.retryable) == ("STRANGE_ANSWER", True)


def test_a_server_that_is_down_decides_nothing(stand: AnyStand) -> None:
    provider = stand.provider(smtp_port=free_port(), imap_port=free_port())
    [proof] = provider.verify_logins([ADA], on_result=quiet)
    assert (proof.smtp, proof.imap) == ("unknown", "unknown")
    assert proof.detail.count("Connection refused") == 2


def test_imap_alone_may_be_down(stand: AnyStand) -> None:
    stand.holds(ADA, proof_digest(ADA.password))
    [proof] = stand.provider(imap_port=free_port()).verify_logins([ADA], on_result=quiet)
    assert (proof.smtp, proof.imap, proof.outcome) == ("matches", "unknown", "unknown")
    assert proof.detail.startswith("The IMAP server (localhost:")


def test_a_server_of_another_ca_is_not_spoken_to(
    stand: AnyStand, told_tls: tuple[ssl.SSLContext, Path]
) -> None:
    stand.holds(ADA, proof_digest(ADA.password))
    [proof] = stand.provider(ca_file=str(told_tls[1])).verify_logins([ADA], on_result=quiet)
    assert (proof.smtp, proof.imap) == ("unknown", "unknown")
    assert proof.detail.count("does not verify") == 2


def test_logins_that_cannot_be_read_decide_nothing(stand: AnyStand) -> None:
    stand.holds(ADA, proof_digest(ADA.password))
    with stand.unreadable():
        [proof] = stand.provider().verify_logins([ADA], on_result=quiet)
    assert (proof.smtp, proof.imap) == ("unknown", "unknown")
    assert all(said in proof.detail for said in stand.silent)


def test_a_connection_that_is_turned_away_decides_nothing(sandbox_stand: Stand) -> None:
    sandbox_stand.holds(ADA, proof_digest(ADA.password))
    sandbox_stand.sandbox.fault("smtp", "refuse")
    first, again = (
        sandbox_stand.provider().verify_logins([ADA], on_result=quiet)[0] for _ in range(2)
    )
    assert (first.smtp, first.imap) == ("unknown", "matches")
    assert "421 4.3.2" in first.detail
    assert again.outcome == "matches"


def test_what_imap_refuses_is_missing_though_smtp_matches(sandbox_stand: Stand) -> None:
    sandbox_stand.holds(ADA, proof_digest(ADA.password))
    sandbox_stand.sandbox.fault("imap", "reject_auth")
    [proof] = sandbox_stand.provider().verify_logins([ADA], on_result=quiet)
    assert (proof.smtp, proof.imap, proof.outcome) == ("matches", "missing", "missing")


def test_a_batch_is_proved(stand: AnyStand) -> None:
    logins = [Login(f"inbox{number}@example.test", "Right3password") for number in range(40)]
    for login in logins:
        stand.holds(login, proof_digest(login.password))
    proofs = stand.provider().verify_logins(logins, on_result=quiet)
    assert [proof.email for proof in proofs] == [login.email for login in logins]
    assert {proof.outcome for proof in proofs} == {"matches"}


# --- A server that answers as it is told ---------------------------------------------------------


class ToldServer(socketserver.ThreadingTCPServer):
    """SMTP with STARTTLS or IMAPS on loopback that says yes, but for the verbs in `answers`.

    An answer of "" closes the connection; "silence" leaves the client waiting.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, protocol: str, tls: ssl.SSLContext, answers: Mapping[str, str]) -> None:
        self.protocol = protocol
        self.tls = tls
        self.answers = dict(answers)
        self.heard: list[str] = []
        self.connections = 0
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), _Conversation)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is what some tests are about."""

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()


class _Conversation(socketserver.BaseRequestHandler):
    server: ToldServer

    def handle(self) -> None:
        self.server.connections += 1
        self.sock = self.request
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.protocol == "imap":
            self._start_tls()
        self.file = self.sock.makefile("rwb")
        greetings = {"smtp": "220 told", "imap": "* OK told"}
        self._say(self.server.answers.get("GREETING", greetings[self.server.protocol]))
        while line := self.file.readline():
            words = line.decode("latin-1").split()
            tag = words.pop(0) if self.server.protocol == "imap" else ""
            verb = words[0].upper()
            self.server.heard.append(verb)
            answer = self.server.answers.get(verb, self._yes(verb))
            self._say(f"{tag} {answer}" if tag and answer not in {"", "silence"} else answer)
            if verb == "STARTTLS" and answer.startswith("220"):
                self._start_tls()
                self.file = self.sock.makefile("rwb")
            if verb in {"QUIT", "LOGOUT"}:
                return

    def _yes(self, verb: str) -> str:
        if self.server.protocol == "imap":
            if verb == "CAPABILITY":
                self._say("* CAPABILITY IMAP4rev1 AUTH=PLAIN")
            if verb == "LOGOUT":
                self._say("* BYE")
            return "OK done"
        yes = {
            "EHLO": "250-told\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN",
            "STARTTLS": "220 go on",
            "AUTH": "235 yes",
            "QUIT": "221 bye",
        }
        return yes.get(verb, "250 yes")

    def _start_tls(self) -> None:
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)

    def _say(self, answer: str) -> None:
        if answer == "silence":
            self.server.stopping.wait(10)
        if answer in {"", "silence"}:
            raise ConnectionAbortedError
        self.file.write(answer.encode() + b"\r\n")
        self.file.flush()


@pytest.fixture(scope="session")
def told_tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for localhost, and the PEM file that a client must trust for it."""
    folder = tmp_path_factory.mktemp("told")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "told")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "told.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file = folder / "told.key"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_file)
    return context, pem


class Told:
    """A pair of told servers and the provider that talks to them."""

    def __init__(self, tls: tuple[ssl.SSLContext, Path]) -> None:
        self._context, self.pem = tls
        self._servers: list[ToldServer] = []

    def __call__(
        self,
        *,
        smtp: Mapping[str, str] | None = None,
        imap: Mapping[str, str] | None = None,
        host: str = "localhost",
        ca_file: str = "",
        timeout: float = 5.0,
    ) -> MailServer:
        """A provider; what the servers answer other than yes is in `smtp` and `imap`."""
        self.smtp = ToldServer("smtp", self._context, smtp or {})
        self.imap = ToldServer("imap", self._context, imap or {})
        self._servers += [self.smtp, self.imap]
        return MailServer(
            {},
            smtp_host=host,
            smtp_port=self.smtp.port,
            imap_host=host,
            imap_port=self.imap.port,
            ca_file=ca_file or str(self.pem),
            timeout=timeout,
        )

    def stop(self) -> None:
        for server in self._servers:
            server.stop()


@pytest.fixture
def told(told_tls: tuple[ssl.SSLContext, Path]) -> Iterator[Told]:
    servers = Told(told_tls)
    yield servers
    servers.stop()


def test_a_proof_is_a_whole_conversation(told: Told) -> None:
    [proof] = told().verify_logins([ADA], on_result=quiet)
    assert proof == LoginCheck(ADA.email, "matches", "matches")
    assert proof.outcome == "matches"
    before_tls, after_tls = ["EHLO", "STARTTLS"], ["EHLO", "AUTH", "MAIL", "RCPT", "RSET", "QUIT"]
    assert told.smtp.heard == before_tls + after_tls
    assert told.imap.heard == ["CAPABILITY", "LOGIN", "SELECT", "LOGOUT"]


@pytest.mark.parametrize(
    ("smtp", "outcome", "said"),
    [
        ({"AUTH": "535 5.7.8 authentication failed"}, "missing", "(535 5.7.8)"),
        ({"AUTH": "525 5.7.13 user account disabled"}, "missing", "(525 5.7.13)"),
        ({"AUTH": "454 4.7.0 temporary authentication failure"}, "unknown", "(454 4.7.0)"),
        ({"AUTH": "503 5.5.1 authentication not enabled"}, "unknown", "(503 5.5.1)"),
        ({"MAIL": "553 5.7.1 not owned by user"}, "missing", "send as itself (553 5.7.1)"),
        ({"RCPT": "553 5.7.1 not owned by user"}, "missing", "send as itself (553 5.7.1)"),
        ({"MAIL": "452 4.3.1 no space"}, "unknown", "(452 4.3.1)"),
        ({"GREETING": "421 4.3.2 shutting down"}, "unknown", "421 4.3.2"),
        ({"GREETING": "hello"}, "unknown", "mail server"),
        ({"EHLO": "250 nothing"}, "unknown", "does not offer STARTTLS"),
        ({"STARTTLS": "454 4.7.0 TLS not available"}, "unknown", "454 4.7.0"),
        ({"STARTTLS": ""}, "unknown", "closed the connection"),
        ({"AUTH": ""}, "unknown", "closed the connection"),
        ({"AUTH": "334 a"}, "unknown", "without sense"),
        ({"AUTH": "silence"}, "unknown", "did not answer in time"),
        ({"QUIT": "421 4.3.2 shutting down"}, "matches", ""),
        ({"QUIT": ""}, "matches", ""),
    ],
)
def test_what_smtp_answers(told: Told, smtp: dict[str, str], outcome: str, said: str) -> None:
    [proof] = told(smtp=smtp, timeout=0.3).verify_logins([ADA], on_result=quiet)
    assert proof.smtp == outcome
    assert said in proof.detail
    assert (said == "") == (proof.detail == "")
    assert (proof.imap is None) == (outcome == "missing")


@pytest.mark.parametrize(
    ("imap", "outcome", "said"),
    [
        ({"LOGIN": "NO [AUTHENTICATIONFAILED] wrong"}, "missing", "(AUTHENTICATIONFAILED)"),
        ({"LOGIN": "NO wrong"}, "missing", "refused this address and password."),
        ({"LOGIN": "NO [UNAVAILABLE] try later"}, "unknown", "(UNAVAILABLE)"),
        ({"LOGIN": "BAD what?"}, "unknown", "did not understand"),
        ({"LOGIN": ""}, "unknown", "closed the connection"),
        ({"LOGIN": "silence"}, "unknown", "did not answer in time"),
        ({"GREETING": "* BYE overloaded"}, "unknown", "IMAP server"),
        ({"GREETING": "hello"}, "unknown", "closed the connection"),
        ({"SELECT": "NO [SERVERBUG] no disk"}, "unknown", "does not open the inbox"),
        ({"LOGOUT": ""}, "matches", ""),
    ],
)
def test_what_imap_answers(told: Told, imap: dict[str, str], outcome: str, said: str) -> None:
    [proof] = told(imap=imap, timeout=0.3).verify_logins([ADA], on_result=quiet)
    assert (proof.smtp, proof.imap, proof.outcome) == ("matches", outcome, outcome)
    assert said in proof.detail
    assert (said == "") == (proof.detail == "")


def test_the_password_is_not_sent_without_tls(told: Told) -> None:
    told(smtp={"EHLO": "250-told\r\n250 AUTH PLAIN"}).verify_logins([ADA], on_result=quiet)
    assert told.smtp.heard == ["EHLO", "QUIT"]


def test_a_refused_password_is_offered_once(told: Told) -> None:
    told(smtp={"AUTH": "535 5.7.8 no"}).verify_logins([ADA], on_result=quiet)
    assert told.smtp.heard.count("AUTH") == 1
    assert told.imap.heard == []


def test_a_certificate_for_another_name_does_not_verify(told: Told) -> None:
    [proof] = told(host="127.0.0.1").verify_logins([ADA], on_result=quiet)
    assert (proof.smtp, proof.imap) == ("unknown", "unknown")
    assert proof.detail.count("does not verify") == 2
    assert "AUTH" not in told.smtp.heard
    assert "LOGIN" not in told.imap.heard


def test_a_missing_ca_file_is_no_reason_to_trust(told: Told, tmp_path: Path) -> None:
    [proof] = told(ca_file=str(tmp_path / "none.pem")).verify_logins([ADA], on_result=quiet)
    assert proof.outcome == "unknown"
    assert "CA file is missing" in proof.detail


def test_a_silent_server_does_not_hold_up_a_whole_batch(told: Told) -> None:
    logins = [Login(f"inbox{number}@example.test", "Right3password") for number in range(60)]
    provider = told(smtp={"GREETING": "silence"}, timeout=0.2)
    proofs = provider.verify_logins(logins, parallel=4, on_result=quiet)
    assert {proof.smtp for proof in proofs} == {"unknown"}
    assert {proof.imap for proof in proofs} == {"matches"}
    assert {"did not answer in time" in proof.detail for proof in proofs} == {True}
    assert 5 <= told.smtp.connections <= 9


def test_each_result_is_told_at_once_and_the_list_keeps_its_order(told: Told) -> None:
    logins = [Login(f"inbox{number}@example.test", "Right3password") for number in range(20)]
    told_so_far: list[LoginCheck] = []
    threads: set[int] = set()

    def on_result(proof: LoginCheck) -> None:
        told_so_far.append(proof)
        threads.add(threading.get_ident())

    proofs = told().verify_logins(logins, parallel=8, on_result=on_result)
    assert [proof.email for proof in proofs] == [login.email for login in logins]
    assert sorted(told_so_far, key=str) == sorted(proofs, key=str)
    assert threads == {threading.get_ident()}


def test_an_exception_of_the_caller_ends_the_work(told: Told) -> None:
    logins = [Login(f"inbox{number}@example.test", "Right3password") for number in range(50)]

    def on_result(proof: LoginCheck) -> None:
        raise KeyboardInterrupt

    provider = told()
    with pytest.raises(KeyboardInterrupt):
        provider.verify_logins(logins, parallel=2, on_result=on_result)
    assert told.smtp.connections < 50


def test_nothing_to_prove(told: Told) -> None:
    assert told().verify_logins([], on_result=quiet) == []


def test_a_server_that_repeats_the_password_gives_nothing_away(told: Told) -> None:
    echo = f"AUTH PLAIN {ADA.password} {ADA.email}"
    provider = told(
        smtp={"AUTH": f"451 4.7.0 {echo}"}, imap={"LOGIN": f"NO [{ADA.password}] {echo}"}
    )
    [proof] = provider.verify_logins([ADA], on_result=quiet)
    assert proof.outcome in {"unknown", "missing"}
    assert ADA.password not in repr(proof)


def test_a_login_keeps_its_password_to_itself() -> None:
    assert ADA.password not in repr(ADA)
    assert ADA.password not in str([ADA])


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.test>\r\nRCPT TO:<cy@example.test", "Right3password"),
        ("ada lovelace@example.test", "Right3password"),
        ("ada{5}@example.test", "Right3password"),
        ("ada", "Right3password"),
        ("ada@exämple.test", "Right3password"),
        ("ada@example.test", "two\r\nlines"),
        ("ada@example.test", "päss"),
        ("ada@example.test", ""),
    ],
)
def test_what_would_break_out_of_its_line_is_no_login(email: str, password: str) -> None:
    with pytest.raises(ValueError, match="of a login is") as refused:
        Login(email, password)
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    ("smtp", "imap", "outcome"),
    [
        ("matches", "matches", "matches"),
        ("matches", None, "matches"),
        ("unknown", "matches", "unknown"),
        ("matches", "unknown", "unknown"),
        ("unknown", "missing", "missing"),
        ("missing", None, "missing"),
    ],
)
def test_a_proof_is_as_good_as_its_worse_half(
    smtp: Outcome, imap: Outcome | None, outcome: Outcome
) -> None:
    assert LoginCheck(ADA.email, smtp, imap).outcome == outcome
