"""What is paid: plans, trial, limits."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
