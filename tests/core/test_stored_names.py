"""Names that rows of a running installation hold: code may move between apps, these stay."""

import pytest

from mpanel.core.periodic import all_sweeps
from provisioning.desired import workflow_called

# Of jobs, and of their steps by their states' names, in order.
WORKFLOWS = {
    "mailboxes.delete": ["outreach_is_left", "mailboxes_absent", "mailboxes_forgotten"],
    "mailboxes.enforce": ["passwords_are_hashed", "mailboxes_as_wanted"],
    "mailboxes.provision": ["accounts_as_wanted", "passwords_are_hashed", "logins_are_proved"],
    "mailboxes.rules": ["script_is_active"],
    "maildomains.attach": [
        "domain_in_directory",
        "verification_is_published",
        "domain_is_verified",
    ],
    "outreach.assign": ["seats_are_taken"],
    "outreach.connect": ["senders_are_connected", "warmup_is_set", "seats_are_taken"],
    "outreach.disconnect": ["seats_are_left", "senders_are_inactive"],
}
SWEEPS = {
    "mailboxes.guesses",
    "mailboxes.health",
    "mailboxes.kumomta",
    "mailboxes.log",
    "mailboxes.old_days",
    "mailboxes.pausing",
    "mailboxes.roles",
    "mailboxes.storage",
    "mailboxes.warmups",
    "outreach.warmup",
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_jobs_under_way_find_their_workflow_and_its_steps(name: str) -> None:
    assert [state.name for state in workflow_called(name).states] == WORKFLOWS[name]


def test_sweeps_keep_their_names() -> None:
    assert set(all_sweeps()) >= SWEEPS
