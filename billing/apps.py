"""What is paid: plans, the trial, limits."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import selectors, services, signing_in
        from events import kinds
        from mpanel.core.api import ratelimit
        from tenants import paid

        paid.PAID.register(signing_in)
        ratelimit.register_plan_rate(selectors.requests_a_minute)

        periodic.register("billing.trial_ends", every=3600, work=services.tell_of_trial_ends)
        kinds.register(
            "trial",
            "Trial ending",
            action=("trial.ending", "trial.ended"),
            title=lambda event: (
                "Your trial is over" if event.action == "trial.ended" else "Your trial ends soon"
            ),
            link=lambda event: reverse("overview"),
        )
