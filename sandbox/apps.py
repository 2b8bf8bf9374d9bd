from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """Installed for `manage.py sandbox` only; it has no tables."""

    name = "sandbox"
