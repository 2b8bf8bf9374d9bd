"""What an operator runs: commands, and the settings that every process checks at its start."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "mpanel.operations"
    label = "operations"

    def ready(self) -> None:
        from mpanel.operations import checks, ranges  # noqa: F401  (they register themselves)
