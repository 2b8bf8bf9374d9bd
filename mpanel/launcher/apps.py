"""The developer's launcher: all of mPanel on one machine, with the sandbox."""

from django.apps import AppConfig


class LauncherConfig(AppConfig):
    name = "mpanel.launcher"
    label = "launcher"
