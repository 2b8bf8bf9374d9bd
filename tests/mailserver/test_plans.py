"""What is asked for each message and each login reads no table from one end to the other."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from deliverability import bounces
from deliverability.models import SendingDay
from deliverability.policy import decide
from mailservers import files, role
from mailservers.configuration import DOVECOTS, Configuration, Database
from mailservers.signing.authors import check
from mailservers.signing.keys import KeyRing
from mailservers.signing.server import Signer
from mailservers.signing.signatures import NotTheAuthor
from tests.crowds import REAL, Crowd

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db]

Asked = list[tuple[str, Any]]
READER = "mail_plans"
# Postfix: %s, %u, %d. Dovecot: 2.3's %Lu is the whole address, as 2.4's %{user | lower}.
SERVICE = re.compile(r"(?<=CASE WHEN ')%(?:s|\{protocol\})(?=' =)")
MEANT = re.compile(r"%([sud])|%L(?:u|(d))|%\{user(?: \| (domain))? \| lower\}")
# Tables that grow with the customers. A page of tenants or servers may be read whole.
GROWING = {
    "billing_account",
    "dnszones_dkimkey",
    "dnszones_record",
    "dnszones_zone",
    "domains_domain",
    "mailboxes_alias",
    "mailboxes_mailbox",
    "mailboxes_maildomain",
    "mailboxes_sendingday",
    "tenants_tenant",
}
SIGNED = b"From: %s\r\nTo: bo@far.test\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\nHi.\r\n"
LOG = """\
Nov 21 10:00:00 mx postfix/submission/smtpd[9]: 4F1A2B3C4D: client=x[192.0.2.7], sasl_username=BOX
Nov 21 10:00:00 mx postfix/qmgr[9]: 4F1A2B3C4D: from=<BOX>, size=9, nrcpt=1 (queue active)
Nov 21 10:00:00 mx postfix/smtp[9]: 4F1A2B3C4D: to=<a@far.test>, relay=far.test[192.0.2.9]:25, \
dsn=2.0.0, status=sent (ok)
"""


@pytest.fixture
def crowd() -> Crowd:
    """So many mailboxes that reading them all is the dearer way, with true statistics."""
    crowd = Crowd(20_000)
    role.make_role(READER, "a-password-of-the-tests")
    return crowd


def asked_by(work: Callable[[], object]) -> Asked:
    """The statements by which something is done on rows."""
    asked: Asked = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if re.match(r"SELECT|INSERT|UPDATE|DELETE", sql.strip()):
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        work()
    assert asked
    return asked


def whole_reads(asked: Asked) -> list[str]:
    """The steps of the statements' plans that read a whole table or index."""
    found: list[str] = []
    with connection.cursor() as cursor:
        for sql, params in asked:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
            (plan,) = cursor.fetchone()
            plan = json.loads(plan) if isinstance(plan, str) else plan
            found += [f"{step} in {sql}" for step in _whole(plan[0]["Plan"])]
    return found


def _whole(plan: dict[str, Any]) -> Iterator[str]:
    table = plan.get("Relation Name") or plan.get("Index Name", "")
    kind = plan["Node Type"]
    if kind == "Seq Scan" and table in GROWING:
        yield f"{kind} on {table}"
    if kind in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"} and "Index Cond" not in plan:
        yield f"{kind} without a condition on {table}"
    for below in plan.get("Plans", ()):
        yield from _whole(below)


def configuration(dovecot: str) -> Configuration:
    return Configuration(
        server="house",
        host="mail.test",
        folder=Path("/etc/mpanel-mail"),
        certificate=Path("/etc/mail.pem"),
        private_key=Path("/etc/mail.key"),
        database=Database(
            host="localhost", port=5432, name="mpanel", user="mail", password="a-password-of-tests"
        ),
        dovecot=dovecot,
        sieve_port=4190,
        postmaster="postmaster@mail.test",
        own_names=("mail.test",),
    )


def _part(address: str, variable: re.Match[str]) -> str:
    """What a variable of a query means for an address."""
    local, _, domain = address.rpartition("@")
    return {"u": local, "d": domain}.get(
        variable[1] or "", domain if variable[2] or variable[3] else address
    )


def _refused(login: str, author: bytes) -> None:
    with pytest.raises(NotTheAuthor):
        check(login, [("from", author)])


def test_policy_and_signer_find_their_rows_by_an_index(crowd: Crowd) -> None:
    box, own = crowd.address(12_340), REAL
    signer = Signer(("127.0.0.1", 1))
    try:
        work: dict[str, Callable[[], object]] = {
            "policy": lambda: decide(box, 2),
            "policy, over the limit": lambda: decide(box, 98),
            "policy, of nobody": lambda: decide("nobody@d1.test", 1),
            "key": lambda: KeyRing().key_of("pattern.test"),
            "key of nobody": lambda: KeyRing().key_of("nobody.test"),
            "own address": lambda: signer.signed(SIGNED % own.encode(), own),
            "an alias": lambda: signer.signed(SIGNED % b"team@pattern.test", own),
            "an alias as the envelope": lambda: signer.signed(
                SIGNED % own.encode(), "team@pattern.test"
            ),
            "author, an alias": lambda: check(own, [("from", b"team@pattern.test")]),
            "author, an outsider": lambda: _refused(own, b"ceo@bank.test"),
            "author, another's": lambda: _refused(box, own.encode()),
            "a stranger": lambda: signer.signed(SIGNED % b"ceo@bank.test", own),
        }
        for name, do in work.items():
            if name == "policy, over the limit":
                SendingDay.objects.update(sent=50)
            assert whole_reads(asked_by(do)) == [], name
    finally:
        signer.threads.shutdown()


def test_the_log_is_counted_by_an_index(crowd: Crowd, tmp_path: Path) -> None:
    log = tmp_path / "postfix.log"
    log.write_text(LOG.replace("BOX", crowd.address(7_770)))
    assert whole_reads(asked_by(lambda: bounces.read_log(log))) == []


def test_dovecot_and_postfix_find_their_rows_by_an_index(crowd: Crowd) -> None:
    box, alias = crowd.address(12_340), crowd.alias(12_340)
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {READER}")  # for whom the views are barriers
    for chosen in map(configuration, DOVECOTS):
        for file in files.files_of(chosen):
            found = re.findall(r"(?m)^ *(?:\w+_)?query = (.*)$", files.render(chosen, file.path))
            for query in found:
                if query.endswith("FROM mail_recipient WHERE server = 'house'"):
                    continue  # all of them, for an operator who asks for all
                for sign in (box, alias, "nobody@far.test", "@d7.test", "d7.test"):
                    for service in ("imap", "quota-status"):
                        statement = SERVICE.sub(service, query)
                        statement = MEANT.sub(partial(_part, sign), statement)
                        assert sign in statement, statement
                        assert "%" not in statement, statement
                        assert whole_reads([(statement, ())]) == [], file.path
