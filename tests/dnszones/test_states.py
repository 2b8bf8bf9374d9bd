"""States of zones and plans: run twice, crashed after their remote call, told to strangers."""

from typing import Any

import pytest

from dnszones.models import ChangePlan, Zone
from dnszones.plans.services import apply_plan
from dnszones.states import PlanIsApplied
from dnszones.vendors import dns_provider
from dnszones.zones.states import ZoneExists, ZoneIsReleased
from domains.models import Domain
from domains.services import connect_domain, disconnect_domain
from mpanel.core.errors import ProviderError
from provisioning.models import Job
from provisioning.services import retry_job
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import connected, planned, use_own_account, verified
from tests.work import ended, hurry, sure, work_off

ZONE = "example.test"


def fresh(domain: Domain) -> Domain:
    return Domain.objects.select_related("dns_credential").get(pk=domain.pk)


def unconnected(person: Person) -> Domain:
    """A domain of which nothing was done outside yet."""
    domain = connect_domain(person.actor, ZONE, credential_id=person.credential.pk)
    Job.objects.all().delete()
    work_off()
    return domain


def test_observing_changes_nothing(ada: Person, sandbox: RunningSandbox) -> None:
    domain = unconnected(ada)
    assert ZoneExists().observe(fresh(domain)).verdict == "missing"
    assert sandbox.request_count("cloudflare", "POST", "/zones") == 0
    assert not Zone.objects.exists()


@pytest.mark.parametrize("kind", ["drop_after_commit", "timeout_after_commit"])
def test_a_zone_whose_answer_was_lost_is_found_again(
    ada: Person, sandbox: RunningSandbox, kind: str, settings: Any
) -> None:
    settings.VENDOR_TIMEOUT = 3
    domain = unconnected(ada)
    sandbox.fault("cloudflare", kind, method="POST", path="/zones")
    with pytest.raises(ProviderError) as caught:
        ZoneExists().apply(fresh(domain))
    assert caught.value.ambiguous
    for _ in range(2):
        ZoneExists().apply(fresh(domain))
    assert ZoneExists().observe(fresh(domain)).verdict == "matches"
    assert sandbox.request_count("cloudflare", "POST", "/zones", 200) <= 1
    zone = Zone.objects.get()
    assert zone.creation_asked_at, "it is known as ours, and goes when the domain goes"
    ZoneIsReleased().apply(fresh(domain))
    assert ZoneIsReleased().observe(fresh(domain)).verdict == "matches"
    assert dns_provider(ada.credential).find_zone(ZONE) is None


def test_a_plan_whose_answer_was_lost_is_not_written_twice(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, ZONE, sandbox)
    plan = planned(ada, domain)
    sandbox.fault("cloudflare", "drop_after_commit", method="POST", path="/zones/.*/batch")
    job = apply_plan(ada.actor, plan.pk)
    work_off()
    job.refresh_from_db()
    assert job.status == Job.WAITING
    assert len(sandbox.records(ZONE)) == 4
    hurry(job.pk)
    job.refresh_from_db()
    assert job.status == Job.SUCCEEDED
    assert len(sandbox.records(ZONE)) == 4
    PlanIsApplied().apply(ChangePlan.objects.select_related("zone__domain").get(pk=plan.pk))
    assert len(sandbox.records(ZONE)) == 4


def test_a_vendor_that_is_down_is_asked_again_later(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.fault("cloudflare", "status", status=503, times=None)
    domain = connected(ada, ZONE)
    job = Job.objects.get()
    assert (domain.status, job.status) == (Domain.PENDING, Job.WAITING)
    assert Domain.objects.get().nameservers == []
    sandbox.clear_faults()
    sandbox.fault("cloudflare", "rate_limit", retry_after=120)
    hurry(job.pk)
    job.refresh_from_db()
    assert (job.run_at - job.updated_at).total_seconds() > 100, "as long as the vendor asked"
    hurry(job.pk)
    assert fresh(domain).status == Domain.PENDING_NAMESERVERS


def test_a_refused_token_stops_with_a_sentence_and_can_be_retried(
    ada: Person, sandbox: RunningSandbox
) -> None:
    credential = use_own_account(ada)
    good = credential.values()
    credential.set_values({**good, "api_token": "wrong"})
    credential.save()
    domain = connected(ada, ZONE)
    job = Job.objects.get()
    assert job.status == Job.FAILED
    assert job.error_code
    assert job.error_message in ada.client.get(f"/domains/{domain.pk}/").content.decode().replace(
        "&#x27;", "'"
    )
    credential.set_values(good)
    credential.save()
    retry_job(ada.actor, job.pk)
    work_off()
    assert fresh(domain).status == Domain.PENDING_NAMESERVERS


def test_a_replaced_plan_is_not_written_by_retrying_its_job(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, ZONE, sandbox)
    plan = planned(ada, domain)
    sandbox.fault("cloudflare", "status", status=403, method="POST", path="/zones/.*/batch")
    job = ended(apply_plan(ada.actor, plan.pk))
    assert job.status == Job.FAILED
    planned(ada, domain, dmarc_policy="reject")
    retry_job(ada.actor, job.pk)
    work_off()
    job.refresh_from_db()
    plan.refresh_from_db()
    assert (job.status, plan.status) == (Job.FAILED, ChangePlan.SUPERSEDED)
    assert sandbox.records(ZONE) == []


def test_a_failed_claim_deletes_nobodys_zone(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    sandbox.fault("cloudflare", "status", status=503, times=None, method="POST", path="/zones")
    cys = connected(cy, ZONE)
    sandbox.clear_faults()
    connected(ada, ZONE)
    hurry()
    ended(sure(disconnect_domain, cy.actor, cys.pk))
    assert dns_provider(ada.credential).find_zone(ZONE) is not None


def test_the_step_counts_what_was_written(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, ZONE, sandbox)
    job = apply_plan(ada.actor, planned(ada, domain).pk)
    ended(job)
    step = job.steps.get(name=PlanIsApplied.name)
    assert step.done == step.total > 0
