"""The plans and their limits (contract, 6)."""

from dataclasses import dataclass

TRIAL = "trial"


@dataclass(frozen=True)
class Plan:
    """`inboxes`, `domains`: how many, None for no limit. `price`: US cents a month. `requests`: to
    the JSON API, a minute, of one user or key."""

    key: str
    label: str
    inboxes: int | None
    domains: int | None
    price: int
    requests: int
    sends: int | None


PLANS = {
    plan.key: plan
    for plan in (
        Plan(TRIAL, "Trial", 50, 5, 0, 120, 1_000),
        Plan("starter", "Starter", 50, 10, 1900, 300, 5_000),
        Plan("professional", "Professional", 500, 50, 5900, 600, 50_000),
        Plan("enterprise", "Enterprise", None, None, 19900, 1200, None),
    )
}
