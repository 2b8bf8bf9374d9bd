"""DKIM keys are replaced: published, seen, signing; the old one rests, and goes."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from dnszones.dkim import rotation
from dnszones.dkim.rotation import rotate_dkim
from dnszones.models import ChangePlan, DkimKey, Record
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import DomainNotVerified, apply_plan
from dnszones.propagation import sweep as propagation
from domains.models import Domain
from domains.services import disconnect_domain
from mpanel.core.errors import Conflict, Forbidden, NotFound
from provisioning.models import Job
from provisioning.services import cancel_job
from tests.api import Api
from tests.cast import Person
from tests.sandboxes import RESOLVERS, RunningSandbox
from tests.stories import connected, planned, published, use_own_account
from tests.work import ended, hurry, sure, until, work_off

ZONE = "example.test"
TODAY = f"mp{timezone.now():%Y%m%d}"


def dkim_names(sandbox: RunningSandbox) -> set[str]:
    """The selectors that are published."""
    names = [row["name"] for row in sandbox.records(ZONE)]
    return {name.partition(".")[0] for name in names if "._domainkey." in name}


def statuses() -> dict[str, str]:
    return dict(DkimKey.objects.values_list("selector", "status"))


def kept() -> set[str]:
    """The selectors whose records we keep and watch."""
    rows = Record.objects.filter(purpose="dkim", ours=True)
    return {row.name.partition(".")[0] for row in rows}


def step_of(job: Job) -> str:
    """The step that a job is at."""
    return next(step.name for step in job.steps.all() if step.status != "done")


def look() -> None:
    """Look for every record now."""
    Record.objects.update(next_check_at=timezone.now())
    propagation.sweep()


def up_to(job: Job, step: str) -> None:
    """Work until a rotation waits in this step."""

    def there() -> bool:
        Record.objects.update(next_check_at=timezone.now())
        return step_of(job) == step

    until(there, sweep="dnszones.propagation")


def rest_is_over(job: Job) -> Job:
    """A week later."""
    long_ago = timezone.now() - timedelta(days=8)
    DkimKey.objects.filter(status=DkimKey.SIGNING).update(signing_since=long_ago)
    hurry(job.pk)
    return ended(job)


def applied(person: Person, domain: Domain, **choices: object) -> ChangePlan:
    plan = planned(person, domain, **choices)
    ended(sure(apply_plan, person.actor, plan.pk))
    plan.refresh_from_db()
    assert plan.status == ChangePlan.APPLIED
    return plan


@pytest.fixture
def sandbox(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """Its resolvers are quick again afterwards."""
    yield sandbox
    sandbox.set_resolver_delay(RESOLVERS[3], 0)


def test_a_key_is_replaced_without_a_gap(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, ZONE, sandbox)
    sandbox.set_resolver_delay(RESOLVERS[3], 3600)
    job = rotate_dkim(ada.actor, domain.pk)
    work_off()
    assert dkim_names(sandbox) == kept() == {"mpanel", TODAY}
    assert statuses() == {"mpanel": DkimKey.SIGNING, TODAY: DkimKey.NEXT}
    up_to(job, "next_key_is_seen")
    look()
    hurry(job.pk)
    job.refresh_from_db()
    assert (step_of(job), job.waiting_for) == (
        "next_key_is_seen",
        f"The key {TODAY} is seen by 3 of 4.",
    )
    sandbox.set_resolver_delay(RESOLVERS[3], 0)
    up_to(job, "old_key_rests")
    assert statuses() == {"mpanel": DkimKey.RETIRING, TODAY: DkimKey.SIGNING}
    hurry(job.pk)
    assert dkim_names(sandbox) == kept() == {"mpanel", TODAY}, "mail on its way still verifies"

    assert rest_is_over(job).status == Job.SUCCEEDED
    assert dkim_names(sandbox) == kept() == {TODAY}
    old, new = DkimKey.objects.order_by("pk")
    assert (old.status, old.sealed, bool(old.retired_at)) == (DkimKey.RETIRED, "", True)
    assert (new.status, bool(new.seen_at)) == (DkimKey.SIGNING, True)
    domain.refresh_from_db()
    assert domain.status == Domain.READY


def test_twice_is_the_running_rotation_and_later_another_key(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, ZONE, sandbox)
    job = rotate_dkim(ada.actor, domain.pk)
    assert rotate_dkim(ada.actor, domain.pk) == job
    up_to(job, "old_key_rests")
    assert rotate_dkim(ada.actor, domain.pk) == job
    rest_is_over(job)
    second = rotate_dkim(ada.actor, domain.pk)
    assert second != job
    up_to(second, "old_key_rests")
    assert statuses() == {
        "mpanel": DkimKey.RETIRED,
        TODAY: DkimKey.RETIRING,
        f"{TODAY}-2": DkimKey.SIGNING,
    }


def test_a_cancelled_rotation_is_taken_up_by_the_next_one(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, ZONE, sandbox)
    job = rotate_dkim(ada.actor, domain.pk)
    work_off()
    cancel_job(ada.actor, job.pk)
    work_off()
    assert ended(job).status == Job.CANCELLED
    again = rotate_dkim(ada.actor, domain.pk)
    up_to(again, "old_key_rests")
    assert dkim_names(sandbox) == {"mpanel", TODAY}
    assert statuses()[TODAY] == DkimKey.SIGNING


def test_a_taken_selector_stops_it_with_a_sentence(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, ZONE, sandbox)
    sandbox.change_record(
        ZONE, "add", type="TXT", name=f"{TODAY}._domainkey.{ZONE}", content='"v=DKIM1; p=AAAA"'
    )
    job = ended(rotate_dkim(ada.actor, domain.pk))
    assert (job.status, job.error_code) == (Job.FAILED, "DKIM_SELECTOR_TAKEN")
    assert statuses()["mpanel"] == DkimKey.SIGNING
    assert kept() == {"mpanel"}


def test_a_setup_in_the_middle_keeps_both_keys(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, ZONE, sandbox)
    early = planned(ada, domain, dmarc_policy="quarantine")
    job = rotate_dkim(ada.actor, domain.pk)
    up_to(job, "next_key_is_seen")
    # A plan that was shown before the rotation began, and one from its middle.
    ended(sure(apply_plan, ada.actor, early.pk))
    assert kept() == dkim_names(sandbox) == {"mpanel", TODAY}
    applied(ada, domain, dmarc_policy="reject")
    assert kept() == dkim_names(sandbox) == {"mpanel", TODAY}
    up_to(job, "old_key_rests")
    applied(ada, domain)
    assert kept() == dkim_names(sandbox) == {"mpanel", TODAY}
    assert statuses() == {"mpanel": DkimKey.RETIRING, TODAY: DkimKey.SIGNING}


def test_a_later_setup_names_the_key_that_signs(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, ZONE, sandbox)
    applied(ada, domain, dkim_selector="s1")
    assert statuses() == {"mpanel": DkimKey.NEXT, "s1": DkimKey.SIGNING}
    assert dkim_names(sandbox) == {"s1"}
    late = planned(ada, domain, dkim_selector="s1", dmarc_policy="reject")
    job = rotate_dkim(ada.actor, domain.pk)
    up_to(job, "old_key_rests")
    rest_is_over(job)
    # The form still shows the selector that was chosen once; its key does not come back.
    applied(ada, domain, dkim_selector="s1")
    applied(ada, domain)
    assert kept() == dkim_names(sandbox) == {TODAY}
    assert statuses()["s1"] == DkimKey.RETIRED
    assert late.status == ChangePlan.READY
    # One that was only put aside can be chosen again.
    applied(ada, domain, dkim_selector="mpanel")
    assert (statuses()["mpanel"], statuses()[TODAY]) == (DkimKey.SIGNING, DkimKey.NEXT)
    assert kept() == dkim_names(sandbox) == {"mpanel"}


def test_taking_a_setup_back_signs_with_what_stands(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, ZONE, sandbox)
    plan = applied(ada, domain, dkim_selector="s1")
    ended(sure(revert_plan, ada.actor, plan.pk))
    assert dkim_names(sandbox) == {"mpanel"}
    assert statuses() == {"mpanel": DkimKey.SIGNING, "s1": DkimKey.NEXT}


def test_leaving_our_server_ends_a_rotation(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, ZONE, sandbox)
    job = rotate_dkim(ada.actor, domain.pk)
    up_to(job, "next_key_is_seen")
    applied(ada, domain, platform="google-workspace")
    assert dkim_names(sandbox) == kept() == set()
    hurry(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.FAILED, "DKIM_RECORD_GONE")
    with pytest.raises(rotation.SignedElsewhere):
        rotate_dkim(ada.actor, domain.pk)


def test_disconnecting_in_the_middle_leaves_nothing(ada: Person, sandbox: RunningSandbox) -> None:
    # A zone that was there before us: it stays, and our records must go one by one.
    use_own_account(ada)
    domain = published(ada, ZONE, sandbox)
    domain.zone.creation_asked_at = None
    domain.zone.save()
    job = rotate_dkim(ada.actor, domain.pk)
    work_off()
    assert TODAY in dkim_names(sandbox)
    ended(sure(disconnect_domain, ada.actor, domain.pk))
    assert sandbox.records(ZONE) == []
    hurry()
    job.refresh_from_db()
    assert job.status == Job.CANCELLED


def test_who_may_rotate_and_what(
    ada: Person, bo: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, ZONE)
    with pytest.raises(DomainNotVerified):
        rotate_dkim(ada.actor, domain.pk)
    Domain.objects.update(verified_at=timezone.now())
    with pytest.raises(Conflict) as caught:
        rotate_dkim(ada.actor, domain.pk)
    assert caught.value.code == "SIGNED_ELSEWHERE"
    with pytest.raises(Forbidden):
        rotate_dkim(bo.actor, domain.pk)
    with pytest.raises(NotFound):
        rotate_dkim(cy.actor, domain.pk)


def test_keys_are_replaced_by_themselves_when_they_are_old(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    published(ada, ZONE, sandbox)
    old = timezone.now() - timedelta(days=100)
    DkimKey.objects.update(signing_since=old)
    rotation.rotate_what_is_due()
    assert not Job.objects.filter(workflow=rotation.WORKFLOW).exists()
    settings.DKIM_ROTATE_EVERY = 200
    rotation.rotate_what_is_due()
    assert not Job.objects.filter(workflow=rotation.WORKFLOW).exists()
    settings.DKIM_ROTATE_EVERY = 90
    for _ in range(2):
        rotation.rotate_what_is_due()
    job = Job.objects.get(workflow=rotation.WORKFLOW)
    assert job.created_by is None
    up_to(job, "old_key_rests")
    rest_is_over(job)
    rotation.rotate_what_is_due()
    assert Job.objects.filter(workflow=rotation.WORKFLOW).count() == 1, "one a day at most"


def test_the_page_and_the_api_tell_the_same(
    ada: Person, bo: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, ZONE, sandbox)
    page, path = f"/domains/{domain.pk}/records/", f"/api/v1/domains/{domain.pk}/dkim"
    assert "Signs now" in ada.client.get(page).content.decode()
    assert Api(cy.token).get(path).status == 404
    assert Api(bo.token).post(f"{path}/rotate").status == 403
    assert bo.client.post(f"/domains/{domain.pk}/dkim/rotate/").status_code == 403

    question = ada.client.get(f"/domains/{domain.pk}/dkim/rotate/").content.decode()
    assert "stays published" in question
    ada.client.post(f"/domains/{domain.pk}/dkim/rotate/")
    again = Api(ada.token).post(f"{path}/rotate")
    assert (again.status, Job.objects.filter(workflow=rotation.WORKFLOW).count()) == (202, 1)
    work_off()
    told = Api(ada.token).get(path).body
    assert told["selector"] == "mpanel"
    assert [(key["selector"], key["status"]) for key in told["keys"]] == [
        (TODAY, "next"),
        ("mpanel", "signing"),
    ]
    assert told["rotation"]["status"] == "waiting"
    shown = ada.client.get(page).content.decode()
    assert told["rotation"]["waiting_for"] in shown
    assert "Rotate now" not in shown
    assert "PRIVATE" not in shown + str(told)
