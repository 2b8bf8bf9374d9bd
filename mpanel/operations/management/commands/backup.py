"""`manage.py backup`: the database, the mail, and apart from both the key ring."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mpanel.core.errors import MPanelError
from mpanel.operations.backups import making


class Command(BaseCommand):
    help = "Back up the database and the mail. A backup appears whole or not at all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", type=Path, required=True, help="/var/backups/mpanel")
        parser.add_argument("--mail", type=Path, help="where mail lies, if here: /var/vmail")
        parser.add_argument("--keys-to", type=Path, help="a folder elsewhere, for the key ring")
        parser.add_argument("--keep", type=int, default=0, help="remove all but so many; 0: none")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["keys_to"]:
                making.refuse_keys_within(options["keys_to"], options["to"])
            made = making.make(options["to"], mail=options["mail"], keep=options["keep"])
            if options["keys_to"]:
                self.stdout.write(f"Keys: {making.write_keys(options['keys_to'], made)}")
        except MPanelError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'The backup'}: {error.strerror}") from error
        if not options["keys_to"]:
            self.stderr.write("The key ring is not in it. Without it, no secret can be read.")
        self.stdout.write(str(made))
