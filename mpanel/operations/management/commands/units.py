"""`manage.py units`: write systemd's units for mPanel's processes."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mpanel.operations.processes import Place
from mpanel.operations.units import Layout, units

PLACES: dict[str, tuple[Place, ...]] = {
    "panel": ("panel",),
    "mail-server": ("mail server",),
    "both": ("panel", "mail server"),
}


class Command(BaseCommand):
    help = "Write systemd's units for the processes of this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--dir", type=Path, required=True, help="/etc/systemd/system")
        add("--for", choices=PLACES, default="both", dest="place", help="what runs here: both")
        add("--user", default="mpanel", help="who runs it: mpanel")
        add("--env-file", type=Path, default=Path("/etc/mpanel/env"), help="/etc/mpanel/env")
        add("--mail-dir", type=Path, default=Path("/etc/mpanel-mail"), help="as for configure")
        add("--vmail", type=Path, default=Path("/var/vmail"), help="/var/vmail")
        add("--backups", type=Path, default=Path("/var/backups/mpanel"), help="/var/backups/mpanel")

    def handle(self, *args: Any, **options: Any) -> None:
        layout = Layout(
            user=options["user"],
            env_file=options["env_file"],
            mail_dir=options["mail_dir"],
            vmail=options["vmail"],
            backups=options["backups"],
            places=PLACES[options["place"]],
        )
        folder: Path = options["dir"]
        changed = False
        try:
            for name, text in units(layout):
                path = folder / name
                if path.exists() and path.read_text() == text:
                    continue
                path.write_text(text)
                self.stdout.write(f"wrote {path}")
                changed = True
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        self.stdout.write("Run systemctl daemon-reload." if changed else "Nothing has changed.")
