"""The browser wizard: pages only, over the services of the apps below."""

from django.apps import AppConfig


class WizardConfig(AppConfig):
    name = "wizard"
