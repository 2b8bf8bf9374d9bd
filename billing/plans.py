"""The plans and their limits (contract, 6)."""

from dataclasses import dataclass

TRIAL = "trial"


@dataclass(frozen=True)
class Plan:
    """`inboxes`, `domains`: how many, None for no limit. `price`: US cents a month."""

    key: str
    label: str
    inboxes: int | None
    domains: int | None
    price: int


PLANS = {
    plan.key: plan
    for plan in (
        Plan(TRIAL, "Trial", 50, 5, 0),
        Plan("starter", "Starter", 50, 10, 1900),
        Plan("professional", "Professional", 500, 50, 5900),
        Plan("enterprise", "Enterprise", None, None, 19900),
    )
}
