"""Who: tenants, users, roles, sessions, API keys, provider credentials."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic, probes, queues
from mpanel.core.actor import ADMIN


class TenantsConfig(AppConfig):
    name = "tenants"

    def ready(self) -> None:
        from events import kinds, recipients
        from tenants import (
            selectors,
            services,
            troubles,  # noqa: F401  (they register themselves)
        )
        from tenants.probes import mail
        from tenants.team import invitations

        probes.register("mail", mail)
        periodic.register(
            "tenants.forgotten_codes",
            every=5,
            work=services.send_forgotten_codes,
            queue=queues.URGENT,
        )
        periodic.register("tenants.old_codes", every=3600, work=services.forget_old_codes)
        periodic.register("tenants.forgotten_tests", every=10, work=services.run_forgotten_tests)
        periodic.register(
            "tenants.included_accounts", every=60, work=services.include_accounts_everywhere
        )
        periodic.register(
            "tenants.forgotten_invitations", every=10, work=invitations.send_forgotten_invitations
        )
        recipients.register(selectors.members_of)
        kinds.register(
            "session.started",
            "New sign-in",
            action="session.started",
            title="Somebody signed in to your account",
            link=lambda event: reverse("settings-security"),
            default_email=False,
            personal=True,
        )
        kinds.register(
            "member.joined",
            "New member",
            action="member.joined",
            title=lambda event: event.sentence,
            link=lambda event: reverse("settings-team"),
            default_email=False,
            least_role=ADMIN,
        )
        periodic.register("tenants.old_sessions", every=3600, work=services.forget_old_sessions)
        periodic.register("tenants.old_guesses", every=3600, work=services.forget_old_guesses)
        periodic.register("tenants.old_links", every=3600, work=services.forget_old_links)
