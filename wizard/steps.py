"""The six steps of the setup, and which of them a domain has reached (contract, source 3)."""

from dataclasses import dataclass

from django.urls import reverse

from domains.models import Domain

# Key, label, and the statuses in which the step is over.
ORDER = [
    Domain.PENDING,
    Domain.PENDING_NAMESERVERS,
    Domain.VERIFIED,
    Domain.DNS_CONFIGURING,
    Domain.READY,
    Domain.PROVISIONED,
    Domain.CONNECTED,
]


@dataclass(frozen=True)
class Step:
    """`opens_at`: the first status in which the step can be taken; `done_at`: when it is over."""

    key: str
    label: str
    opens_at: str
    done_at: str


STEPS = (
    Step("domain", "Domain", Domain.PENDING, Domain.PENDING_NAMESERVERS),
    Step("nameservers", "Nameservers", Domain.PENDING, Domain.VERIFIED),
    Step("dns", "DNS records", Domain.VERIFIED, Domain.DNS_CONFIGURING),
    Step("propagation", "Propagation", Domain.DNS_CONFIGURING, Domain.READY),
    Step("inboxes", "Inboxes", Domain.READY, Domain.PROVISIONED),
    Step("outreach", "Outreach", Domain.PROVISIONED, Domain.CONNECTED),
)


@dataclass(frozen=True)
class ShownStep:
    """A step as `components/steps.html` shows it."""

    label: str
    state: str
    url: str | None


def reached(domain: Domain, status: str) -> bool:
    """Whether the domain has come at least so far."""
    return domain.status in ORDER and ORDER.index(domain.status) >= ORDER.index(status)


def step_url(domain: Domain, key: str) -> str:
    """Where a step of a domain is."""
    return reverse(f"setup-{key}", args=[domain.pk])


def shown_steps(domain: Domain | None, current: str) -> list[ShownStep]:
    """All six, for the page of one of them."""
    shown = []
    for step in STEPS:
        is_open = domain is not None and reached(domain, step.opens_at)
        is_done = domain is not None and reached(domain, step.done_at)
        if step.key == current:
            state = "current"
        elif is_done:
            state = "done"
        else:
            state = "upcoming" if is_open else "locked"
        url = step_url(domain, step.key) if domain is not None and (is_open or is_done) else None
        shown.append(ShownStep(step.label, state, url))
    return shown


def next_step(domain: Domain) -> str:
    """Where to resume: the URL of the first step that is not over."""
    for step in STEPS:
        if not reached(domain, step.done_at):
            return step_url(domain, step.key)
    return step_url(domain, STEPS[-1].key)
