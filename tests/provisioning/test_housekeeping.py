"""What is old goes: jobs with their logs, in short transactions, and nothing else."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mpanel.core import periodic, pruning
from provisioning.housekeeping import tidy
from provisioning.models import Job, JobLog, JobStep
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
