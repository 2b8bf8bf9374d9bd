"""Backup, wipe, restore, verify: on the suite's own database, whichever it is."""

import json
import shutil
import stat
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from dnszones.dkim.keys import dkim_key
from dnszones.models import DkimKey, Zone
from events.relay import relay
from events.services import record
from mailboxes.models import Mailbox
from mailboxes.passwords import mail_hash
from mpanel.core.secrets import new_key
from mpanel.operations.backups import Unverified, manifest, restoring
from tests.cast import Person
from tests.mailserver.rooms import PASSWORD, inbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def box(ada: Person) -> Mailbox:
    """A mailbox whose domain signs, and a tenant with events."""
    box = inbox(ada, "ada@ada.test")
    box.set_password(PASSWORD)
    box.password_hash = mail_hash(PASSWORD, 4)
    box.save()
    zone = Zone.objects.create(domain=box.domain, provider="cloudflare", remote_id="ada.test")
    dkim_key(zone, "mpanel")
    record(ada.actor, "tenant.tried", ada.tenant, "Tried.")
    relay()
    return box


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def run(command: str, *arguments: object) -> str:
    said = StringIO()
    call_command(command, *map(str, arguments), stdout=said, stderr=said)
    return said.getvalue()


def back_up(backups: Path, *arguments: object) -> Path:
    return Path(run("backup", f"--to={backups}", *arguments).splitlines()[-1])


def wipe() -> None:
    """The database is as if it had just been made."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DROP SCHEMA public CASCADE")
            cursor.execute("CREATE SCHEMA public")
            return
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
        for kind, name in sorted(cursor.fetchall(), reverse=True):
            if kind in {"view", "table"}:
                cursor.execute(f'DROP {kind} "{name}"')
    connection.close()


def test_backup_wipe_restore_verify(box: Mailbox, backups: Path) -> None:
    made = back_up(backups)
    wipe()
    assert not connection.introspection.table_names()
    said = run("restore", made)
    assert Mailbox.objects.get().password() == box.password()
    for sentence in (
        "events: 1 chains of",
        "secrets: ",
        "DKIM: 1 keys sign, and their signatures verify",
        "logins: 1 passwords open, and 1 that were compared log in",
    ):
        assert sentence in said
    if connection.vendor == "postgresql":
        assert "mail server: the role mpanel_mail is not there" in said


def test_a_restore_replaces_only_when_it_is_told_to(box: Mailbox, backups: Path) -> None:
    made = back_up(backups)
    Mailbox.objects.update(address="changed@ada.test")
    with pytest.raises(CommandError, match=r"is not empty\. Give --replace"):
        run("restore", made)
    assert Mailbox.objects.get().address == "changed@ada.test"
    run("restore", made, "--replace")
    assert Mailbox.objects.get().address == "ada@ada.test"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda made: (made / "manifest.json").unlink(), "is no whole backup"),
        (lambda made: _cut(database_of(made)), "is not as it was written"),
        (lambda made: _turn_a_bit(database_of(made)), "is not as it was written"),
        (lambda made: database_of(made).unlink(), "is not as it was written"),
        (lambda made: _say(made, migrations=["mailboxes.9999_next"]), "which is newer"),
        (lambda made: _say(made, keys={"lost": "0"}), "ENCRYPTION_KEYS lacks lost"),
        (lambda made: _say(made, keys={"test": "0"}), "The key test is not the one"),
    ],
)
def test_what_is_damaged_or_does_not_fit_is_refused_before_anything_is_touched(
    ada: Person, backups: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    made = back_up(backups)
    damage(made)
    with pytest.raises(CommandError, match=sentence):
        run("restore", made, "--replace")
    ada.tenant.refresh_from_db()


def database_of(made: Path) -> Path:
    (found,) = made.glob("database.*")
    return found


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _say(made: Path, **values: object) -> None:
    path = made / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_backup_that_fails_or_is_killed_leaves_none(
    ada: Person, backups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = back_up(backups)
    shutil.copytree(first, backups / "mpanel-20200101-000000.partial")
    (backups / "mpanel-20200101-000000.partial" / "manifest.json").unlink()
    (tmp_path / "vmail").mkdir()
    with monkeypatch.context() as without_tar:
        without_tar.setenv("PATH", str(tmp_path))
        with pytest.raises(CommandError):
            back_up(backups, f"--mail={tmp_path / 'vmail'}")
    assert [path for path in backups.iterdir() if path.is_dir()] == [first]
    assert manifest.read(first)


def test_old_backups_are_removed_after_a_new_one_is_whole(ada: Person, backups: Path) -> None:
    first = back_up(backups)
    for number in range(3):
        shutil.copytree(first, backups / f"mpanel-2020010{number}-000000")
    last = back_up(backups, "--keep=2")
    kept = {path.name for path in backups.iterdir() if path.is_dir()}
    assert kept == {first.name, last.name}


def test_the_key_ring_is_kept_apart(ada: Person, backups: Path, tmp_path: Path) -> None:
    made = back_up(backups, f"--keys-to={tmp_path / 'safe'}")
    (keys,) = (tmp_path / "safe").iterdir()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert "ENCRYPTION_KEYS=test:" in keys.read_text()
    texts = [path.read_bytes() for path in made.iterdir()]
    assert not any(b"MDEyMzQ1Njc4OWFiY2RlZjAx" in text for text in texts)
    with pytest.raises(CommandError, match="Keep the keys apart"):
        back_up(backups, f"--keys-to={backups / 'keys'}")


def test_verifying_names_all_that_is_off(box: Mailbox, settings: LazySettings) -> None:
    run("restore", "--verify")
    Mailbox.objects.update(sealed_password=Mailbox.objects.get().sealed_password[:-8] + "AAAAAAA=")
    DkimKey.objects.update(public_value="v=DKIM1; k=rsa; p=")
    with pytest.raises(CommandError, match=r"(?s)DKIM key of ada.test.*password of ada@ada.test"):
        run("restore", "--verify")
    settings.ENCRYPTION_KEYS = [new_key()]
    with pytest.raises(Unverified, match=r"(?s)DKIM.*secrets: .*do not open"):
        list(restoring.verify())


@pytest.fixture
def vmail(box: Mailbox, tmp_path: Path) -> Path:
    """One mailbox's mail: two messages, and its own files."""
    vmail = tmp_path / "vmail"
    maildir = vmail / str(box.pk)[-2:] / str(box.pk) / "Maildir" / "cur"
    maildir.mkdir(parents=True)
    for name in ("1.a:2,S", "2.b:2,"):
        (maildir / name).write_text("Subject: Hi\r\n\r\nHello.\r\n")
    return vmail


def test_mail_comes_back_as_it_was(box: Mailbox, vmail: Path, backups: Path) -> None:
    made = back_up(backups, f"--mail={vmail}")
    assert (made / "mail.list").read_text() == f"2\t{str(box.pk)[-2:]}/{box.pk}\n"
    with pytest.raises(CommandError, match=r"is not empty\. Move it away"):
        run("restore", made, "--replace", f"--mail={vmail}")
    shutil.move(vmail, vmail.with_name("before"))
    said = run("restore", made, "--replace", f"--mail={vmail}")
    assert "Restored the mail of 1 mailboxes, 2 files." in said
    names = sorted(path.name for path in vmail.rglob("*") if path.is_file())
    assert names == ["1.a:2,S", "2.b:2,"]
