"""Source 5's jobs, and the same ones as source 1's deployments."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from provisioning.models import Job, JobLog
from provisioning.services import start_job
from tenants.services import create_api_key
from tests.api import Api, early_in_a_minute
from tests.cast import Person
from tests.provisioning.workshop import Workshop, opened
from tests.wizard.rows import estate
from tests.work import work_off

pytestmark = pytest.mark.django_db
JOBS = "/api/jobs"
FIELDS = {
    "id", "tenantId", "type", "status", "targetId", "createdAt", "updatedAt",
    "label", "targetLabel", "progress", "error",
}  # fmt: skip


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    """A workflow of three things, one after the other."""
    with opened(["floor", "walls", "roof"]) as shop:
        yield shop


def deployment(job: Job) -> str:
    return f"/api/v1/infrastructure/deployment/{job.pk}"


def test_jobs_are_listed_newest_first(ada: Person, cy: Person) -> None:
    older, newer = estate(ada, "one.test").job, estate(ada, "two.test").job
    estate(cy, "theirs.test")
    listed = Api(ada.token).get(JOBS)
    assert listed.status == 200
    assert set(listed.body) == {"items", "total"}
    assert listed.body["total"] == 2
    assert [row["id"] for row in listed.body["items"]] == [str(newer.pk), str(older.pk)]
    first = listed.body["items"][0]
    assert set(first) == FIELDS
    assert first["tenantId"] == str(ada.actor.tenant_id)
    assert first["targetId"] == str(newer.subject_id)
    assert (first["type"], first["status"]) == ("mailboxes.provision", "pending")
    assert (first["progress"], first["error"]) == (0, None)


def test_jobs_are_filtered_ordered_and_paged(ada: Person) -> None:
    api, things = Api(ada.token), [estate(ada, f"d{n}.test") for n in range(3)]
    Job.objects.filter(pk=things[0].job.pk).update(status="failed", error_message="Broken.")
    start_job(ada.actor, "domains.connect", subject_id=things[1].domain.pk, subject_label="d1.test")

    def found(**query: object) -> list[str]:
        answer = api.get(JOBS, query)
        assert answer.status == 200, answer.body
        return [row["id"] for row in answer.body["items"]]

    assert found(status="failed") == [str(things[0].job.pk)]
    assert len(found(status="active")) == 3
    assert len(found(type="domains.connect")) == 1
    assert found(targetId=things[2].batch.pk) == [str(things[2].job.pk)]
    assert found(targetId=uuid4()) == []
    assert found(search="d2.test") == [str(things[2].job.pk)]
    assert found(order="createdAt") == found()[::-1]
    assert found(page=2, pageSize=3) == [str(things[0].job.pk)]
    for wrong in ({"status": "odd"}, {"targetId": "x"}, {"pageSize": 101}, {"target_id": uuid4()}):
        assert api.get(JOBS, wrong).error == "VALIDATION_ERROR"


def test_a_list_costs_the_same_for_three_and_for_thirty(
    ada: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api, batch = Api(ada.token), estate(ada).batch
    early_in_a_minute()
    api.get(JOBS)
    for more in (2, 27):
        for _ in range(more):
            start_job(ada.actor, "mailboxes.provision", subject_id=batch.pk, subject_label="x")
        with django_assert_num_queries(4):  # session, count, jobs, steps
            listed = api.get(JOBS, {"pageSize": 100})
        assert len(listed.body["items"]) == (3 if more == 2 else 30)


def test_one_job_with_steps_and_log(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    work_off()
    shown = Api(ada.token).get(f"{JOBS}/{job.pk}")
    assert shown.status == 200
    assert set(shown.body) == FIELDS | {"waitingFor", "steps", "log"}
    assert (shown.body["status"], shown.body["progress"]) == ("succeeded", 100)
    assert [step["name"] for step in shown.body["steps"]] == ["floor", "walls", "roof"]
    assert {step["status"] for step in shown.body["steps"]} == {"done"}
    assert shown.body["log"][-1]["text"] == "Done."
    assert set(shown.body["log"][0]) == {"at", "level", "text"}


def test_a_deployment_is_the_same_job(ada: Person, workshop: Workshop) -> None:
    api, job = Api(ada.token), workshop.start(ada)
    before = api.get(deployment(job))
    assert before.status == 200
    assert set(before.body) == {"deployment_id", "status", "progress", "logs", "error"}
    assert before.body["deployment_id"] == str(job.pk)
    assert (before.body["status"], before.body["progress"]) == ("pending", 0)
    work_off()
    after = api.get(deployment(job)).body
    assert (after["status"], after["progress"], after["error"]) == ("provisioned", 100, None)
    line = JobLog.objects.filter(job=job).last()
    assert line is not None
    assert after["logs"][-1] == f"[{line.at:%H:%M:%S}] Done."


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("pending", "pending"),
        ("running", "in_progress"),
        ("waiting", "in_progress"),
        ("succeeded", "provisioned"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
    ],
)
def test_a_deployments_status_in_the_words_of_its_source(
    ada: Person, status: str, told: str
) -> None:
    job = estate(ada).job
    Job.objects.filter(pk=job.pk).update(
        status=status, waiting_for="Waiting for caches.", error_message="Because."
    )
    shown = Api(ada.token).get(deployment(job)).body
    assert (shown["status"], shown["error"]) == (told, "Because.")
    is_active = told in {"pending", "in_progress"}
    assert ("Currently: Waiting for caches." in shown["logs"]) == is_active


def test_a_failed_job_is_retried_and_a_done_one_is_not(ada: Person, workshop: Workshop) -> None:
    api, job = Api(ada.token), workshop.start(ada)
    Job.objects.filter(pk=job.pk).update(
        status="failed",
        error_code="NO_ANSWER",
        error_message="Silence.",
        finished_at=timezone.now(),
    )
    assert api.get(f"{JOBS}/{job.pk}").body["error"] == {"code": "NO_ANSWER", "message": "Silence."}
    retried = api.post(f"{JOBS}/{job.pk}/retry")
    assert retried.status == 200
    assert (retried.body["status"], retried.body["error"]) == ("pending", None)
    assert api.post(f"{JOBS}/{job.pk}/retry").status == 200  # it is under way: twice is harmless
    work_off()
    done = api.post(f"{JOBS}/{job.pk}/retry")
    assert (done.status, done.error) == (409, "CONFLICT")


def test_who_may_see_and_retry(ada: Person, bo: Person, cy: Person) -> None:
    job = estate(ada).job
    path = f"{JOBS}/{job.pk}"
    assert Api(bo.token).get(path).status == 200
    assert Api(bo.token).post(f"{path}/retry").error == "FORBIDDEN"
    foreign, unknown = Api(cy.token).get(path), Api(cy.token).get(f"{JOBS}/{uuid4()}")
    assert (foreign.status, foreign.error) == (404, "JOB_NOT_FOUND")
    assert foreign.raw == unknown.raw
    assert Api(cy.token).get(deployment(job)).raw == foreign.raw
    key = create_api_key(ada.actor, name="CI", scopes=["jobs:read"]).plain
    assert Api(key).get(path).status == 200
    assert Api(key).post(f"{path}/retry").error == "SCOPE_MISSING"
    assert Api().get(path).error == "UNAUTHORIZED"
