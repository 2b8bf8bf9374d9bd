"""What should be true of a domain.

The workflow `domains.connect` is registered by `dnszones`, which knows how a zone is made;
`domains.register` borrows that state from it by name.
"""

from datetime import timedelta

from django.conf import settings

from domains import control, ownership, services
from domains import registration as purchases
from domains.models import Domain, Registration
from domains.providers.base import Registrar
from domains.vendors import registrar
from mpanel.core.errors import NotFound, ProviderError
from provisioning.desired import DesiredState, Observation, Workflow, register, workflow_called
from provisioning.models import Job


class NameserversPointHere(DesiredState[Domain]):
    """The parent zone delegates the domain to the nameservers its zone was assigned."""

    name = "nameservers_point_here"
    label = "Wait for the nameservers"
    deadline = timedelta(days=14)

    def __init__(self) -> None:
        self.interval = timedelta(seconds=settings.NAMESERVER_INTERVAL)

    def observe(self, subject: Domain) -> Observation:
        (report,) = ownership.look_at_control([subject])
        seen = report.delegation
        evidence = {
            "expected": ", ".join(seen.expected),
            "found": ", ".join(seen.found),
            "where": ", ".join(str(server) for server, _ in seen.asked),
        }
        match seen.verdict:
            case "matches":
                return Observation.matches(report.message, **evidence)
            case "unknown":
                return Observation.unknown(report.message, **evidence)
            case _:
                # Other nameservers are no conflict here: the customer is about to change them.
                return Observation.missing(report.message, **evidence)


class ControlIsProved(DesiredState[Domain]):
    """The delegated nameservers answer with the token that we wrote into this tenant's zone."""

    name = "control_is_proved"
    label = "Check the ownership record at the nameservers"
    deadline = timedelta(days=14)

    def __init__(self) -> None:
        self.interval = timedelta(seconds=settings.NAMESERVER_INTERVAL)

    def observe(self, subject: Domain) -> Observation:
        (report,) = ownership.look_at_control([subject])
        evidence = {
            "expected": f"TXT {control.proof_name(subject.name)}",
            "found": "; ".join(f"{server}: {said}" for server, said in report.asked),
        }
        if report.is_proved:
            return Observation.matches("The nameservers answer with our record.", **evidence)
        if "unknown" in {report.delegation.verdict, report.proof}:
            return Observation.unknown(report.message, **evidence)
        return Observation.missing(report.message, **evidence)


class DomainIsVerified(DesiredState[Domain]):
    """The domain is this tenant's, and nobody else's."""

    name = "domain_is_verified"
    label = "Verify the domain"

    def observe(self, subject: Domain) -> Observation:
        if subject.is_verified:
            return Observation.matches(f"{subject} is verified.")
        return Observation.missing(f"{subject} is not verified yet.")

    def apply(self, subject: Domain) -> None:
        ownership.verify(subject)


def zone_state() -> DesiredState[Domain]:
    """The state that makes a domain's zone."""
    return _state_of_connecting("zone_exists")


def _state_of_connecting(name: str) -> DesiredState[Domain]:
    """A state that the app above put into `domains.connect`."""
    states = workflow_called("domains.connect").states
    return next(state for state in states if state.name == name)


class DnsAccountAnswers(DesiredState[Domain]):
    """The DNS account in which the zone will be made can be used: seen before money is spent."""

    name = "dns_account_answers"
    label = "Try the DNS account"

    def observe(self, subject: Domain) -> Observation:
        zone_state().observe(subject)  # raises where the account cannot be used
        return Observation.matches("The DNS account answers.")


class DomainBought(DesiredState[Domain]):
    """The registrar took our order, or has delivered it already."""

    name = "domain_bought"
    label = "Buy the domain"

    def observe(self, subject: Domain) -> Observation:
        registration = subject.registration
        if registration.was_ordered or registration.is_registered:
            return Observation.matches(f"{subject} was ordered for {registration.price}.")
        owned = registrar_of(registration).info(subject.name)
        if owned is None:
            return Observation.missing(f"{subject} is not bought yet.")
        if not purchases.may_be_ordered(registration, owned):
            return Observation.conflicts(
                purchases.AlreadyOwned.code, purchases.AlreadyOwned().message
            )
        return Observation.matches(f"{subject} was bought: it is in the registrar's account.")

    def apply(self, subject: Domain) -> None:
        purchases.buy(subject)


class DomainRegistered(DesiredState[Domain]):
    """The domain is in the registrar's account. Most registries need a second, some need days."""

    name = "domain_registered"
    label = "Wait for the registry"
    deadline = timedelta(days=7)

    def __init__(self) -> None:
        self.interval = timedelta(seconds=settings.NAMESERVER_INTERVAL)

    def observe(self, subject: Domain) -> Observation:
        owned = registrar_of(subject.registration).info(subject.name)
        if owned is not None:
            expiry = f", until {owned.expires_at:%d %B %Y}" if owned.expires_at else ""
            return Observation.matches(f"{subject} is registered{expiry}.")
        if subject.registration.is_registered:
            return not_in_account(subject)
        return Observation.missing(f"{subject} is ordered; the registry has not confirmed it yet.")


class RegistrationNoted(DesiredState[Domain]):
    """We know what was registered, until when, and that it is this tenant's."""

    name = "registration_noted"
    label = "Record the registration"

    def observe(self, subject: Domain) -> Observation:
        if subject.registration.is_registered:
            return Observation.matches(f"{subject} is noted as registered.")
        return Observation.missing(f"{subject} is not noted as registered yet.")

    def apply(self, subject: Domain) -> None:
        purchases.note(subject)


class ZoneMade(DesiredState[Domain]):
    """The zone of the new domain: what `domains.connect` begins with."""

    name = "zone_exists"
    label = "Create the zone"

    def observe(self, subject: Domain) -> Observation:
        return zone_state().observe(subject)

    def apply(self, subject: Domain) -> None:
        try:
            zone_state().apply(subject)
        except ProviderError as error:
            if error.error_code != "NOT_REGISTERED":
                raise
            message = "The DNS provider has not heard yet that the domain is registered."
            raise ProviderError(error.error_code, message, retryable=True) from error


class ProofWritten(DesiredState[Domain]):
    """Our token stands in the zone of the new domain, as in `domains.connect`."""

    name = "proof_written"
    label = "Write the ownership record"

    def observe(self, subject: Domain) -> Observation:
        return _state_of_connecting(self.name).observe(subject)

    def apply(self, subject: Domain) -> None:
        _state_of_connecting(self.name).apply(subject)


class NameserversSet(DesiredState[Domain]):
    """The registrar delegates the domain to the nameservers that its zone was assigned."""

    name = "nameservers_set"
    label = "Set the nameservers at the registrar"

    def observe(self, subject: Domain) -> Observation:
        owned = registrar_of(subject.registration).info(subject.name)
        expected = sorted(name.lower() for name in subject.nameservers)
        if owned is None or owned.id != subject.registration.remote_id:
            return not_in_account(subject)
        seen = {"expected": ", ".join(expected), "found": ", ".join(owned.nameservers)}
        if list(owned.nameservers) == expected:
            return Observation.matches("The registrar has the zone's nameservers.", **seen)
        return Observation.missing("The registrar has other nameservers.", **seen)

    def apply(self, subject: Domain) -> None:
        if subject.status == Domain.DELETING:
            raise services.DomainInUse(f"{subject} is being disconnected.")
        vendor = registrar_of(subject.registration)
        vendor.set_nameservers(subject.name, subject.nameservers)


def not_in_account(domain: Domain) -> Observation:
    """It was ours, and is gone."""
    return Observation.conflicts(
        "NOT_IN_ACCOUNT", f"{domain} is not in the registrar's account any more."
    )


def registrar_of(registration: Registration) -> Registrar:
    """The registrar at which a domain was, or is to be, bought."""
    return registrar(purchases.credential_of(registration))


def load_bought_domain(job: Job) -> Domain:
    """The domain of a job, fresh, with its registration."""
    found = Domain.objects.select_related("dns_credential", "registration__credential").filter(
        pk=job.subject_id, tenant_id=job.tenant_id, registration__isnull=False
    )
    if domain := found.first():
        return domain
    raise NotFound("The domain was removed meanwhile.")


# DNS providers refuse zones of domains that nobody registered (Cloudflare: 1049), so buying comes
# first; what could keep the zone from being made is found out before.
register(
    Workflow(
        name="domains.register",
        label="Register the domain",
        states=(
            DnsAccountAnswers(),
            DomainBought(),
            DomainRegistered(),
            RegistrationNoted(),
            ZoneMade(),
            ProofWritten(),
            NameserversSet(),
            NameserversPointHere(),
            ControlIsProved(),
            DomainIsVerified(),
        ),
        load=load_bought_domain,
        on_failure=purchases.fail_registration,
        on_cancel=purchases.cancel_registration,
        on_retry=purchases.reopen_registration,
    )
)
