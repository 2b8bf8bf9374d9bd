"""What should be true of a domain. The workflow that uses these is registered by `dnszones`."""

from datetime import timedelta

from django.conf import settings

from domains import services
from domains.models import Domain
from provisioning.desired import DesiredState, Observation


class NameserversPointHere(DesiredState[Domain]):
    """The parent zone delegates the domain to the nameservers its zone was assigned."""

    name = "nameservers_point_here"
    label = "Wait for the nameservers"
    deadline = timedelta(days=14)

    def __init__(self) -> None:
        self.interval = timedelta(seconds=settings.NAMESERVER_INTERVAL)

    def observe(self, subject: Domain) -> Observation:
        (report,) = services.look_at_delegations([subject])
        evidence = {
            "expected": ", ".join(report.expected),
            "found": ", ".join(report.found),
            "where": ", ".join(str(server) for server, _ in report.asked),
        }
        match report.verdict:
            case "matches":
                return Observation.matches(report.message, **evidence)
            case "unknown":
                return Observation.unknown(report.message, **evidence)
            case _:
                # Other nameservers are no conflict here: the customer is about to change them.
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
        services.mark_verified(subject)
