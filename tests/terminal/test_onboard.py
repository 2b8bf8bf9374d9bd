"""The main job in the terminal, and its outcome seen by other people's programs."""

import csv
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.panels import RunningPanel
from tests.sandboxes import NAMESERVERS, wait_until


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPanel]:
    with RunningPanel(tmp_path_factory.mktemp("panel")) as running:
        yield running


@pytest.fixture(scope="module")
def credentials(panel: RunningPanel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV of a domain that was onboarded, stopped half-way, and resumed."""
    file = tmp_path_factory.mktemp("csv") / "inboxes.csv"
    command = ("onboard", "HTTPS://Terminal.test/", "--inboxes=50", f"--csv={file}")
    # Nobody points the nameservers here, so it is stopped while it waits for them.
    panel.sandbox.set_auto_delegate(None)
    first = panel.popen(*command)
    made = ("cloudflare", "POST", "/zones")
    wait_until(lambda: panel.sandbox.request_count(*made) == 1)
    assert first.stdout is not None
    # A program that reads the output sees each line as it is written.
    told = next(line for line in first.stdout if NAMESERVERS_SHOWN in line)
    first.send_signal(signal.SIGINT)
    rest = first.communicate(timeout=600)[0]
    assert first.returncode != 0
    assert "Stopped. What runs goes on" in rest
    assert "Traceback" not in told + rest
    panel.sandbox.set_nameservers("terminal.test")
    done = panel.manage(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"50 verified inboxes: {file}" in done.stdout
    assert "Nameservers 100 %: They point here." in done.stdout.splitlines()
    assert "create TXT mpanel._domainkey.terminal.test" in done.stdout
    return file


NAMESERVERS_SHOWN = "Set these nameservers for terminal.test"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_writes_the_credentials_of_every_inbox_once(panel: RunningPanel, credentials: Path) -> None:
    found = rows(credentials)
    assert len({row["email"] for row in found}) == 50
    assert len({row["password"] for row in found}) == 50
    assert credentials.stat().st_mode & 0o077 == 0
    assert panel.sandbox.request_count("cloudflare", "POST", "/zones") == 1


def test_a_second_run_finds_everything_done(panel: RunningPanel, credentials: Path) -> None:
    before = credentials.read_text()
    again = panel.manage("onboard", "terminal.test", "--inboxes=50", f"--csv={credentials}")
    assert again.returncode == 0
    assert credentials.read_text() == before


def test_a_mail_client_sends_with_any_line(panel: RunningPanel, credentials: Path) -> None:
    first, *_, last = rows(credentials)
    sent = swaks(first, first["password"], sender=first["email"], to=last["email"])
    assert sent.returncode == 0, sent.stdout


def test_a_mail_client_is_refused_with_a_wrong_password(
    panel: RunningPanel, credentials: Path
) -> None:
    row = rows(credentials)[0]
    refused = swaks(row, "wrong", sender=row["email"], to=row["email"])
    assert refused.returncode != 0
    assert "535 5.7.8" in refused.stdout


def test_a_mail_client_is_refused_with_another_sender(
    panel: RunningPanel, credentials: Path
) -> None:
    row, other, *_ = rows(credentials)
    refused = swaks(row, row["password"], sender=other["email"], to=row["email"])
    assert refused.returncode != 0
    assert "553 5.7.1" in refused.stdout


def test_dig_shows_exactly_the_planned_records(panel: RunningPanel, credentials: Path) -> None:
    zone = "terminal.test"
    shown = {
        (name, kind): dig(panel, f"{name}.{zone}" if name else zone, kind)
        for name, kind in (("", "MX"), ("", "TXT"), ("mpanel._domainkey", "TXT"), ("_dmarc", "TXT"))
    }
    assert shown["", "MX"] == ["10 mx.mail-sandbox.test."]
    assert shown["", "TXT"] == ['"v=spf1 include:_spf.mail-sandbox.test ~all"']
    assert shown["_dmarc", "TXT"] == ['"v=DMARC1; p=none; rua=mailto:dmarc@terminal.test"']
    (key,) = shown["mpanel._domainkey", "TXT"]
    assert key.replace('" "', "").startswith('"v=DKIM1; k=rsa; p=MII')
    mail = [record for record in panel.sandbox.records(zone) if record["type"] in {"MX", "TXT"}]
    assert len(mail) == 4


def test_stops_with_a_sentence_where_it_cannot_go_on(panel: RunningPanel, tmp_path: Path) -> None:
    cases = {
        ("onboard", "test"): "test",
        ("onboard", "www.deep.terminal.test"): "terminal.test",
        ("onboard", "x.test", "--account=nobody@example.test"): "no account nobody@example.test",
        ("onboard", "big.test", "--inboxes=900", f"--csv={tmp_path / 'x.csv'}"): "allows 500",
        ("onboard", "x.test", f"--csv={tmp_path / 'missing' / 'x.csv'}"): "not there",
    }
    for command, sentence in cases.items():
        stopped = panel.manage(*command)
        assert stopped.returncode != 0, command
        assert sentence in stopped.stderr, (command, stopped.stderr)
        assert "Traceback" not in stopped.stderr


def test_inboxes_is_how_many_there_are_in_the_end(panel: RunningPanel, credentials: Path) -> None:
    before = rows(credentials)
    more = panel.manage("onboard", "terminal.test", "--inboxes=52", f"--csv={credentials}")
    assert more.returncode == 0, more.stderr
    assert "terminal.test has 50 inboxes; 2 more are made." in more.stdout
    assert f"2 verified inboxes, beside the 50 from before: {credentials}" in more.stdout
    after = rows(credentials)
    assert after[:50] == before
    assert len({row["email"] for row in after}) == len(after) == 52
    fewer = panel.manage("onboard", "terminal.test", "--inboxes=10", f"--csv={credentials}")
    assert fewer.returncode == 0, fewer.stderr
    assert "has 52 inboxes; 10 are wanted, so none is made." in fewer.stdout
    assert rows(credentials) == after


def test_says_so_when_nothing_runs(panel: RunningPanel, tmp_path: Path) -> None:
    environment = {**panel.environment, "MPANEL_VAR_DIR": str(tmp_path)}
    (tmp_path / "env").write_text((panel.state / "env").read_text())
    alone = RunningPanel(tmp_path)
    alone.environment = environment
    assert alone.manage("migrate", "--verbosity=0").returncode == 0
    assert alone.manage("demo").returncode == 0
    stopped = alone.manage("onboard", "example.test")
    assert stopped.returncode != 0
    assert "make run" in stopped.stderr


def swaks(
    row: dict[str, str], password: str, *, sender: str, to: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "swaks",
            f"--server={row['smtp_host']}:{row['smtp_port']}",
            "--tls",
            f"--auth-user={row['username']}",
            f"--auth-password={password}",
            f"--from={sender}",
            f"--to={to}",
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def dig(panel: RunningPanel, name: str, kind: str) -> list[str]:
    port = panel.port + 2
    asked = ["dig", f"@{NAMESERVERS[0]}", "-p", str(port), name, kind, "+short"]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=600, check=True)
    return answer.stdout.splitlines()
