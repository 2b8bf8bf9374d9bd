"""The one table of processes, and what is written down about them."""

import re
import subprocess
import sys
from pathlib import Path

import yaml
from django.core.management import get_commands

from mpanel.operations.processes import processes

ROOT = Path(__file__).resolve().parents[2]


def test_every_process_is_a_command_that_exists() -> None:
    for process in processes():
        if process.command[0] == "manage.py":
            assert process.command[1] in get_commands(), process.name
        else:
            assert process.command == ("-m", "gunicorn", "mpanel.wsgi")


def test_compose_starts_every_process_of_the_panel_and_none_that_is_not_in_the_table() -> None:
    parts = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    of_panel = {process.name for process in processes("panel")}
    assert of_panel <= set(parts)
    commands = {process.name: f"python {' '.join(process.command)}" for process in processes()}
    for name, command in commands.items():
        if "command" in parts.get(name, {}):
            assert parts[name]["command"].startswith(command)
    assert set(parts) - {"database", "migrate"} <= set(commands)


def test_the_page_for_operators_lists_every_process() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    for process in processes():
        command = " ".join(process.command).removeprefix("-m ")
        assert re.search(rf"\| {process.name} \| `{re.escape(command)}` \|", page), process.name


def test_what_is_loaded_is_left_alone_by_the_garbage_collector() -> None:
    command = (
        "import gc\nfrom mpanel.startup import without_collecting\n"
        "with without_collecting():\n    assert not gc.isenabled()\n    import decimal\n"
        "assert gc.isenabled()\nassert gc.get_freeze_count() > 1000\n"
    )
    subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True)
