"""The pages of jobs: list, one job, retry, cancel; for the tenant only."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mpanel.core.models import new_id
from provisioning.models import Job, JobLog, JobStep
from provisioning.urls import pages
from tests.cast import Person
from tests.provisioning.workshop import Workshop, fresh, log_of
from tests.work import work_off

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def many(person: Person, count: int, **fields: Any) -> None:
    """Jobs in the list, without their work."""
    jobs = Job.objects.bulk_create(
        Job(
            **{
                "tenant_id": person.actor.tenant_id,
                "workflow": "test",
                "label": f"Job {number}",
                "subject_id": new_id(),
                "subject_label": f"d{number}.example.test",
                "status": Job.SUCCEEDED,
                **fields,
            }
        )
        for number in range(count)
    )
    JobStep.objects.bulk_create(
        JobStep(job=job, position=at, name=f"step{at}", label="Step")
        for job in jobs
        for at in (0, 1)
    )


def labels(response: Any) -> list[str]:
    return [job.label for job in response.context["page"]]


# --- The list --------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do_next(ada: Person) -> None:
    page = ada.client.get("/jobs/")
    assert page.status_code == 200
    assert "Nothing has been done yet" in page.text
    assert reverse("setup") in page.text


def test_the_list_shows_the_newest_first_in_pages(ada: Person, cy: Person) -> None:
    many(ada, 25)
    many(cy, 3, label="Not yours")
    first, second = (ada.client.get("/jobs/", {"page": number}) for number in (1, 2))
    assert labels(first) == [f"Job {number}" for number in range(24, 4, -1)]
    assert labels(second) == [f"Job {number}" for number in range(4, -1, -1)]
    assert labels(ada.client.get("/jobs/", {"page": "nonsense"})) == labels(first)
    assert labels(ada.client.get("/jobs/", {"page": 99})) == labels(second)
    assert "Not yours" not in first.text


def test_the_list_is_searched_and_filtered(ada: Person) -> None:
    many(ada, 2)
    many(ada, 1, label="Broken", status=Job.FAILED)
    many(ada, 1, label="Under way", status=Job.WAITING)

    def found(**query: str) -> list[str]:
        return labels(ada.client.get("/jobs/", query))

    assert found(q="d1.EXAMPLE") == ["Job 1"]
    assert found(q="broken") == ["Broken"]
    assert found(status="failed") == ["Broken"]
    assert found(status="active") == ["Under way"]
    assert found(status="succeeded", q="Job 0") == ["Job 0"]
    assert found(q="100%_") == []
    assert "No job matches" in ada.client.get("/jobs/", {"q": "zzz"}).text


def test_the_list_takes_as_many_queries_for_twenty_as_for_one(
    ada: Person, django_assert_num_queries: Callable[[int], Any]
) -> None:
    many(ada, 1)
    ada.client.get("/jobs/")
    queries = 9  # session, user, sign-in, count, page, steps, account, tenant, bell
    with django_assert_num_queries(queries):
        ada.client.get("/jobs/")
    many(ada, 30)
    with django_assert_num_queries(queries):
        ada.client.get("/jobs/")


def test_the_list_polls_only_while_something_is_under_way(ada: Person) -> None:
    many(ada, 1)
    assert "hx-get" not in part(ada, "/jobs/")
    many(ada, 1, status=Job.RUNNING)
    rows = part(ada, "/jobs/?q=Job")
    assert 'hx-get="/jobs/?q=Job"' in rows
    assert "<html" not in rows
    assert "<html" in ada.client.get("/jobs/").text


def part(person: Person, url: str) -> str:
    """What HTMX gets for its poll."""
    return person.client.get(url, headers=HTMX).text


# --- One job ---------------------------------------------------------------------------------


def test_a_job_shows_its_steps_its_evidence_and_its_log(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada, label="Build a house")
    work_off()
    step = job.steps.get(name="walls")
    assert step.observed is not None
    step.drift = {**step.observed, "verdict": "missing", "summary": "The walls are gone."}
    step.save()
    page = ada.client.get(f"/jobs/{job.pk}/").text
    for text in (
        "Build a house",
        "The floor",
        "The walls is there.",
        "The walls are gone.",
        "Done.",
    ):
        assert text in page
    assert "Check again" in page
    assert "Retry" not in page
    assert "hx-get" not in part(ada, f"/jobs/{job.pk}/")


def test_an_active_job_polls_its_own_part(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    live = part(ada, f"/jobs/{job.pk}/")
    assert f'hx-get="/jobs/{job.pk}/"' in live
    assert "<html" not in live
    assert f"/jobs/{job.pk}/cancel/" in ada.client.get(f"/jobs/{job.pk}/").text


def test_a_log_is_text_whatever_it_says(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada, label="<b>Build</b>")
    JobLog.objects.create(job=job, text="<script>alert(1)</script>")
    page = ada.client.get(f"/jobs/{job.pk}/").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>Build" not in page


def test_a_job_takes_the_same_queries_however_long_its_log(
    ada: Person, workshop: Workshop, django_assert_num_queries: Callable[[int], Any]
) -> None:
    job = workshop.start(ada)
    ada.client.get(f"/jobs/{job.pk}/")
    queries = 9  # session, user, sign-in, job, steps, log, account, tenant, bell
    with django_assert_num_queries(queries):
        ada.client.get(f"/jobs/{job.pk}/")
    JobLog.objects.bulk_create(JobLog(job=job, text=f"Line {n}.") for n in range(600))
    with django_assert_num_queries(queries):
        page = ada.client.get(f"/jobs/{job.pk}/").text
    assert "Line 599." in page
    assert "Line 99." not in page  # only the last five hundred


# --- Acting ----------------------------------------------------------------------------------


def test_cancelling_asks_first(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada, label="Build a house")
    question = ada.client.get(f"/jobs/{job.pk}/cancel/")
    assert question.status_code == 200
    assert "Cancel “Build a house”?" in question.text
    assert not fresh(job).cancel_requested
    done = ada.client.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert done.redirect_chain == [(f"/jobs/{job.pk}/", 302)]
    assert "stops before its next step" in done.text
    work_off()
    assert fresh(job).status == "cancelled"
    assert "ada@people.test asked to cancel." in log_of(job)


def test_a_cancelled_job_is_retried(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    ada.client.post(f"/jobs/{job.pk}/cancel/")
    work_off()
    assert "Retry" in ada.client.get(f"/jobs/{job.pk}/").text
    back = ada.client.post(f"/jobs/{job.pk}/retry/", {"next": "/overview/"})
    assert back.headers["Location"] == "/overview/"
    elsewhere = ada.client.post(f"/jobs/{job.pk}/retry/", {"next": "https://elsewhere.test/"})
    assert elsewhere.headers["Location"] == f"/jobs/{job.pk}/"
    work_off()
    assert fresh(job).status == "succeeded"


def test_looking_again_shows_what_drifted(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    work_off()
    workshop.world.there.clear()
    ada.client.post(f"/jobs/{job.pk}/look-again/")
    work_off()
    assert "Changed since" in ada.client.get(f"/jobs/{job.pk}/").text


def test_what_is_not_possible_says_so(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    assert ada.client.post(f"/jobs/{job.pk}/look-again/").status_code == 409
    work_off()
    for action in ("cancel", "retry"):
        assert ada.client.post(f"/jobs/{job.pk}/{action}/").status_code == 409


def test_a_member_sees_jobs_but_may_not_cancel_or_retry(
    ada: Person, bo: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada)
    assert bo.client.get(f"/jobs/{job.pk}/").status_code == 200
    for action in ("cancel", "retry"):
        assert bo.client.post(f"/jobs/{job.pk}/{action}/").status_code == 403
    assert not fresh(job).cancel_requested


# --- Strangers -------------------------------------------------------------------------------

ONE_JOB = [page.name for page in pages if "job_id" in str(page.pattern)]


@pytest.mark.parametrize("name", ONE_JOB)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_strangers_job_is_like_one_that_never_was(
    ada: Person, cy: Person, workshop: Workshop, name: str, method: str
) -> None:
    job = workshop.start(ada)
    before = fresh(job).updated_at
    allowed = getattr(ada.client, method)(reverse(name, args=[new_id()])).status_code
    assert allowed in {404, 405}
    for headers in ({}, HTMX):
        foreign, unknown = (
            getattr(cy.client, method)(reverse(name, args=[job_id]), headers=headers)
            for job_id in (job.pk, new_id())
        )
        assert foreign.status_code == unknown.status_code == allowed
    assert fresh(job).updated_at == before
    assert not fresh(job).cancel_requested


@pytest.mark.parametrize("name", ONE_JOB)
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_no_other_method_does_anything(
    ada: Person, workshop: Workshop, name: str, method: str
) -> None:
    job = workshop.start(ada)
    url = reverse(name, args=[job.pk])
    assert getattr(ada.client, method)(url).status_code == 405
    assert fresh(job).status == "pending"


@pytest.mark.parametrize("name", ONE_JOB)
def test_a_visitor_is_sent_to_sign_in(ada: Person, workshop: Workshop, name: str) -> None:
    url = reverse(name, args=[workshop.start(ada).pk])
    answer = Client().post(url)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in/")
    assert "sign-in" in Client().get("/jobs/", headers=HTMX).headers["HX-Redirect"]
