"""docs/installing.md, run as it stands there, by a shell, on a database server of its own.

What belongs to the machine (packages, users, systemd, nginx, certificates) is left out by shell
functions, and folders lie below the test's. All else is the page's own lines.
"""

import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.postgresql import PrivatePostgreSQL
from tests.signers import free_port

pytestmark = pytest.mark.postgresql

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
OF_THE_MACHINE = """
apt-get() { :; }; adduser() { :; }; systemctl() { :; }; certbot() { :; }; chown() { :; }
runuser() { shift 3; "$@"; }
install() {
    for last in "$@"; do :; done
    case "$*" in *" -d "*|"-d "*) mkdir -p "$last";; *) : > "$last"; chmod 640 "$last";; esac
}
"""


@pytest.fixture(scope="module")
def database() -> Iterator[PrivatePostgreSQL]:
    with PrivatePostgreSQL() as server:
        yield server


def page(root: Path, database: PrivatePostgreSQL, port: int) -> list[str]:
    """The page's blocks, with the folders and the database of this test."""
    url = urlsplit(database.url)
    folders = (
        *("/etc/", "/var/backups", "/root/mpanel-keys"),
        *("/var/lib/powerdns", "/var/lib/mpanel-static"),
    )
    changes = [(folder, f"{root}{folder}") for folder in folders] + [
        (".venv/bin/python", sys.executable),
        (".venv/bin/pip install", ": pip"),
        ("python3 -m venv .venv", ":"),
        ("/opt/mpanel", str(ROOT)),
        ("127.0.0.1:5432", f"{url.hostname}:{url.port}"),
        ("127.0.0.1:8000", f"127.0.0.1:{port}"),
        ("healthcheck web", f"healthcheck web --port {port}"),
        # The machine's own mail folders stay as they are.
        ("mailserver configure", "mailserver configure --files-only --dovecot 2.4"),
    ]
    text = (ROOT / "docs" / "installing.md").read_text()
    for old, new in changes:
        text = text.replace(old, new)
    return BLOCK.findall(text)


def shell(script: str, database: PrivatePostgreSQL, root: Path) -> None:
    url = urlsplit(database.url)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(root),
        "PGHOST": str(url.hostname),
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
    }
    done = subprocess.run(
        ["bash", "-euc", "set -o pipefail\n" + script],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_makes_a_panel_that_answers(database: PrivatePostgreSQL, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in (
        *("etc/systemd/system", "etc/nginx/sites-available", "etc/nginx/sites-enabled"),
        *("etc/letsencrypt/renewal-hooks/deploy", "var"),
    ):
        (tmp_path / folder).mkdir(parents=True)
    port = free_port()
    blocks = page(tmp_path, database, port)
    assert len(blocks) == 10
    *steps, last = blocks
    names, dns = steps[0], steps.pop()  # PowerDNS is the last step but one
    mail = steps.pop()
    rotating = re.compile(r"^.*mailserver rotate.*$\n", re.MULTILINE)
    assert rotating.search(mail)  # tests/mailserver/test_rotation.py runs it
    shell(OF_THE_MACHINE + "".join(steps) + rotating.sub("", mail), database, tmp_path)

    written = {path.name for path in (tmp_path / "etc/mpanel-mail").rglob("*") if path.is_file()}
    assert {"dovecot.conf", "main.cf", "mpanel-postfix.service"} <= written
    unit = ConfigParser(interpolation=None)
    unit.read(tmp_path / "etc/systemd/system/mpanel-web.service")
    command = shlex.split(unit["Service"]["ExecStart"].replace(":8000", f":{port}"))
    environment = {
        "PATH": "/usr/bin:/bin",
        "MPANEL_ENV_FILE": str(tmp_path / "etc/mpanel/env"),
        "MPANEL_VAR_DIR": str(tmp_path / "var"),
    }
    with subprocess.Popen(command, cwd=unit["Service"]["WorkingDirectory"], env=environment) as web:
        try:
            wait_for(port, web)
            setup = f"export MPANEL_ENV_FILE={tmp_path}/etc/mpanel/env\n"
            shell(OF_THE_MACHINE + names + setup + last, database, tmp_path)
            style = re.search(r'href="(/static/mpanel/base\.[0-9a-f]{12}\.css)"', read(port).text)
            assert style, "style sheets bear their hash"
            assert "immutable" in read(port, style[1]).headers["Cache-Control"]
        finally:
            web.terminate()
    (backup,) = (tmp_path / "var/backups/mpanel").glob("mpanel-*")
    assert (backup / "manifest.json").exists()
    assert len(list((tmp_path / "root/mpanel-keys").iterdir())) == 1
    if Path("/usr/share/pdns-backend-sqlite3").exists() and shutil.which("sqlite3"):
        shell(OF_THE_MACHINE + dns, database, tmp_path)
        assert (tmp_path / "var/lib/powerdns/pdns.sqlite3").stat().st_size


def read(port: int, path: str = "/") -> httpx.Response:
    """What nginx gets."""
    headers = {"Host": "panel.example.com", "X-Forwarded-Proto": "https"}
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers).raise_for_status()


def wait_for(port: int, web: subprocess.Popen[bytes]) -> None:
    """Until it listens; a web process that ended fails the test."""
    while web.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"the web process ended with {web.returncode}")
