"""Build `static/mpanel/icons.svg`, one sprite of the icons that pages use.

    npm install lucide-static
    python scripts/build_icons.py node_modules/lucide-static

To add an icon, add its name (https://lucide.dev/icons/) to `NAMES` and run this again.
"""

import re
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "static" / "mpanel"

NAMES = """
activity alert-triangle arrow-down arrow-left arrow-right arrow-up at-sign ban bell calendar check
check-circle chevron-down chevron-left chevron-right chevron-up chevrons-up-down circle
circle-dashed circle-dot circle-help clock copy database download equal external-link eye eye-off
file-text filter globe inbox info key-round layout-dashboard link list-checks loader lock log-in
log-out mail mails menu minus moon more-horizontal network pause pencil play plus radio refresh-cw
rotate-ccw route search send server settings shield-check sparkles sun terminal trash-2 undo-2
upload user users wand-sparkles x x-circle zap
"""


def symbol(name: str, svg: str) -> str:
    """The shapes of one icon file as a `<symbol>`; stroke and fill come from `.icon` in the CSS."""
    shapes = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    if shapes is None:
        raise ValueError(f"{name} is not an icon file")
    content = re.sub(r"\s*\n\s*", "", shapes[1])
    return f'<symbol id="{name}" viewBox="0 0 24 24">{content}</symbol>'


def main(package: Path) -> None:
    """Write the sprite and the licence from the unpacked `lucide-static` package."""
    icons = package / "icons"
    symbols = [symbol(name, (icons / f"{name}.svg").read_text()) for name in NAMES.split()]
    TARGET.joinpath("icons.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"
    )
    licence = (package / "LICENSE").read_text()
    TARGET.joinpath("LICENSE-lucide.txt").write_text(licence)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
