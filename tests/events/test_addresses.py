"""A webhook reaches the public internet and what a setting allows, and nothing else."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import LazySettings

from events.addresses import (
    CheckedTransport,
    Network,
    complaint_about,
    is_public,
    look_up,
    parse_networks,
)
from events.models import new_secret
from events.sending import Outcome, WebhookRequest, send
from tests.events.receiver import Answer, Receiver

LOOPBACK = parse_networks(["127.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "192.0.0.192",
        "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "168.63.129.16", "192.88.99.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
        "2001:db8::1", "100::1",
        # IPv4 in IPv6
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "64:ff9b:1::808:808",
        "2002:7f00:1::", "2002:808:808::1", "2001:0:808:808::1",
    ],
)  # fmt: skip
def test_addresses_that_lead_inside(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.15.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


REFUSED = (
    ("", "full address"),
    ("hooks.example.com", "full address"),
    ("ftp://hooks.example.com/", "full address"),
    ("file:///etc/passwd", "full address"),
    ("gopher://hooks.example.com/", "full address"),
    ("https://", "full address"),
    ("https:///path", "full address"),
    ("http://hooks.example.com/", "https://"),
    ("http://8.8.8.8/", "https://"),
    ("https://user@hooks.example.com/", "user and password"),
    ("https://user:pass@hooks.example.com/", "user and password"),
    ("https://hooks.example.com:22/", "port"),
    ("https://hooks.example.com:0/", "port"),
    ("https://hooks.example.com:99999/", "not an address"),
    ("https://hooks.example.com:x/", "not an address"),
    ("https://[::1/", "not an address"),
    ("https://hooks.example.com/#part", "#"),
    ("https://hooks.example.com/\r\nX: y", "ASCII"),
    ("https://hooks.example.com/a b", "ASCII"),
    ("https://hooks.exämple.com/", "ASCII"),
    ("https://hooks.example.com/" + "a" * 2000, "2,000"),
    ("https://localhost/", "private network"),
    ("https://LOCALHOST./", "private network"),
    ("https://intranet/", "private network"),
    ("https://a.localhost/", "private network"),
    ("https://printer.local/", "private network"),
    ("https://metadata.google.internal/", "private network"),
    ("https://127.0.0.1/", "private network"),
    ("https://10.1.2.3:8443/", "private network"),
    ("https://[::1]/", "private network"),
    ("https://[::ffff:127.0.0.1]/", "private network"),
    ("https://169.254.169.254/latest/meta-data/", "private network"),
    ("https://2130706433/", "private network"),
    ("https://0x7f000001/", "private network"),
)


@pytest.mark.parametrize(("url", "says"), REFUSED)
def test_addresses_that_are_refused_at_once(settings: LazySettings, url: str, says: str) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    assert says in complaint_about(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/",
        "https://hooks.example.com:8443/a?b=c",
        "https://hooks.example.com:80/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://xn--exmple-cua.com/",
    ],
)
def test_addresses_that_are_taken(settings: LazySettings, url: str) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    assert complaint_about(url) == ""


def test_a_setting_allows_a_network(settings: LazySettings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["10.1.0.0/16"]
    assert complaint_about("http://10.1.2.3:8080/") == ""
    assert complaint_about("http://[::ffff:10.1.2.3]:8080/") == ""
    assert complaint_about("https://hooks.corp.internal/") == ""
    assert "private network" in complaint_about("http://10.2.0.1:8080/")
    assert "https://" in complaint_about("http://8.8.8.8/")


# --- When the connection is made -------------------------------------------------------------


@dataclass
class Names:
    """A resolver whose every answer is the next in line; the last one stays."""

    answers: list[list[str]]
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def request(url: str) -> WebhookRequest:
    return WebhookRequest(uuid4(), "msg_1", url, b"{}", (new_secret(),))


def sent(
    url: str,
    names: Names,
    networks: Sequence[Network] = (),
    *,
    verify: ssl.SSLContext | None = None,
) -> Outcome:
    async def run() -> Outcome:
        transport = CheckedTransport(networks=networks, resolve=names, verify=verify)
        return await send(request(url), transport=transport)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["fe80::1%lo"]],
)
def test_a_name_that_leads_inside_is_not_called(receiver: Receiver, answer: list[str]) -> None:
    outcome = sent(f"https://hooks.example.com:{receiver.port}/", Names([answer]))
    assert "not public. Nothing was sent." in outcome.error
    assert not any(address in outcome.error for address in answer)
    assert receiver.taken == []


def test_an_address_in_the_url_is_checked_as_well(receiver: Receiver) -> None:
    async def run() -> list[Outcome]:
        hosts = ("127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1", "localhost")
        return [
            await send(
                request(f"https://{host}:{receiver.port}/"), transport=CheckedTransport(networks=())
            )
            for host in hosts
        ]

    for outcome in asyncio.run(run()):
        assert "Nothing was sent." in outcome.error
    assert receiver.taken == []


def test_a_name_is_asked_once_and_its_answer_is_where_we_go(receiver: Receiver) -> None:
    # Who answers with another address the second time is not asked a second time.
    names = Names([["127.0.0.1"], ["127.0.0.99"]])
    outcome = sent(f"http://hooks.example.com:{receiver.port}/x", names, LOOPBACK)
    assert (outcome.status, outcome.error) == (200, "")
    assert names.asked == [("hooks.example.com", receiver.port)]
    (taken,) = receiver.taken
    assert taken.headers["host"] == f"hooks.example.com:{receiver.port}"


def test_the_next_address_is_tried_where_one_does_not_answer(receiver: Receiver) -> None:
    names = Names([["127.0.0.9", "127.0.0.1"]])
    assert sent(f"http://hooks.example.com:{receiver.port}/", names, LOOPBACK).status == 200
    assert len(receiver.taken) == 1


def test_a_redirect_inside_is_not_followed(receiver: Receiver) -> None:
    inside = f"http://127.0.0.1:{receiver.port}/inside"
    for status in (301, 302, 303, 307, 308):
        receiver.answer = Answer(status, headers={"location": inside})
        outcome = sent(
            f"http://hooks.example.com:{receiver.port}/", Names([["127.0.0.1"]]), LOOPBACK
        )
        assert f"{status}, a redirect" in outcome.error
    assert [taken.path for taken in receiver.taken] == ["/"] * 5


def test_plain_http_is_spoken_in_allowed_networks_only(receiver: Receiver) -> None:
    outcome = sent("http://hooks.example.com/", Names([["8.8.8.8"]]), LOOPBACK)
    assert "Only https://" in outcome.error
    mixed = sent("http://hooks.example.com/", Names([["127.0.0.1", "8.8.8.8"]]), LOOPBACK)
    assert "Only https://" in mixed.error


def test_a_name_without_an_address(receiver: Receiver) -> None:
    assert "no address" in sent("https://hooks.example.com/", Names([[]])).error


def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, receiver.url("/proxy"))
    with Receiver() as other:
        names = Names([["127.0.0.1"]])
        assert sent(f"http://hooks.example.com:{other.port}/", names, LOOPBACK).status == 200
        assert len(other.taken) == 1
    assert receiver.taken == []


# --- TLS -------------------------------------------------------------------------------------


@dataclass
class TLSServer:
    """Answers one kind of thing over TLS, with a certificate for hooks.example.com."""

    port: int
    authority: Path
    asked_for: list[str | None] = field(default_factory=list)

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TLSServer]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path / "tls.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    folder.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "ca.pem").write_bytes(pem)
    listener = socket.create_server(("127.0.0.1", 0))
    server = TLSServer(listener.getsockname()[1], tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder)
    context.sni_callback = lambda _, name, __: server.asked_for.append(name)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    request = b""
                    while not request.endswith(b"\r\n\r\n{}"):
                        request += wrapped.recv(65536) or b"\r\n\r\n{}"
                    wrapped.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_the_certificate_is_that_of_the_name(tls: TLSServer) -> None:
    names = Names([["127.0.0.1"]])
    good = sent(f"https://hooks.example.com:{tls.port}/", names, LOOPBACK, verify=tls.trusting())
    assert (good.status, good.error) == (204, "")
    assert tls.asked_for == ["hooks.example.com"]
    other = sent(f"https://other.example.com:{tls.port}/", names, LOOPBACK, verify=tls.trusting())
    assert (other.status, other.error[:27]) == (None, "The certificate is not good")
    unknown = sent(f"https://hooks.example.com:{tls.port}/", names, LOOPBACK)
    assert "The certificate is not good" in unknown.error


def test_names_that_hang_keep_no_other_from_being_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system, over = socket.getaddrinfo, threading.Event()

    def ask(host: str, *rest: Any, **more: Any) -> Any:
        if host.endswith(".hangs.test"):
            over.wait(120)
            raise OSError("no answer")
        return system(host, *rest, **more)

    async def look() -> Sequence[str]:
        hanging = [asyncio.ensure_future(look_up(f"{n}.hangs.test", 443)) for n in range(100)]
        await asyncio.sleep(0)  # they are asked first
        try:
            async with asyncio.timeout(5):
                return await look_up("127.0.0.1", 443)
        finally:
            over.set()
            await asyncio.gather(*hanging, return_exceptions=True)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    assert asyncio.run(look()) == ["127.0.0.1"]
