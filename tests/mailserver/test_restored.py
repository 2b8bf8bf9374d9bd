"""Backup, wipe, restore and verify of a whole mail server: rows, keys and mail."""

import shutil
from email import message_from_string
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection

from dnszones.dkim.keys import dkim_key
from dnszones.models import Zone
from events.relay import relay
from events.services import record
from mailboxes.models import Mailbox
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.processes import eventually

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]


def run(command: str, *arguments: object) -> str:
    said = StringIO()
    call_command(command, *map(str, arguments), stdout=said)
    return said.getvalue()


def test_a_restored_mail_server_has_its_logins_keys_and_mail(
    ada: Person, mail_server: PrivateMailServer, settings: LazySettings, tmp_path: Path
) -> None:
    settings.MAILSERVER_ROLE = mail_server.role
    box = inbox(ada, "ada@ada.test")
    zone = Zone.objects.create(domain=box.domain, provider="cloudflare", remote_id="ada.test")
    dkim_key(zone, "mpanel")
    record(ada.actor, "tenant.tried", ada.tenant, "Tried.")
    relay()
    with mail_server.submission(box.address, PASSWORD) as client:
        client.sendmail(box.address, [box.address], "Subject: kept\r\n\r\nHello.\r\n")
    eventually(lambda: mail_server.inbox(box), why=mail_server.complaints)
    before = Mailbox.objects.count()

    made = run("backup", f"--to={tmp_path}", f"--mail={mail_server.vmail}").splitlines()[-1]

    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE")
        cursor.execute("CREATE SCHEMA public")
    for shard in mail_server.vmail.iterdir():
        shutil.rmtree(shard)

    said = run("restore", made, f"--mail={mail_server.vmail}")
    assert "DKIM: 1 keys sign" in said
    assert "logins: 1 passwords open, and 1 that were compared log in" in said
    assert f"the role {mail_server.role} reads the mail views" in said
    assert Mailbox.objects.count() == before
    with mail_server.imap(box.address, PASSWORD) as imap:
        assert imap.select("INBOX")[1] == [b"1"]
    with mail_server.submission(box.address, PASSWORD) as client:
        client.sendmail(box.address, [box.address], "Subject: new\r\n\r\nHello.\r\n")
    mail_server.wait_for_mail(box, 2)
    subjects = {message_from_string(text)["Subject"] for text in mail_server.inbox(box)}
    assert subjects == {"kept", "new"}
