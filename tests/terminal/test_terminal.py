"""What the terminal says: names whole, lines for programs, bad options by name, a clean stop."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from mpanel.core import queues
from provisioning.models import Heartbeat
from tests.cast import Person
from wizard.onboarding import Progress
from wizard.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
LONG = f"mpanel._domainkey.{'a' * 60}.example.test"
STEPS = ("Nameservers", "Inboxes")


def said(terminal: Terminal) -> None:
    terminal.tell(Progress("Nameservers", 10, f"Found at {LONG}: other.nameserver.test"))
    terminal.say_record(f"create TXT {LONG}", "v=DKIM1; [k=rsa]; p=" + "A" * 300)
    terminal.tell(Progress("Inboxes", 50, "1 of 2 inboxes verified"))
    terminal.tell(Progress("Inboxes", 50, "1 of 2 inboxes verified"))
    terminal.tell(Progress("Inboxes", 100, "2 of 2 inboxes verified"))


def test_names_are_whole_at_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = os.openpty()
    with os.fdopen(writer, "w") as screen, Terminal(STEPS, file=screen) as terminal:
        said(terminal)
    pieces = []
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(reader, 65_536):
            pieces.append(piece)  # a terminal gives 4 kB at once
    os.close(reader)
    shown = b"".join(pieces).decode()
    lines = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines() if line]
    assert f"  create TXT {LONG}" in lines
    assert f"Nameservers: Found at {LONG}: other.nameserver.test" in lines
    assert any(line.strip().startswith("v=DKIM1; [k=rsa]; p=") for line in lines)
    bars = [line for line in lines if "━" in line]
    assert bars
    assert all(len(line.rstrip()) <= 80 for line in bars)
    assert any("2 of 2 inboxes verified" in line for line in bars)


def test_a_program_reads_one_line_for_each_thing_that_moved() -> None:
    pipe = io.StringIO()
    with Terminal(STEPS, file=pipe) as terminal:
        said(terminal)
    lines = pipe.getvalue().splitlines()
    assert lines[0] == f"Nameservers 10 %: Found at {LONG}: other.nameserver.test"
    assert lines[3:] == [
        "Inboxes 50 %: 1 of 2 inboxes verified",
        "Inboxes 100 %: 2 of 2 inboxes verified",
    ]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--inboxes=0", "from 1 to 1,000"),
        ("--inboxes=1001", "from 1 to 1,000"),
        ("--inboxes=many", "“many”"),
        ("--naming=nickname", "invalid choice"),
        ("--registrar=nobody", "invalid choice"),
        ("--dmarc=strict", "invalid choice"),
        ("--timeout=-1", "above 0"),
        ("--timeout=nan", "above 0"),
        ("--account=nobody", "--account nobody"),
        ("--account=nobody@example.test", "no account"),
        ("--csv=/nowhere/x.csv", "not there"),
        ("--csv=/tmp", "no file"),
        ("--csv=manage.py", "something else"),
    ],
)
def test_a_bad_option_is_named(ada: Person, option: str, why: str) -> None:
    account = [] if "account" in option else [f"--account={ada.user.email}"]
    with pytest.raises(CommandError) as refused:
        call_command("onboard", "x.test", *account, option)
    assert option.partition("=")[0] in str(refused.value)
    assert why in str(refused.value)


def test_more_than_the_plan_allows_names_the_option(ada: Person) -> None:
    Heartbeat.beat("clock")
    for queue in queues.ALL:
        Heartbeat.beat(f"host:1:abc:{queue}", queue=queue)
    with pytest.raises(CommandError, match="--inboxes 900: Your plan"):
        call_command("onboard", "x.test", f"--account={ada.user.email}", "--inboxes=900")


def test_ctrl_c_ends_every_command_without_a_traceback() -> None:
    """Whatever runs when it is pressed, also while Django starts."""
    program = (
        "import django.core.management, manage\n"
        "def pressed(argv): raise KeyboardInterrupt\n"
        "django.core.management.execute_from_command_line = pressed\n"
        "manage.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "\n")
