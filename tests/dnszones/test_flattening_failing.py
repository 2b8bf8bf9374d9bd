"""A flattened record that cannot be published: one failed job at most, and growing waits."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from dnszones.models import ChangePlan, SpfFlattening, Zone
from domains.models import Domain
from provisioning.models import Job
from tests.cast import Person
from tests.dnsservers import dns_servers
from tests.dnszones.test_flattened_week import OURS, Upstream, nets
from tests.dnszones.test_flattening import flattened, look
from tests.sandboxes import RunningSandbox
from tests.work import work_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with dns_servers("127.0.0.89") as [server]:
        found = Upstream(server)
        found.say(OURS, "v=spf1 ip4:127.0.0.1 -all")
        found.say("one.test", f"v=spf1 {nets(1)} -all")
        yield found


@pytest.fixture
def domain(
    ada: Person, sandbox: RunningSandbox, upstream: Upstream, settings: LazySettings
) -> Domain:
    return flattened(ada, sandbox, upstream, settings)


def jobs() -> list[tuple[str, str]]:
    found = Job.objects.filter(workflow="dnszones.spf").order_by("pk")
    return list(found.values_list("status", "error_code"))


def test_a_zone_that_is_gone_is_tried_again_later_and_by_one_job(
    domain: Domain, upstream: Upstream
) -> None:
    there = Zone.objects.get().remote_id
    Zone.objects.update(remote_id="0" * 32)
    upstream.say("one.test", f"v=spf1 {nets(1, 7)} -all")
    for failed_for in (timedelta(0), timedelta(hours=2), timedelta(days=3)):
        SpfFlattening.objects.filter(failing_since__isnull=False).update(
            failing_since=timezone.now() - failed_for
        )
        before = timezone.now()
        look()
        assert [status for status, _ in jobs()] == ["failed"]
        least = min(max(failed_for, timedelta(minutes=5)), timedelta(days=1))
        row = SpfFlattening.objects.get()
        assert before + least <= row.next_check_at <= timezone.now() + least + timedelta(minutes=1)
        assert row.error
    assert ChangePlan.objects.filter(kind=ChangePlan.SPF, status=ChangePlan.FAILED).count() == 1

    Zone.objects.update(remote_id=there)
    look()
    assert [status for status, _ in jobs()] == ["succeeded"]
    assert SpfFlattening.objects.get().error == ""


def test_former_parts_that_cannot_be_removed_are_left_for_a_day(domain: Domain) -> None:
    from dnszones.spf.flattened.sweep import sweep

    Zone.objects.update(remote_id="0" * 32)
    past = timezone.now() - timedelta(hours=1)
    part = {"name": "_spf1.example.test", "text": "v=spf1 -all", "until": past.isoformat()}
    SpfFlattening.objects.update(leaving=[part], leaving_at=past)
    for _ in range(3):
        sweep()
        work_off()
    assert [status for status, _ in jobs()] == ["failed"]
    tomorrow = timezone.now() + timedelta(hours=23)
    assert SpfFlattening.objects.filter(leaving_at__gt=tomorrow).exists()
