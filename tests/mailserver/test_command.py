"""`manage.py mailserver`: files, the database's role, rows of servers, and mail that is purged."""

import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.models import Mailbox
from mailservers import files, purge
from mailservers.configuration import DOVECOTS, Configuration, Database
from mailservers.models import MailServer
from mailservers.purge import MARK, folder_of
from mailservers.role import VIEWS, grant_views_again
from mpanel.core.errors import Invalid
from mpanel.core.models import new_id
from tests.cast import Person
from tests.dovecot_postfix import manage
from tests.mailserver.rooms import inbox
from tests.processes import test_database_url

PASSWORD = "a-password-of-the-tests"


def configuration(where: Path, **changes: Any) -> Configuration:
    database = Database(
        host="127.0.0.1", port=5432, name="mpanel", user="mpanel_mail", password=PASSWORD
    )
    given_: dict[str, Any] = {
        "server": "house",
        "host": "mail.example.test",
        "certificate": Path("/etc/ssl/mail.pem"),
        "private_key": Path("/etc/ssl/mail.key"),
        "database": database,
        "dovecot": "2.3",
    }
    return Configuration(**{"folder": where, **given_, **changes})


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "sentence"),
    [
        (("192.0.2.77",), "192.0.2.77 is not an address of this machine"),
        (("127.0.0.1", "2001:db8::77"), "2001:db8::77 is not an address of this machine"),
        (("127.0.0.1", "127.0.0.1"), "127.0.0.1 is named twice"),
    ],
)
def test_it_listens_only_where_this_machine_is(
    tmp_path: Path, listen: tuple[str, ...], sentence: str
) -> None:
    files.refuse_foreign_addresses(configuration(tmp_path, listen=("127.0.0.1",)))
    with pytest.raises(Invalid, match=sentence):
        files.refuse_foreign_addresses(configuration(tmp_path, listen=listen))


@pytest.mark.parametrize("release", DOVECOTS)
def test_files_are_written_once_and_keep_their_secrets(tmp_path: Path, release: str) -> None:
    def write(**changes: Any) -> dict[str, bool]:
        return dict(files.write(configuration(tmp_path, dovecot=release, **changes)))

    first = write()
    assert all(first.values())
    assert not any(write().values())
    changed = write(submissions_port=0)
    assert [path for path, is_new in changed.items() if is_new] == ["postfix/master.cf"]
    (tmp_path / "postfix/maps/aliases.cf").chmod(0o644)
    assert write(submissions_port=0)["postfix/maps/aliases.cf"]
    for path in first:
        file = tmp_path / path
        if PASSWORD in file.read_text():
            assert stat.S_IMODE(file.stat().st_mode) & 0o027 == 0, path
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_each_release_of_dovecot_has_its_own_files(tmp_path: Path) -> None:
    dict(files.write(configuration(tmp_path, dovecot="2.4")))
    dovecot, sql = tmp_path / "dovecot/dovecot.conf", tmp_path / "dovecot/sql.conf"
    settings = [line for line in dovecot.read_text().splitlines() if not line.startswith("#")]
    assert settings[0] == "dovecot_config_version = 2.4.1"
    # What 2.4 silently takes as it stands, or ignores.
    assert "%Lu" not in dovecot.read_text() + sql.read_text()
    assert "quota_rule" not in sql.read_text()
    # Its processes can all read its configuration; the password is where only one of them looks.
    assert PASSWORD not in dovecot.read_text() + sql.read_text()
    pgpass = tmp_path / "dovecot/pgpass"
    assert pgpass.read_text() == f"*:*:*:mpanel_mail:{PASSWORD}\n"
    if os.getuid() == 0 and Path("/usr/sbin/dovecot").exists():
        assert pgpass.owner() == "dovecot"
    dict(files.write(configuration(tmp_path, dovecot="2.3")))
    assert "dovecot_config_version" not in dovecot.read_text()
    assert PASSWORD in sql.read_text()
    assert not pgpass.exists()


def test_production_listens_where_mail_is_expected(tmp_path: Path) -> None:
    whole = configuration(tmp_path, policy="127.0.0.1:10031", signer="127.0.0.1:10025",
                          next_hop="127.0.0.1:10026")  # fmt: skip
    master = files.render(whole, "postfix/master.cf")
    for line in ("25 inet", "587 inet", "465 inet", "127.0.0.1:10026 inet"):
        assert f"\n{line} " in master
    # Only what was submitted is signed and counted.
    smtp, submission = master.split("\n587 inet")[0], master.split("\n587 inet")[1]
    assert "content_filter" not in smtp
    assert "content_filter=mpanel-sign:[127.0.0.1]:10025" in submission
    main = files.render(whole, "postfix/main.cf")
    assert "check_policy_service { inet:127.0.0.1:10031" in main
    assert "default_transport" not in main
    dovecot = files.render(whole, "dovecot/dovecot.conf")
    assert "doveadm_api_key" not in dovecot
    remote = configuration(
        tmp_path, admin_url="https://mail.example.test:8443", admin_key="a-key-of-sixteen-signs"
    )
    assert "port = 8443\n    ssl = yes" in files.render(remote, "dovecot/dovecot.conf")
    # 2.4 takes a list for words, and these commands have two.
    newer = files.render(replace(remote, dovecot="2.4", sieve_port=4190), "dovecot/dovecot.conf")
    assert '  "sieve put" = yes\n' in newer
    assert "listen = *\n    port = 8443\n    ssl = yes" in newer


def test_mail_from_outside_passes_the_filters_that_were_chosen(tmp_path: Path) -> None:
    plain = configuration(tmp_path)
    for name in ("main.cf", "master.cf"):
        assert "inbound_milters" not in files.render(plain, f"postfix/{name}")
    own = replace(plain, milters=("inet:127.0.0.1:11332",))
    main = files.render(own, "postfix/main.cf")
    assert "milters = { inet:127.0.0.1:11332, default_action=tempfail }\n" in main
    both = replace(own, spam="rspamd", resolvers=("127.0.0.1:5353", "[::1]:53"))
    master = files.render(both, "postfix/master.cf")
    smtp, submission = master.split("\n587 inet")
    assert "-o smtpd_milters=$mpanel_inbound_milters" in smtp
    assert "inbound_milters" not in submission
    assert "tempfail }, { unix:/var/lib/mpanel-mail/rspamd/milter.sock, default_action" in (
        files.render(both, "postfix/main.cf")
    )
    rspamd = files.render(both, "rspamd/rspamd.conf")
    assert 'nameserver = ["127.0.0.1:5353", "[::1]:53"];' in rspamd
    assert "score = 8;" in rspamd
    refusing = files.render(replace(both, forged_own="refuse"), "rspamd/rspamd.conf")
    assert 'action = "reject";\n    message' in refusing
    dict(files.write(both))
    assert (tmp_path / "systemd/mpanel-rspamd.service").exists()
    dict(files.write(plain))
    assert not (tmp_path / "rspamd/rspamd.conf").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "mail.example.test\nmynetworks = 0.0.0.0/0"},
        {"host": "mail example"},
        {"server": "x' OR 'a'='a"},
        {"folder": Path("etc/mpanel")},
        {"vmail": Path("/var/vmail dir")},
        {"vmail": Path("/var/%d")},
        {"run": Path("/run/../etc")},
        {"certificate": Path('/etc/"quoted"')},
        {"listen": ("127.0.0.1:25",)},
        {"listen": ("fe80::1%eth0",)},
        {"smtp_port": 0},
        {"imaps_port": 70_000},
        {"policy": "policy.example.test:10031"},
        {"policy": "127.0.0.1:10031, reject"},
        {"policy_fails": "perhaps"},
        {"signer": "127.0.0.1:10025"},
        {"admin_url": "http://127.0.0.1:8080"},
        {"admin_url": "http://127.0.0.1:8080", "admin_key": "short"},
        {"admin_url": "ftp://127.0.0.1:8080", "admin_key": "a-key-of-sixteen-signs"},
        {"message_size": 0},
        {"postmaster": "x' OR 'a'='a@example.test"},
        {"spam": "spamassassin"},
        {"spam": "rspamd", "forged_own": "perhaps"},
        {"spam": "rspamd", "resolvers": ('127.0.0.1:53"];',)},
        {"milters": ("unix:/run/x, inet:evil.test:1",)},
        {"dovecot": "2.5"},
    ],
)
def test_what_does_not_belong_into_a_configuration(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        configuration(tmp_path, **changes)


@given(st.text(min_size=1).filter(lambda text: not text.isascii() or not text.isalnum()))
def test_no_name_or_password_breaks_out_of_its_line(text: str) -> None:
    for field in ("name", "user", "password", "host"):
        values: dict[str, Any] = {
            "host": "127.0.0.1", "port": 5432, "name": "mpanel", "user": "mail",
            "password": PASSWORD,
        }  # fmt: skip
        try:
            database = Database(**values | {field: text})
        except Invalid:
            continue
        assert not set(getattr(database, field)) & set("\r\n\t '\"\\$%{}#;=,")


def test_sqlite_is_told_what_to_do(db: None, tmp_path: Path) -> None:
    if connection.vendor != "sqlite":
        with pytest.raises(CommandError, match="Give the role's password"):
            configure(tmp_path)
        return
    for arguments in (["role", "--make-password"], [*CONFIGURE, f"--dir={tmp_path}"]):
        with pytest.raises(CommandError, match="DATABASE_URL"):
            manage(*arguments)


CONFIGURE = ("configure", "--certificate=/etc/c.pem", "--private-key=/etc/k.pem", "--files-only",
             "--dovecot=2.3")  # fmt: skip


def configure(folder: Path, *arguments: str, password: str = "") -> str:
    reading = ["--password-stdin"] if password else []
    return manage(*CONFIGURE, f"--dir={folder}", *reading, *arguments, given=password)


@pytest.mark.mailserver
@pytest.mark.django_db
def test_the_password_stays_when_none_is_given(tmp_path: Path) -> None:
    assert "wrote" in configure(tmp_path, password=PASSWORD)
    assert configure(tmp_path) == "Nothing has changed.\n"
    assert PASSWORD in (tmp_path / "dovecot/sql.conf").read_text()
    assert "wrote" in configure(tmp_path, "--dovecot=2.4")
    assert PASSWORD in (tmp_path / "dovecot/pgpass").read_text()
    with pytest.raises(CommandError, match="no mail server of this name"):
        configure(tmp_path, "--server=nowhere")


# --- The role -------------------------------------------------------------------------------------


@pytest.mark.mailserver
@pytest.mark.django_db(transaction=True)
def test_the_role_reads_the_views_and_nothing_else(ada: Person) -> None:
    mailbox = inbox(ada, "ada@ada.test")
    hidden = inbox(ada, "bo@ada.test")
    Mailbox.objects.filter(pk=hidden.pk).update(status=Mailbox.SUSPENDED)
    name = f"reader_{connection.settings_dict['NAME']}"[:63]
    assert manage("role", f"--name={name}", "--make-password").strip().isalnum()
    try:
        manage("role", f"--name={name}")  # once more, with the password that it has
        address, _, database = test_database_url().partition("@")[2].rpartition("/")
        url = f"postgres://{name}:{PASSWORD}@{address}/{database}"
        with psycopg.connect(url, autocommit=True) as reader:
            for view in VIEWS:
                reader.execute(f"TABLE {view}")
            found = reader.execute("SELECT email FROM mail_login").fetchall()
            assert found == [(mailbox.address,)]
            with connection.cursor() as cursor:
                tables = connection.introspection.table_names(cursor)
            for table in tables:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(f'TABLE "{table}"')
            reader.execute("SET default_transaction_read_only = off")
            for statement in (
                "UPDATE mailboxes_mailbox SET status = 'active'",
                "CREATE TABLE mine (id int)",
                "COPY mail_login TO PROGRAM 'cat'",
                "CREATE ROLE another",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(statement)
            # The view's own conditions come first, so that no error tells what they hide.
            shown = reader.execute("EXPLAIN SELECT FROM mail_login WHERE password::int = 1")
            assert "Subquery Scan" in str(shown.fetchall())
        # A migration that makes a view anew takes the grants away; after it they are given again.
        with connection.cursor() as cursor:
            cursor.execute(f'REVOKE ALL ON mail_login FROM "{name}"')
        grant_views_again([name, "nobody_of_this_name"])
        with psycopg.connect(url) as reader:
            reader.execute("SELECT * FROM mail_login")
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER ROLE "{name}" CREATEDB')
        with pytest.raises(CommandError, match="may do more"):
            manage("role", f"--name={name}")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


# --- Rows of servers ------------------------------------------------------------------------------

NEW = ("--host=mail.eu.example.test", "--region=eu", "--region-label=Europe",
       "--spf-name=_spf.eu.example.test")  # fmt: skip


def test_servers_are_added_changed_and_listed(db: None) -> None:
    key = "a-key-of-sixteen-signs"
    said = manage(
        *("add", "eu-1", *NEW, "--addresses", "192.0.2.7", "2001:db8::7"),
        *("--admin-url=https://mail.eu.example.test:8443", "--admin-key-stdin"),
        given=key,
    )
    assert said == "Added eu-1, Europe.\n"
    server = MailServer.objects.get(slug="eu-1")
    assert (server.mx_host, server.label) == ("mail.eu.example.test", "Europe")
    assert (server.admin_key(), server.addresses) == (key, ["192.0.2.7", "2001:db8::7"])
    assert key not in server.sealed_admin_key
    assert manage("change", "eu-1", "--closed", "--imaps-port=1993") == (
        "Changed imaps_port, is_open.\n"
    )
    assert manage("change", "eu-1", "--closed") == "Nothing has changed.\n"
    assert "eu-1: mail.eu.example.test (mailserver), Europe, 0 domains, closed" in manage("list")
    assert MailServer.objects.get(slug="eu-1").admin_key() == key


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "house", *NEW),
        ("add", "eu 1", *NEW),
        ("add", "eu-1", *NEW, "--mx-host=not a host"),
        ("add", "eu-1", *NEW, "--addresses", "mail.example.test"),
        ("add", "eu-1", *NEW, "--submission-port=0"),
        ("add", "eu-1", *NEW, "--admin-url=http://mail.eu.example.test:8080"),
        ("change", "eu-1", "--closed"),
        ("change", "house", "--closed"),
    ],
)
def test_servers_that_cannot_be(db: None, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        manage(*arguments)
    assert not MailServer.objects.exclude(slug="house").exists()


# --- Purging --------------------------------------------------------------------------------------


def home_of(vmail: Path, mailbox_id: UUID) -> Path:
    home = vmail / folder_of(mailbox_id)
    (home / "Maildir/cur").mkdir(parents=True)
    (home / "Maildir/cur/1").write_text("mail")
    return home


def deleted(person: Person, address: str, *, days: int, **columns: Any) -> Mailbox:
    ago = timezone.now() - timedelta(days=days)
    return inbox(person, address, status=Mailbox.DELETED, deleted_at=ago, **columns)


def test_mail_goes_when_its_time_has_come(ada: Person, tmp_path: Path) -> None:
    old, recent = deleted(ada, "old@ada.test", days=31), deleted(ada, "new@ada.test", days=29)
    live, empty = inbox(ada, "ada@ada.test"), deleted(ada, "empty@ada.test", days=31)
    homes = {mailbox.pk: home_of(tmp_path, mailbox.pk) for mailbox in (old, recent, live)}
    assert manage("purge", f"--dir={tmp_path}", "--server=elsewhere") == (
        "There is nothing to remove.\n"
    )
    said = manage("purge", f"--dir={tmp_path}")
    assert sorted(said.splitlines()) == [f"removed the mail of {m}" for m in (empty, old)]
    assert not homes[old.pk].exists()
    assert (homes[recent.pk] / "Maildir/cur/1").exists()
    assert (homes[live.pk] / "Maildir/cur/1").exists()
    old.refresh_from_db()
    assert old.mail_purged_at is not None
    assert manage("purge", f"--dir={tmp_path}") == "There is nothing to remove.\n"


def test_mail_of_a_domain_that_was_removed_waits_as_long(ada: Person, tmp_path: Path) -> None:
    orphan = new_id()
    home = home_of(tmp_path, orphan)
    (tmp_path / "lost+found").mkdir()
    (home.parent / "not-an-id").mkdir()
    now = timezone.now()
    assert purge.purge(tmp_path, server="house", now=now).waiting == 1
    assert purge.purge(tmp_path, server="house", now=now + timedelta(days=29)).waiting == 1
    assert home.exists()
    done = purge.purge(tmp_path, server="house", now=now + timedelta(days=31))
    assert done.orphans == [str(orphan)]
    assert not home.exists()
    assert (home.parent / "not-an-id").exists()


def test_a_mailbox_that_is_back_is_not_counted_down(ada: Person, tmp_path: Path) -> None:
    mailbox = inbox(ada, "ada@ada.test")
    home = home_of(tmp_path, mailbox.pk)
    (home / MARK).touch()
    os.utime(home / MARK, (0, 0))
    assert purge.purge(tmp_path, server="house").orphans == []
    assert not (home / MARK).exists()
    assert (home / "Maildir/cur/1").exists()


def test_no_link_leads_out_of_the_mail_folder(ada: Person, tmp_path: Path) -> None:
    outside, vmail = tmp_path / "outside", tmp_path / "vmail"
    outside.mkdir()
    vmail.mkdir()
    by_home, by_shard, inside = (
        deleted(
            ada, f"{name}@ada.test", days=31, id=UUID(f"01a1ff48-44d0-7b11-989e-5166c02160{name}")
        )
        for name in ("aa", "bb", "cc")
    )
    treasure = home_of(outside, by_shard.pk)
    (vmail / "aa").mkdir()
    (vmail / "aa" / str(by_home.pk)).symlink_to(treasure)
    (vmail / "bb").symlink_to(treasure.parent)
    (home_of(vmail, inside.pk) / "Maildir/cur/link").symlink_to(treasure)
    with pytest.raises(CommandError, match="Not removed"):
        manage("purge", f"--dir={vmail}")
    assert (treasure / "Maildir/cur/1").exists()
    assert not (vmail / "cc" / str(inside.pk)).exists()
    by_home.refresh_from_db()
    assert by_home.mail_purged_at is None
    link = tmp_path / "link"
    link.symlink_to(vmail)
    with pytest.raises(CommandError, match="link"):
        manage("purge", f"--dir={link}")
    with pytest.raises(CommandError, match="nowhere"):
        manage("purge", f"--dir={tmp_path / 'nowhere'}")
