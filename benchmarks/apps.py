"""The benchmarks' own workflow, known to the queue's worker as an app's would be."""

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "benchmarks"

    def ready(self) -> None:
        from benchmarks import trivial  # noqa: F401  (it registers itself)
