"""What is Cloudflare's own: its errors, its quirks, and what its library does with them."""

import json
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dnszones.providers.cloudflare import CloudflareDNS
from dnszones.records import RecordData
from mpanel.core import registry
from mpanel.core.errors import ProviderError
from sandbox.accounts import account_of
from tests.sandboxes import RunningSandbox

TOKEN = "sandbox-bo"


def account_id(token):
    account = account_of(token)
    assert account is not None
    return account.id


ACCOUNT, CYS_ACCOUNT = account_id(TOKEN), account_id("sandbox-cy")


def provider_at(url, token=TOKEN, account=ACCOUNT, timeout=5.0):
    credentials = {"api_token": token, "account_id": account}
    return CloudflareDNS(credentials, base_url=url, timeout=timeout)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with RunningSandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


@pytest.fixture
def bo(sandbox):
    return provider_at(sandbox.cloudflare_url)


def outcome(call, *args, **kwargs):
    with pytest.raises(ProviderError) as raised:
        call(*args, **kwargs)
    error = raised.value
    assert TOKEN not in str(error)
    return error.error_code, error.retryable, error.ambiguous


def test_it_is_registered_with_its_fields():
    assert registry.get("dns", "cloudflare") is CloudflareDNS
    secret = {field.name: field.secret for field in CloudflareDNS.credential_fields}
    assert secret == {"api_token": True, "account_id": False}


def test_the_account_is_named(bo):
    assert bo.check_connection() == "Connected to the Cloudflare account Sandbox account bo."


@pytest.mark.parametrize(("token", "account"), [("wrong", ACCOUNT), (TOKEN, CYS_ACCOUNT)])
def test_wrong_credentials_and_foreign_accounts(sandbox, token, account):
    stranger = provider_at(sandbox.cloudflare_url, token, account)
    assert outcome(stranger.check_connection) == ("INVALID_CREDENTIALS", False, False)


def test_keys_of_the_environment_are_not_used(sandbox, monkeypatch):
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "cy@cy.test")
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "not-ours")
    monkeypatch.setenv("CLOUDFLARE_API_USER_SERVICE_KEY", "not-ours")
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9")
    assert "bo" in provider_at(sandbox.cloudflare_url).check_connection()


def test_another_account_has_the_zone(sandbox, bo):
    cy = provider_at(sandbox.cloudflare_url, "sandbox-cy", CYS_ACCOUNT)
    cy.create_zone("taken.test")
    sandbox.set_nameservers("taken.test")
    assert outcome(bo.create_zone, "taken.test") == ("ZONE_EXISTS", False, False)
    assert bo.find_zone("taken.test") is None
    zone = cy.find_zone("taken.test")
    assert zone.status == "active"
    assert outcome(bo.get_zone, zone.id) == ("INVALID_CREDENTIALS", False, False)


# --- Failures, once for reading and once for writing ----------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "ambiguous_write"),
    [
        ({"kind": "status", "status": 500}, "UNAVAILABLE", True),
        ({"kind": "status", "status": 503}, "UNAVAILABLE", True),
        ({"kind": "rate_limit", "retry_after": 300}, "RATE_LIMITED", False),
        ({"kind": "drop_before"}, "UNREACHABLE", True),
        ({"kind": "timeout"}, "TIMEOUT", True),
    ],
)
def test_temporary_failures(sandbox, fault, code, ambiguous_write):
    bo = provider_at(sandbox.cloudflare_url, timeout=0.5)
    sandbox.fault("cloudflare", **fault)
    assert outcome(bo.find_zone, "bo.test") == (code, True, False)
    sandbox.fault("cloudflare", **fault)
    assert outcome(bo.create_zone, "bo.test") == (code, True, ambiguous_write)


def test_a_failure_is_not_retried_here(sandbox, bo):
    sandbox.fault("cloudflare", "status", status=500)
    outcome(bo.create_zone, "bo.test")
    assert bo.find_zone("bo.test") is None


def test_a_write_whose_answer_was_lost_is_found_by_looking(sandbox, bo):
    sandbox.fault("cloudflare", "drop_after_commit", method="POST")
    assert outcome(bo.create_zone, "bo.test") == ("UNREACHABLE", True, True)
    zone = bo.find_zone("bo.test")
    record = RecordData("bo.test", "TXT", "v=spf1 -all")
    sandbox.fault("cloudflare", "drop_after_commit", method="POST")
    assert outcome(bo.apply_batch, zone.id, creates=[record]) == ("UNREACHABLE", True, True)
    bo.apply_batch(zone.id, creates=[record])
    assert [found.data for found in bo.list_records(zone.id)] == [record]


def test_how_long_to_wait_is_passed_on(sandbox, bo):
    sandbox.fault("cloudflare", "rate_limit", retry_after=300)
    with pytest.raises(ProviderError) as raised:
        bo.find_zone("bo.test")
    assert raised.value.retry_after == 300


def test_nobody_listens():
    nobody = provider_at("http://127.0.0.1:9/client/v4")
    assert outcome(nobody.find_zone, "bo.test") == ("UNREACHABLE", True, False)


# --- Records as Cloudflare has them ---------------------------------------------------------------


def test_records_of_others_are_read_whatever_their_form(sandbox, bo):
    zone = bo.create_zone("bo.test")
    sandbox.change_record(
        "bo.test", "add", type="TXT", name="bo.test", content="v=spf1 mx -all", comment="by hand"
    )
    sandbox.change_record("bo.test", "add", type="A", name="WWW.bo.test", content="192.0.2.1")
    found = {record.data.type: record for record in bo.list_records(zone.id)}
    # A TTL of 1 is Cloudflare's "automatic", and is kept so that it can be written back.
    assert found["TXT"].data == RecordData("bo.test", "TXT", "v=spf1 mx -all", 1)
    assert found["TXT"].comment == "by hand"
    assert found["A"].data == RecordData("www.bo.test", "A", "192.0.2.1", 1)


def test_an_update_keeps_comments_and_new_names_are_not_proxied(sandbox, bo):
    zone = bo.create_zone("bo.test")
    sandbox.change_record(
        "bo.test", "add", type="TXT", name="bo.test", content="v=spf1 mx -all", comment="by hand"
    )
    old = bo.list_records(zone.id)[0]
    new = RecordData("bo.test", "TXT", "v=spf1 mx include:a.test -all")
    alias = RecordData("track.bo.test", "CNAME", "open.sleadtrack.com")
    bo.apply_batch(zone.id, updates=[(old, new)], creates=[alias])
    shown = {record["type"]: record for record in sandbox.records("bo.test")}
    assert shown["TXT"]["comment"] == "by hand"
    assert shown["CNAME"]["proxied"] is False
    assert [found.id for found in bo.list_records(zone.id) if found.data == new] == [old.id]


def test_what_cloudflare_refuses_is_said_in_its_words(bo):
    zone = bo.create_zone("bo.test")
    with pytest.raises(ProviderError, match="IPv4") as raised:
        bo.apply_batch(zone.id, creates=[RecordData("bo.test", "A", "not an address")])
    assert raised.value.error_code == "REFUSED"


# --- Answers that no sandbox gives ----------------------------------------------------------------


@dataclass
class Canned:
    """An HTTP server that gives every request the same answer, or each page its own."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __enter__(self):
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                canned.asked.append(self.path)
                length = int(self.headers.get("content-length") or 0)
                self.rfile.read(length)
                self.send_response(canned.status)
                self.send_header("content-type", canned.content_type)
                self.send_header("content-length", str(len(canned.body)))
                for name, value in canned.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(canned.body)

            do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve = partial(self.server.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()
        return provider_at(f"http://127.0.0.1:{self.server.server_port}/client/v4")

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


def envelope(*, success=False, result=None, errors=()):
    return json.dumps(
        {"success": success, "errors": list(errors), "messages": [], "result": result}
    ).encode()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (envelope(), "application/json"),
        (b"<html>all is well</html>", "text/html"),
        (b"{not json", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
    ],
)
def test_an_answer_of_200_without_a_result_is_a_failure(body, content_type):
    """Above all: an empty zone is not concluded from a failed listing."""
    with Canned(body=body, content_type=content_type) as bo:
        assert outcome(bo.list_records, "z") == ("BAD_ANSWER", True, False)
        assert outcome(bo.find_zone, "bo.test") == ("BAD_ANSWER", True, False)
        assert outcome(bo.get_zone, "z") == ("BAD_ANSWER", True, False)
        assert outcome(bo.check_connection) == ("BAD_ANSWER", True, False)
        assert outcome(bo.create_zone, "bo.test") == ("BAD_ANSWER", True, True)
        record = RecordData("bo.test", "A", "192.0.2.1")
        assert outcome(bo.apply_batch, "z", creates=[record]) == ("BAD_ANSWER", True, True)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, 1049, "NOT_REGISTERED"),
        (400, 1097, "ZONE_BANNED"),
        (400, 1099, "NOT_REGISTERED"),
        (400, 1105, "TOO_MANY_ATTEMPTS"),
        (400, 1118, "TOO_MANY_PENDING"),
        (400, 81053, "RECORD_CONFLICT"),
        (400, 9999, "REFUSED"),
        (403, 9109, "INVALID_CREDENTIALS"),
        (401, 10000, "INVALID_CREDENTIALS"),
        (404, 7003, "ZONE_GONE"),
    ],
)
def test_codes_become_ours(status, code, expected):
    errors = [{"code": code, "message": "what Cloudflare says"}]
    with Canned(status=status, body=envelope(errors=errors)) as bo:
        assert outcome(bo.create_zone, "bo.test") == (expected, False, False)


@pytest.mark.parametrize(
    "body", [b"", b"no envelope", b'{"errors": null}', b'{"errors": ["x", {"code": "1061"}]}']
)
def test_an_error_without_an_envelope_is_an_error_all_the_same(body):
    with Canned(status=400, body=body) as bo:
        assert outcome(bo.create_zone, "bo.test") == ("REFUSED", False, False)


def test_a_retry_after_that_is_no_number_is_passed_over():
    with Canned(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}) as bo:
        with pytest.raises(ProviderError) as raised:
            bo.find_zone("bo.test")
        assert raised.value.retry_after is None


def test_a_server_that_ignores_the_page_does_not_hold_us_forever():
    record = {"id": "r", "type": "A", "name": "bo.test", "content": "192.0.2.1", "ttl": 1}
    canned = Canned(body=envelope(success=True, result=[record]))
    with canned as bo:
        assert outcome(bo.list_records, "z") == ("BAD_ANSWER", True, False)
    assert len(canned.asked) < 5
