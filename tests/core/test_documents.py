"""What the documents name exists: settings, commands with their options, files, decisions."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from scripts import draw_rooms

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "env.example",
    *sorted((ROOT / "docs").rglob("*.md")),
]
READ = re.compile(r'(?:env\.\w+|vendor)\(\s*"([A-Z][A-Z0-9_]*)"')


def test_every_setting_is_described_for_operators() -> None:
    page = (ROOT / "docs" / "operating.md").read_text() + (ROOT / "env.example").read_text()
    settings = READ.findall((ROOT / "mpanel" / "settings.py").read_text())
    assert len(settings) > 100
    assert [name for name in settings if not re.search(rf"\b{name}\b", page)] == []


def test_the_example_names_settings_that_exist() -> None:
    of_containers = {"POSTGRES_PASSWORD"}
    known = {*READ.findall((ROOT / "mpanel" / "settings.py").read_text()), *of_containers}
    named = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / "env.example").read_text(), re.MULTILINE)
    assert set(named) - known == set()


def calls(page: Path) -> Iterator[str]:
    """What stands behind `manage.py` in code: in blocks line by line, and between backticks."""
    text = page.read_text().replace("\\\n", " ")
    blocks = re.compile(r"^```\w*\n.*?^```|(?<=\n\n)(?: {4}.*\n)+", re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks.findall(text) for line in block.splitlines()]
    inline = re.findall(r"`([^`]+)`", blocks.sub("", text))
    for code in [*lines, *(" ".join(code.split()) for code in inline)]:
        for call in re.findall(r"manage\.py ([^|#>)`]+)", code):
            yield call.strip()


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_commands_take_what_the_page_gives_them(document: Path) -> None:
    for call in calls(document):
        name, *words = [word for word in shlex.split(call) if word not in {"...", "…"}]
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        parts = [parser]
        for action in parser._actions:
            chosen = [word for word in words if word in (action.choices or {})]
            if isinstance(action.choices, dict) and action.nargs == "A..." and chosen:
                parts.append(action.choices[chosen[0]])
        options = {option for part in parts for option in part._option_string_actions}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= options, call


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|http)([^)]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        found = (document.parent / path) if path else document
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in slugs, target


def test_every_decision_is_in_the_index_with_its_title_and_a_status() -> None:
    index = (DECISIONS / "README.md").read_text()
    rows = re.findall(
        r"^\| (?:\[(\d+)\]\(([^)]+)\)|(\d+)) \| (.+) \| (.+) \|$", index, re.MULTILINE
    )
    assert [int(row[0] or row[2]) for row in rows] == list(range(1, len(rows) + 1))
    listed = {row[1]: (row[0], row[3]) for row in rows if row[1]}
    found = {path.name for path in DECISIONS.glob("[0-9]*.md")}
    assert set(listed) == found
    for name, (number, title) in listed.items():
        assert name.startswith(f"{int(number):04}-")
        assert (DECISIONS / name).read_text().splitlines()[0] == f"# {number}. {title}"
    for *_, status in rows:
        assert status == "in force" or status.startswith("replaced by [")


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_files_of_the_code_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|html|toml))`", document.read_text())
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_the_picture_of_the_rooms_is_drawn_from_the_contracts() -> None:
    assert draw_rooms.TARGET.read_text() == draw_rooms.drawing()
