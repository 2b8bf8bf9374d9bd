"""The quick start of docs/api.md, run as it stands there, by a shell against `make run`'s panel."""

import csv
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.panels import RunningPanel
from tests.sandboxes import ROOT, wait_until

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPanel]:
    with RunningPanel(tmp_path_factory.mktemp("panel")) as running:
        yield running


def run(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_a_one_time_code_to_a_csv(panel: RunningPanel, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "api.md").read_text())
    setup, ask, *rest = [block.replace("http://localhost:8000", panel.url) for block in blocks]
    assert len(rest) == 8

    assert "expires_in" in run(setup + ask, tmp_path)
    wait_until(lambda: bool(panel.sandbox.mails(to="ada@example.com")))
    found = re.search(r"\b\d{6}\b", panel.sandbox.mails(to="ada@example.com")[0]["subject"])
    assert found
    told = run(setup + "".join(rest).replace("CODE=123456", f"CODE={found[0]}"), tmp_path)

    assert '"active": 5' in told.replace('":5', '": 5')
    with (tmp_path / "inboxes.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["email"]]
    assert len({row["password"] for row in rows}) == 5
    assert all(row["email"].endswith("@quick-start.test") for row in rows)
