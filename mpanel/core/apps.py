"""The core: what every app leans on."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "mpanel.core"
    label = "core"

    def ready(self) -> None:
        from mpanel.core import checks, periodic, probes  # noqa: F401  (checks registers itself)
        from mpanel.core.api import idempotency, ratelimit

        probes.register("database", probes.database)
        periodic.register("core.old_windows", every=3600, work=ratelimit.forget_old_windows)
        periodic.register("core.old_answers", every=3600, work=idempotency.forget_old_answers)
