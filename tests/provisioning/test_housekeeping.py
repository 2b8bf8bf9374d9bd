"""What is old goes: jobs with their logs, in short transactions, and nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from mpanel.core import periodic, pruning
from provisioning.housekeeping import tidy
from provisioning.models import Job, JobLog, JobStep
from provisioning.services import retry_job
from tests.cast import Person
from tests.provisioning.workshop import Workshop
from tests.work import work_off

pytestmark = pytest.mark.django_db


def test_jobs_that_ended_long_ago_go_with_their_logs(ada: Person, workshop: Workshop) -> None:
    old, recent = workshop.start(ada), workshop.start(ada)
    work_off()
    active = workshop.start(ada)
    long_ago = timezone.now() - timedelta(days=181)
    Job.objects.filter(pk__in=[old.pk, active.pk]).update(created_at=long_ago)
    Job.objects.filter(pk=old.pk).update(finished_at=long_ago)
    assert not tidy()
    assert set(Job.objects.values_list("pk", flat=True)) == {recent.pk, active.pk}
    for model in (JobLog, JobStep):
        assert not model.objects.filter(job_id=old.pk).exists()
    assert JobLog.objects.filter(job=recent).exists()


def test_a_job_that_is_retried_meanwhile_stays(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    work_off()
    long_ago = timezone.now() - timedelta(days=181)
    Job.objects.update(status=Job.FAILED, finished_at=long_ago)

    def retry_when_found(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        if Job._meta.db_table in sql and not retried:
            retried.append(job.pk)
            retry_job(ada.actor, job.pk)
        return found

    retried: list[UUID] = []
    with connection.execute_wrapper(retry_when_found):
        assert not tidy()
    assert Job.objects.get().status == Job.PENDING


def test_many_go_in_slices(
    ada: Person, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        workshop.start(ada)
    work_off()
    Job.objects.update(finished_at=timezone.now() - timedelta(days=181))
    monkeypatch.setattr(periodic, "SLICE", 0.0)
    monkeypatch.setattr(pruning, "ROWS", 2)
    assert tidy()
    assert Job.objects.count() == 1
    while tidy():
        pass
    assert not Job.objects.exists()
