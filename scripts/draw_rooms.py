"""Draw `docs/rooms.svg`, the rooms of mPanel, from the import contracts in `pyproject.toml`.

    python -m scripts.draw_rooms

Each row is a room that may import the rows below it. What a room is for is the first line of its
`apps.py`, or of its `__init__.py`.
"""

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "rooms.svg"
WIDTH, ROW, GAP, EDGE = 860, 44, 8, 16
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1c2430}.name{font-weight:600}"
    "rect{fill:#eef2f7;stroke:#c3cedb}.edge{stroke:#6b7b90;stroke-width:1.5;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#e6ebf2}rect{fill:#202a37;stroke:#3b4a5e}}"
)


def rooms() -> list[str]:
    """The layers of the contract "Imports go down only", the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")


def purpose(room: str) -> str:
    """One sentence about a room, out of its code. Raises `ValueError` where there is none."""
    folder = ROOT / room.replace(".", "/")
    for file in (folder / "apps.py", folder / "__init__.py"):
        if file.exists() and (said := ast.get_docstring(ast.parse(file.read_text()))):
            return said.splitlines()[0]
    raise ValueError(f"{room} does not say what it is for")


def drawing() -> str:
    """The picture as SVG."""
    parts, top = [], EDGE
    names = rooms()
    for number, name in enumerate(names):
        middle = top + ROW // 2 + 5
        parts += [
            f'<rect x="{EDGE}" y="{top}" width="{WIDTH - 2 * EDGE}" height="{ROW}" rx="6"/>',
            f'<text class="name" x="{EDGE + 14}" y="{middle}">{escape(name)}</text>',
            f'<text x="{EDGE + 170}" y="{middle}">{escape(purpose(name))}</text>',
        ]
        top += ROW
        if number < len(names) - 1:
            parts.append(f'<path class="edge" d="M{WIDTH // 2} {top}v{GAP}"/>')
        top += GAP
    height = top - GAP + EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<title>The rooms of mPanel; each imports those below it only</title>\n"
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    TARGET.write_text(drawing())
