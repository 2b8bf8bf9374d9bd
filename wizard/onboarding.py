"""The main job from beginning to end, for the terminal: each step goes on where the last stopped.

The work itself is done by the workers; this only starts it, waits, and tells how far it is.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from billing.selectors import get_account
from billing.services import plan_of, require_room
from dnszones import selectors as zones
from dnszones.discovery import selectors as existing
from dnszones.discovery.services import take_over
from dnszones.models import ChangePlan, ZoneDiscovery
from dnszones.plans import Plan
from dnszones.plans.services import agree_to_replace, apply_plan, make_plan
from dnszones.propagation.services import start_session
from domains.models import Domain
from domains.selectors import connecting_job
from domains.services import connect_domain
from mailboxes.models import Batch, Mailbox
from mailboxes.naming import plan_addresses
from mailboxes.selectors import batches, mailboxes
from mailboxes.services import provision_mailboxes, provisioning_job
from mpanel.core.actor import Actor
from mpanel.core.errors import Invalid, LimitExceeded, MPanelError
from mpanel.core.wording import counted
from provisioning import probes
from provisioning.models import Heartbeat, Job
from provisioning.selectors import newest_job
from provisioning.services import retry_job
from tenants.selectors import credentials_for
from wizard.steps import reached

ALIVE = timedelta(seconds=60)
LOOK_EVERY = 0.5  # seconds
INBOXES = "inbox,inboxes"
HERE = "onboard"  # with which the keys of batches begin that were made in the terminal


class CannotGoOn(Exception):
    """The onboarding stops here; the message says why and what to do."""


@dataclass(frozen=True)
class OnboardingRequest:
    """What the customer wants.

    `inboxes`: how many the domain has in the end. `timeout`: seconds to wait for one step, None for
    ever.
    """

    domain: str
    inboxes: int
    naming: str
    platform: str = "mailserver"
    dmarc: str = "none"
    registrar: str = "other"
    replace: bool = False
    confirmation: str = ""
    timeout: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far a step is: percent, and a line in plain words."""

    step: str
    percent: int
    line: str = ""


@dataclass
class Onboarding:
    """One run. `tell` is called whenever something moved; `show_plan` before it is applied."""

    actor: Actor
    request: OnboardingRequest
    tell: Callable[[Progress], None]
    show_nameservers: Callable[[Domain], None]
    show_plan: Callable[[Plan], None]
    ask_to_take_over: Callable[[ZoneDiscovery], bool]
    say: Callable[[str], None]
    _retried: set[Any] = field(default_factory=set)

    def run(self) -> list[Batch]:
        """Do the whole main job; the domain's batches that were made here, the oldest first.

        Raises `CannotGoOn` with a clear sentence.
        """
        require_running_parts()
        try:
            self.check_wish()
            domain = self.connect()
            self.publish(domain)
            self.wait_until_spread(domain)
            return self.provision(domain)
        except MPanelError as error:
            raise CannotGoOn(error.message) from error

    def check_wish(self) -> None:
        """Refuse at once what provisioning would refuse minutes later."""
        wanted, mine = self.request.inboxes, mailboxes(self.actor)
        account = get_account(self.actor)
        there = mine.filter(domain__name=self.request.domain).count()
        try:
            plan_addresses(wanted, self.request.naming, taken=(), seed="")
            require_room(
                account,
                what="inboxes",
                used=mine.count(),
                wanted=max(0, wanted - there),
                limit=plan_of(account).inboxes,
            )
        except (Invalid, LimitExceeded) as error:
            raise CannotGoOn(f"--inboxes {wanted}: {error.message}") from error

    def connect(self) -> Domain:
        """The domain, verified."""
        name = self.request.domain
        domain = Domain.objects.filter(tenant_id=self.actor.tenant_id, name=name).first()
        if domain is None:
            usable = credentials_for(self.actor, "dns").first()
            if usable is None:
                raise CannotGoOn("There is no DNS credential yet. Add one under Credentials.")
            domain = connect_domain(
                self.actor, name, credential_id=usable.pk, registrar=self.request.registrar
            )
        if domain.status == Domain.DELETING:
            raise CannotGoOn(f"{domain} is being disconnected. Wait for that, then try again.")
        shown = False
        for _ in self.wait("Nameservers"):
            domain.refresh_from_db()
            job = self.healthy(connecting_job(self.actor, domain))
            if not domain.is_verified:
                self.take_over(domain)
            if domain.shown_nameservers and not shown and not domain.is_verified:
                self.show_nameservers(domain)
                shown = True
            if domain.is_verified:
                break
            line = domain.delegation["message"] if domain.delegation else ""
            self.tell(Progress("Nameservers", job.progress if job else 0, line))
        self.tell(Progress("Nameservers", 100, "They point here."))
        return domain

    def take_over(self, domain: Domain) -> None:
        """What the domain publishes now comes into its zone, where the customer says so."""
        row = existing.discovery_of(domain)
        if row is None or row.status in ZoneDiscovery.BUSY | ZoneDiscovery.DONE:
            return
        if row.status == ZoneDiscovery.FOUND and self.ask_to_take_over(row):
            take_over(self.actor, domain.pk)
            return
        raise CannotGoOn(
            f"{row.message} Changing the nameservers now would lose this. Run this again with "
            "--take-over, or choose the records in the wizard."
        )

    def publish(self, domain: Domain) -> None:
        """The domain's mail records, applied."""
        if reached(domain, Domain.DNS_CONFIGURING):
            self.tell(Progress("DNS records", 100, "Written before."))
            return
        choices = {"platform": self.request.platform, "dmarc_policy": self.request.dmarc}
        row = zones.present_plan(domain)
        if row is None or any(row.setup[name] != value for name, value in choices.items()):
            row = make_plan(self.actor, domain.pk, choices=choices)
        for _ in self.wait("DNS records"):
            row.refresh_from_db()
            job = self.healthy(newest_job(row.pk))
            if row.status == ChangePlan.READY:
                row = self.apply(row)
            elif row.status == ChangePlan.APPLIED:
                break
            self.tell(Progress("DNS records", job.progress if job else 0, row.status_label))
        domain.refresh_from_db()
        self.tell(Progress("DNS records", 100, "Written and read back."))

    def apply(self, row: ChangePlan) -> ChangePlan:
        """Apply a plan that is ready, or the one that replaces it with the customer's consent."""
        plan = zones.plan_of(row)
        assert plan is not None
        if plan.conflicts and self.request.replace:
            return agree_to_replace(
                self.actor, row.pk, replace_ids=[change.id for change in plan.conflicts]
            )
        self.show_plan(plan)
        if plan.blocked:
            raise CannotGoOn(
                f"{plan.blocked[0].reason} Look at the plan in the wizard, or run this again with "
                "--replace to overwrite what is in the way."
            )
        if plan.losses and plan.digest != self.request.confirmation:
            raise CannotGoOn(
                f"{' '.join(plan.confirmations)} Nothing was written. If you want that, run this "
                f"again with --confirm {plan.digest}"
            )
        apply_plan(self.actor, row.pk, confirmation=self.request.confirmation)
        return row

    def wait_until_spread(self, domain: Domain) -> None:
        """Every resolver that answers shows the records."""
        for _ in self.wait("Propagation"):
            domain.refresh_from_db()
            if reached(domain, Domain.READY):
                break
            session = zones.latest_session(domain)
            if session is None or session.status != "polling":
                session = start_session(self.actor, domain.pk)
            until = session.expected_by
            line = f"expected by {until:%H:%M:%S} UTC" if until else ""
            self.tell(Progress("Propagation", session.progress, line))
        self.tell(Progress("Propagation", 100, "Every resolver shows the records."))

    def provision(self, domain: Domain) -> list[Batch]:
        """As many inboxes as are wanted in the end, each proved by logging in."""
        present = mailboxes(self.actor, domain_id=domain.pk).exclude(status=Mailbox.DELETING)
        there, wanted = present.count(), self.request.inboxes
        former = batches(self.actor, domain_id=domain.pk)
        if there:
            self.say(f"{domain} has {counted(there, INBOXES)}; {_what_follows(there, wanted)}.")
        if there < wanted:
            provision_mailboxes(
                self.actor,
                domain.pk,
                count=wanted - there,
                convention=self.request.naming,
                # The same for two runs that begin at once; another one after each batch.
                idempotency_key=f"{HERE}:{domain.pk}:{len(former)}:{there}:{wanted}",
            )
        found = batches(self.actor, domain_id=domain.pk)[::-1]
        found = [batch for batch in found if batch.mailboxes.present().exists()]
        for _ in self.wait("Inboxes"):
            jobs = [self.healthy(provisioning_job(self.actor, batch)) for batch in found]
            proved = present.filter(smtp_proved_at__isnull=False).count()
            line = f"{proved} of {counted(present.count(), INBOXES)} verified"
            active = [job for job in jobs if job is not None and job.is_active]
            if not active:
                break
            self.tell(Progress("Inboxes", min(job.progress for job in active), line))
        self.tell(Progress("Inboxes", 100, line))
        return [batch for batch in found if batch.idempotency_key.startswith(HERE)]

    def wait(self, step: str) -> Iterator[None]:
        """Look again and again; raises `CannotGoOn` when the step takes too long."""
        started = time.monotonic()
        while True:
            yield
            if self.request.timeout and time.monotonic() - started > self.request.timeout:
                raise CannotGoOn(
                    f"“{step}” is not done after {self.request.timeout:.0f} s. Nothing is lost: "
                    "run this again to go on waiting."
                )
            require_running_parts()
            time.sleep(LOOK_EVERY)

    def healthy(self, job: Job | None) -> Job | None:
        """The job; one that an earlier run left failed is tried again, once."""
        if job is None or job.status not in {Job.FAILED, Job.CANCELLED}:
            return job
        if job.pk in self._retried:
            raise CannotGoOn(job.error_message or "The job was cancelled.")
        self._retried.add(job.pk)
        return retry_job(self.actor, job.pk)


def _what_follows(there: int, wanted: int) -> str:
    if there < wanted:
        return f"{wanted - there} more are made"
    return "that is what you want" if there == wanted else f"{wanted} are wanted, so none is made"


def require_running_parts() -> None:
    """Raise `CannotGoOn` unless clock and workers have shown that they live."""
    clock = Heartbeat.objects.filter(name=probes.CLOCK, seen_at__gt=timezone.now() - ALIVE)
    if not clock.exists() or probes.queues_without_worker(probes.clusters_alive(ALIVE)):
        raise CannotGoOn(
            "Nothing would work this off: no worker or no clock has answered in the last minute. "
            "Start mPanel with `make run` (or the worker and tick processes), then try again."
        )
