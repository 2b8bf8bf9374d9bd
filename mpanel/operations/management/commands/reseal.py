"""`manage.py reseal`: move every sealed value to the first key of `ENCRYPTION_KEYS`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mpanel.core.secrets import front_key_id, key_ids
from mpanel.operations.resealing import Progress, reseal, values_by_key


class Command(BaseCommand):
    """Reseals, and says which keys are still needed. Stopped, it goes on at the next run."""

    help = (
        "Seal every stored secret with the first key of ENCRYPTION_KEYS, and say which of the "
        "other keys may go. Run it after all processes were started with the new key in front."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only say how many secrets each key sealed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable = 0
        if not options["dry_run"]:
            for progress in reseal(self._tell):
                unreadable += len(progress.unreadable)
                for row_id in progress.unreadable[:20]:
                    self.stderr.write(f"{progress.where} of {row_id} does not open.")
        counts = values_by_key()
        for key_id in key_ids():
            self.stdout.write(self._sentence(key_id, counts[key_id].total()))
        for where, number in counts[""].items():
            self.stdout.write(f"{where}: {number} sealed by a key that is not in the ring.")
        if unreadable:
            raise CommandError(
                f"{unreadable} secrets do not open. Put the key that sealed them back into "
                "ENCRYPTION_KEYS and run this again, or have them entered again."
            )

    def _tell(self, progress: Progress) -> None:
        done = progress.resealed + len(progress.unreadable)
        self.stdout.write(f"{progress.where}: {done} of {progress.total}")

    def _sentence(self, key_id: str, number: int) -> str:
        if key_id == front_key_id():
            return f"Key {key_id} seals; {number} secrets are sealed with it."
        if number:
            return f"Key {key_id} is still needed: {number} secrets are sealed with it."
        return (
            f"Key {key_id} is no longer needed. Take it out of ENCRYPTION_KEYS once every process "
            "runs with the present ring; keep it with the backups that were made before."
        )
