"""What must be true after any crash: one of everything, nothing half done."""

from collections import Counter
from typing import Any

import httpx

from dnszones.models import ChangePlan, PropagationSession, Record, Zone
from dnszones.plans import remaining
from dnszones.plans.computing import read_zone
from dnszones.selectors import plan_of, revertible_plan
from domains.models import Domain
from events.models import Event
from mailboxes.models import Batch, Mailbox
from provisioning.models import Job, JobStep
from tests.sandboxes import RunningSandbox


def remote_zones(sandbox: RunningSandbox, name: str) -> list[dict[str, Any]]:
    """The zones of a domain as the vendor has them."""
    answer = httpx.get(
        f"{sandbox.cloudflare_url}/zones",
        params={"name": name},
        headers={"authorization": "Bearer sandbox-token"},
        timeout=120,
        trust_env=False,
    )
    answer.raise_for_status()
    zones: list[dict[str, Any]] = answer.json()["result"]
    return zones


def remote_records(sandbox: RunningSandbox, name: str) -> Counter[tuple[str, str, str, int | None]]:
    """What stands in a zone, and how often."""
    return Counter(
        (row["type"], row["name"], row["content"], row.get("priority"))
        for row in sandbox.records(name)
    )


def assert_jobs_whole() -> None:
    """Every job succeeded once, step by step, and nobody holds it."""
    for job in Job.objects.all():
        assert (job.status, job.error_code, job.waiting_for) == ("succeeded", "", ""), str(job)
        assert (job.lease_token, job.lease_until) == (None, None)
        assert {step.status for step in job.steps.all()} == {JobStep.DONE}
        texts = [line.text for line in job.lines.all()]
        assert texts.count("Done.") == 1
        assert texts[-1] == "Done."


def assert_zone_whole(domain: Domain, sandbox: RunningSandbox) -> None:
    """One zone here and there, with the nameservers that it was assigned."""
    (remote,) = remote_zones(sandbox, domain.name)
    zone = Zone.objects.get(domain=domain)
    domain.refresh_from_db()
    assert zone.remote_id == remote["id"]
    assert zone.creation_asked_at is not None  # it is known as ours
    assert domain.nameservers == remote["name_servers"]
    assert_told_once("domain.connected", "domain.verified")


def assert_records_whole(domain: Domain, sandbox: RunningSandbox) -> None:
    """The zone holds exactly the planned records, each once, and so do our rows."""
    plan = revertible_plan(domain)
    assert plan is not None
    planned = plan_of(plan)
    assert planned is not None
    assert not remaining(planned, read_zone(plan))
    remote = remote_records(sandbox, domain.name)
    assert set(remote.values()) == {1}
    assert len(remote) == len(planned.changes) == len(planned.steps)
    rows = Record.objects.filter(zone__domain=domain)
    assert Counter((row.type, row.name, row.priority) for row in rows) == Counter(
        (kind, name, priority) for kind, name, _, priority in remote.elements()
    )
    assert all(row.ours for row in rows)
    # The zone as it was before the first write, not after a half one: our proof and nothing else.
    assert plan.snapshot is not None
    assert [one["name"] for one in plan.snapshot] == [f"_mpanel.{domain.name}"]
    assert ChangePlan.objects.filter(status=ChangePlan.APPLIED).count() == 1
    assert PropagationSession.objects.filter(zone__domain=domain).count() == 1
    assert_told_once("dns.plan_applied", "dns.written")


def assert_inboxes_whole(domain: Domain, number: int) -> None:
    """So many inboxes, each proved, each with a hash, none with anything left over."""
    rows = list(Mailbox.objects.filter(domain=domain))
    assert len({row.address for row in rows}) == len(rows) == number
    assert {row.status for row in rows} == {Mailbox.ACTIVE}
    assert all(row.smtp_proved_at and row.imap_proved_at for row in rows)
    assert all(row.password_hash.startswith("$2b$") and not row.proof_digest for row in rows)
    assert not any(row.error_code or row.error_message for row in rows)
    assert Batch.objects.filter(domain=domain).count() == 1
    domain.refresh_from_db()
    assert domain.status == Domain.PROVISIONED
    assert_told_once("mailboxes.provisioned", "mailboxes.proved")


def assert_gone(name: str, sandbox: RunningSandbox) -> None:
    """Nothing of a disconnected domain is left, here or there."""
    assert remote_zones(sandbox, name) == []
    assert not Domain.objects.filter(name=name).exists()
    assert not Zone.objects.exists()
    assert not Record.objects.exists()
    assert_told_once("domain.disconnecting", "domain.disconnected")


def assert_told_once(*actions: str) -> None:
    """Each of these was recorded exactly once."""
    told = Counter(Event.objects.values_list("action", flat=True))
    assert {action: told[action] for action in actions} == dict.fromkeys(actions, 1)
