"""The core: what every app leans on."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "mpanel.core"
    label = "core"

    def ready(self) -> None:
        from mpanel.core import checks  # noqa: F401  (registers itself)
