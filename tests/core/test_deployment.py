"""Units and containers: every process of the table, and in images nothing that must not be."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from typing import Any

import environ
import pytest
import yaml
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import CommandError

from mpanel.operations.processes import processes
from tests.signers import free_port

ROOT = Path(__file__).resolve().parents[2]
SOCKETS = "/run/mpanel-mail"  # the default of MAILSERVER_RUN_DIR


def written(folder: Path, *options: str) -> dict[str, configparser.ConfigParser]:
    """The units that the command writes, by name."""
    folder.mkdir(exist_ok=True)
    call_command("units", f"--dir={folder}", *options, stdout=StringIO())
    found = {}
    for path in folder.iterdir():
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read(path)
        found[path.name] = unit
    return found


def test_every_process_has_a_unit_that_runs_its_command(tmp_path: Path) -> None:
    units = written(tmp_path / "units", "--user=panel", "--env-file=/etc/panel/env")
    for process in processes():
        service = units[f"mpanel-{process.name}.service"]["Service"]
        program, *command = shlex.split(service["ExecStart"])
        assert program == sys.executable
        assert tuple(command[: len(process.command)]) == process.command
        assert (service["User"], service["Restart"]) == ("panel", "always")
        assert "MPANEL_ENV_FILE=/etc/panel/env" in service["Environment"]
    for name in ("backup", "rotate", "purge"):
        assert units[f"mpanel-{name}.timer"]["Timer"]["Persistent"] == "yes"
        assert units[f"mpanel-{name}.service"]["Service"]["Type"] == "oneshot"
    assert "--mail /var/vmail" in units["mpanel-backup.service"]["Service"]["ExecStart"]
    assert "--group panel" in units["mpanel-rotate.service"]["Service"]["ExecStart"]


def test_a_machine_has_the_units_of_what_runs_there(tmp_path: Path) -> None:
    panel = set(written(tmp_path / "panel", "--for=panel"))
    mail = set(written(tmp_path / "mail", "--for=mail-server"))
    assert "mpanel-web.service" in panel - mail
    assert "mpanel-mailsigner.service" in mail - panel
    assert "mpanel-rotate.timer" in mail - panel
    said = StringIO()
    call_command("units", f"--dir={tmp_path / 'mail'}", "--for=mail-server", stdout=said)
    assert said.getvalue() == "Nothing has changed.\n"


def test_rspamd_hears_of_the_customers_domains_where_it_is_configured(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    name, option = "mpanel-maildomains.service", f"--mail-dir={mail}"
    assert name not in written(tmp_path / "without", option)
    (mail / "rspamd").mkdir(parents=True)
    (mail / "rspamd/rspamd.conf").touch()
    assert name not in written(tmp_path / "panel", option, "--for=panel")
    service = written(tmp_path / "with", option)[name]["Service"]
    command = f"{sys.executable} manage.py mailserver domains --dir {mail} --follow"
    assert (service["ExecStart"], service["User"]) == (command, "root")
    assert (service["ProtectSystem"], service["ReadWritePaths"]) == ("strict", f"{mail}/rspamd")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_reads_the_units(tmp_path: Path) -> None:
    written(tmp_path / "units", "--user=root")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted((tmp_path / "units").iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Unknown key" not in done.stderr
    assert "Failed to parse" not in done.stderr


def parts() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found["services"]


def test_compose_starts_every_process_and_looks_after_it() -> None:
    for process in processes():
        part = parts()[process.name]
        if process.name != "web":  # the image's own command
            assert part["command"] == f"python {' '.join(process.command)}"
        assert part["healthcheck"]["test"][-2:] == ["healthcheck", process.name]
        assert part["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
        assert part["environment"]["PGPASSWORD"] == "${POSTGRES_PASSWORD}"
        for setting in process.settings:
            assert setting in part["environment"]


def test_the_policy_reaches_dovecots_sockets_from_its_container() -> None:
    assert f"{SOCKETS}:{SOCKETS}" in parts()["mailpolicy"]["volumes"]


def test_the_worker_reaches_dovecots_interface_on_loopback() -> None:
    worker = parts()["worker"]
    assert worker["network_mode"] == "host"
    assert "@127.0.0.1:5432/" in worker["environment"]["DATABASE_URL"]


def test_the_web_units_processes_and_threads_are_those_of_its_configuration(tmp_path: Path) -> None:
    service = written(tmp_path / "units")["mpanel-web.service"]["Service"]
    assert "--workers" not in service["ExecStart"]
    assert "--threads" not in service["ExecStart"]


def test_a_password_of_the_database_may_have_any_characters() -> None:
    text = (ROOT / "compose.yaml").read_text()
    urls = {part["environment"].get("DATABASE_URL") for part in parts().values()} - {None}
    assert urls == {
        "postgres://mpanel@database:5432/mpanel",
        "postgres://mpanel@127.0.0.1:5432/mpanel",
    }
    for url in urls:
        assert not environ.Env.db_url_config(url)["PASSWORD"]
    assert not re.search(r"://[^\s]*\$\{POSTGRES_PASSWORD", text)


def test_what_is_published_is_published_to_this_machine_only() -> None:
    ports = [port for part in parts().values() for port in part.get("ports", [])]
    assert "127.0.0.1:5432:5432" in ports  # for the mail server
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize(
    "path",
    [".env", "deploy/.env", "db.sqlite3", "var/mpanel.sqlite3-wal", "var/env", "tests/cast.py",
     "ssl/mail.key", ".git/config", "benchmarks/x.py"],
)  # fmt: skip
def test_the_image_has_no_secrets_databases_or_tests(path: str) -> None:
    assert is_left_out(path)


@pytest.mark.parametrize(
    "path",
    ["manage.py", "mpanel/settings.py", "pyproject.toml", "sandbox/apps.py",
     "mailservers/conf/postfix/main.cf"],
)  # fmt: skip
def test_the_image_has_what_it_runs(path: str) -> None:
    assert not is_left_out(path)


def is_left_out(path: str) -> bool:
    """As Docker reads .dockerignore, as far as ours goes: a pattern leaves out what is below it."""
    names = Path(path).parts
    for pattern in (ROOT / ".dockerignore").read_text().split():
        anywhere = pattern.startswith("**/")
        bare = pattern.removeprefix("**/")
        starts = range(len(names)) if anywhere else range(1)
        if any(fnmatch(names[start], bare) for start in starts):
            return True
    return False


def test_a_service_that_listens_is_healthy_and_one_that_does_not_is_not(
    settings: LazySettings,
) -> None:
    settings.MAILPOLICY_ADDRESS = f"0.0.0.0:{free_port()}"
    with pytest.raises(CommandError, match=r"mailpolicy does not work: .*refused"):
        call_command("healthcheck", "mailpolicy")


@pytest.mark.django_db
def test_a_clock_that_does_not_beat_is_not_healthy() -> None:
    with pytest.raises(CommandError, match="tick does not work: it is down"):
        call_command("healthcheck", "tick")
    call_command("healthcheck", "maillog")
