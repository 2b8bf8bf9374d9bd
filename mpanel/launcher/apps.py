"""`manage.py run`: all of mPanel on one machine."""

from django.apps import AppConfig


class LauncherConfig(AppConfig):
    name = "mpanel.launcher"
    label = "launcher"
