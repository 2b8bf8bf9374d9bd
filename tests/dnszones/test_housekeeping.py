"""Plans and copies of zones go by age; what may be taken back, or tells what is ours, stays."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dnszones.housekeeping import forget_old_plans
from dnszones.models import ChangePlan, Zone
from tests.cast import Person
from tests.stories import connected

pytestmark = pytest.mark.django_db


def test_old_plans_go_and_what_they_are_needed_for_stays(ada: Person) -> None:
    domain = connected(ada, "example.test")
    zone, _ = Zone.objects.get_or_create(domain=domain, defaults={"provider": "cloudflare"})
    long_ago = timezone.now() - timedelta(days=181)

    def plan(status: str, **more: object) -> ChangePlan:
        made = ChangePlan.objects.create(zone=zone, status=status, **more)
        ChangePlan.objects.filter(pk=made.pk).update(updated_at=long_ago)
        return made

    copy = [{"id": "1"}]
    plan("superseded")
    plan("failed")
    plan("applied", kind="spf", snapshot=copy, applied_at=long_ago)
    begun = plan("failed", snapshot=copy)  # it may have written something
    applied = plan("applied", snapshot=copy, applied_at=long_ago)
    ready = plan("ready")
    recent = ChangePlan.objects.create(zone=zone, status="superseded")
    fresh = plan("applied", snapshot=copy, applied_at=timezone.now())
    assert not forget_old_plans()
    left = dict(ChangePlan.objects.values_list("pk", "snapshot"))
    assert left == {
        begun.pk: copy,
        applied.pk: [],  # that there was one counts, its records are read by nobody
        ready.pk: None,
        recent.pk: None,
        fresh.pk: copy,
    }
