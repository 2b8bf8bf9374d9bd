"""Puts our own site in the place of Django's admin site."""

from django.contrib.admin.apps import AdminConfig


class OperatorsConfig(AdminConfig):
    default_site = "mpanel.admin.OperatorSite"
