"""What every app leans on: errors, secrets, pages, the API's base."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "mpanel.core"
    label = "core"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from mpanel.core import database, periodic, probes
        from mpanel.core.api import idempotency, ratelimit

        connection_created.connect(database.watch, dispatch_uid="mpanel.database")
        probes.register("database", probes.database)
        periodic.register("core.old_windows", every=3600, work=ratelimit.forget_old_windows)
        periodic.register("core.old_answers", every=3600, work=idempotency.forget_old_answers)
