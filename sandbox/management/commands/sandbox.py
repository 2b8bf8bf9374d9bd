"""`manage.py sandbox`: the sandbox on the ports and the database that the settings name."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandbox.google_workspace import make_service_account
from sandbox.logins import SQLITE_SCHEME
from sandbox.process import run
from sandbox.room import Options


class Command(BaseCommand):
    help = "Serve local stand-ins for every outside service until interrupted."
    # It reads two views and must come up before the rest is in order.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--auto-delegate",
            type=float,
            default=20.0,
            metavar="SECONDS",
            help="set a new domain's nameservers by itself after so many seconds",
        )
        parser.add_argument(
            "--no-auto-delegate", action="store_const", const=None, dest="auto_delegate"
        )
        parser.add_argument(
            "--mail-policy",
            default="",
            metavar="HOST:PORT",
            help="the service that is asked before a mailbox may send",
        )
        parser.add_argument(
            "--make-keys",
            action="store_true",
            help="only write the key file of Google's service account, if it is missing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["make_keys"]:
            make_service_account(settings.SANDBOX_DIR)
            return
        try:
            run(
                Options(
                    port=settings.SANDBOX_PORT,
                    state_dir=settings.SANDBOX_DIR,
                    database_url=database_url(settings.DATABASES["default"]),
                    auto_delegate=options["auto_delegate"] or None,
                    mail_policy=options["mail_policy"],
                )
            )
        except OSError as error:
            raise CommandError(f"The sandbox cannot start: {error}") from error


def database_url(database: dict[str, Any]) -> str:
    """What `sandbox.logins` takes, from Django's description of a database."""
    if database["ENGINE"].endswith("sqlite3"):
        return f"{SQLITE_SCHEME}{database['NAME']}"
    from psycopg.conninfo import make_conninfo

    return make_conninfo(
        dbname=database["NAME"] or None,
        user=database.get("USER") or None,
        password=database.get("PASSWORD") or None,
        host=database.get("HOST") or None,
        port=database.get("PORT") or None,
    )
