"""`manage.py kumomta`: the policy and the files of a KumoMTA server of ours."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mailservers.kumomta import PolicySettings, keep, write_policy
from mailservers.servers import get_server
from mpanel.core.errors import MPanelError


class Command(BaseCommand):
    """Writes `init.lua`, users' limits and keys into the server's directory, on its machine."""

    help = "Write KumoMTA's policy and what it reads, and have it read that."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--server", required=True, help="the slug of its row (manage.py mailserver add)")
        add("--certificate", required=True, help="PEM with the whole chain")
        add("--private-key", required=True)
        add("--listen", default=PolicySettings.listen, help="the address of submission")
        add("--admin-listen", default=PolicySettings.admin_listen, help="of its HTTP interface")
        add("--spool", default=PolicySettings.spool)
        add("--log", default=PolicySettings.log)

    def handle(self, *args: Any, **options: Any) -> None:
        names = ("certificate", "private_key", "listen", "admin_listen", "spool", "log")
        try:
            server = get_server(options["server"])
            if not Path(server.directory or "/nonexistent").is_dir():
                raise CommandError(f"{server.slug} has no folder {server.directory!r} here.")
            is_new = write_policy(server, PolicySettings(**{name: options[name] for name in names}))
            changed = keep(server)
        except MPanelError as error:
            raise CommandError(error.message) from error
        if is_new:
            self.stdout.write("Wrote init.lua. Restart KumoMTA if its listeners changed.")
        self.stdout.write("Wrote keys and limits." if changed else "Keys and limits are current.")
