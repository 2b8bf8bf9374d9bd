"""`manage.py restore`: put a backup back, and show that it works."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mpanel.core.errors import MPanelError
from mpanel.operations.backups import Unverified, restoring


class Command(BaseCommand):
    help = "Restore a backup and verify it. Stop mPanel's processes first."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("backup", type=Path, nargs="?", help="its folder")
        what.add_argument("--verify", action="store_true", help="only check what is here now")
        parser.add_argument("--mail", type=Path, help="an empty folder for the mail: /var/vmail")
        parser.add_argument("--replace", action="store_true", help="remove what the database has")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for line in (
                restoring.verify()
                if options["verify"]
                else restoring.restore(
                    options["backup"], mail=options["mail"], replace=options["replace"]
                )
            ):
                self.stdout.write(line)
        except Unverified as error:
            raise CommandError(f"Not as it was:\n{error}") from error
        except MPanelError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'The backup'}: {error.strerror}") from error
