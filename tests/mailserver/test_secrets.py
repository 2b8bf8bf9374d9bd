"""Secrets in the mail server's files: each where as few processes as possible read it."""

import grp
import os
import pwd
import stat
from pathlib import Path

import pytest

from mailservers import files
from mailservers.configuration import DOVECOTS, Configuration, Database

PASSWORD, KEY = "a-password-of-the-tests", "a-key-for-tests-of-sessions"
POLICY_KEY, NONCE = "a-key-that-dovecot-shows", "a-nonce-of-password-hashes"
# By the release: who reads the database's password. What 2.4 configures, all its processes see.
PASSWORDS = {"2.3": "dovecot/sql.conf", "2.4": "dovecot/pgpass"}

PROGRAMS = ("/usr/sbin/dovecot", "/usr/sbin/postfix")  # with whose packages their users come
needs_root = pytest.mark.skipif(
    os.getuid() != 0 or not all(Path(program).exists() for program in PROGRAMS),
    reason="owners are root's to give",
)


def written(folder: Path, release: str) -> dict[str, Path]:
    configuration = Configuration(
        server="house",
        host="mail.test",
        folder=folder,
        certificate=Path("/etc/mail.pem"),
        private_key=Path("/etc/mail.key"),
        database=Database(
            host="127.0.0.1", port=5432, name="mpanel", user="mail", password=PASSWORD
        ),
        dovecot=release,
        admin_url="http://127.0.0.1:8480",
        admin_key=KEY,
        login_policy="127.0.0.1:10033",
        login_policy_key=POLICY_KEY,
        login_policy_nonce=NONCE,
        sieve_port=4190,
        postmaster="ops@mail.test",
        own_names=("mail.test",),
        spam="rspamd",
    )
    return {path: folder / path for path, _ in files.write(configuration)}


def holders(paths: dict[str, Path], secret: str) -> set[str]:
    return {name for name, path in paths.items() if secret in path.read_text()}


@pytest.mark.parametrize("release", DOVECOTS)
def test_each_secret_stands_where_it_is_needed_and_nowhere_else(
    tmp_path: Path, release: str
) -> None:
    paths = written(tmp_path, release)
    maps = {name for name in paths if name.startswith("postfix/maps/")}
    assert holders(paths, PASSWORD) == maps | {PASSWORDS[release]}
    for secret in (KEY, POLICY_KEY, NONCE):
        assert holders(paths, secret) == {"dovecot/dovecot.conf"}, secret


@needs_root
@pytest.mark.parametrize("release", DOVECOTS)
def test_files_with_secrets_are_read_by_their_server_only(tmp_path: Path, release: str) -> None:
    paths = written(tmp_path, release)
    root, postfix = "root:root:600", "root:postfix:640"
    wanted = {
        name: postfix if name.startswith("postfix/maps/") else root
        for name in paths
        if name.startswith("postfix/maps/") or name in {"dovecot/dovecot.conf", "dovecot/sql.conf"}
    }
    wanted |= {"dovecot/pgpass": "dovecot:root:600"} if "dovecot/pgpass" in paths else {}
    assert {name: _rights(paths[name]) for name in wanted} == wanted
    # Nobody else may change anything.
    for name, path in paths.items():
        assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0, name
    # One that somebody opened to others is written anew.
    for name in wanted:
        paths[name].chmod(0o644)
    assert written(tmp_path, release).keys() == paths.keys()
    assert {name: _rights(paths[name]) for name in wanted} == wanted


def _rights(path: Path) -> str:
    seen = path.stat()
    owner, group = pwd.getpwuid(seen.st_uid).pw_name, grp.getgrgid(seen.st_gid).gr_name
    return f"{owner}:{group}:{stat.S_IMODE(seen.st_mode):o}"
