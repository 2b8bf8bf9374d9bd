"""Customers who choose otherwise, take back, or leave things in the way."""

import pytest

from dnszones.models import ChangePlan, Record
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import agree_to_replace, apply_plan
from dnszones.propagation.services import go_on_before_propagated
from dnszones.selectors import plan_of, revertible_plan
from domains.models import Domain
from mailboxes.models import Mailbox
from mailboxes.services import (
    DomainNotReady,
    MailElsewhere,
    provision_mailboxes,
    retry_mailbox,
    reveal_batch,
    suspend_mailbox,
)
from mpanel.core.errors import Conflict
from provisioning.models import Job
from provisioning.services import cancel_job
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import planned, provisioned, published, verified
from tests.work import ended, sure, until, work_off

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

NAME = "example.test"


def spread(domain: Domain, *, to: str) -> None:
    """Sweep until the domain has this status."""

    def there() -> bool:
        Record.objects.filter(zone__domain=domain).update(next_check_at="2000-01-01T00:00Z")
        domain.refresh_from_db()
        return domain.status == to

    until(there, sweep="dnszones.propagation")


@pytest.mark.django_db
def test_a_required_conflict_keeps_the_domain_from_ready(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    sandbox.change_record(NAME, "add", type="MX", name=NAME, content="mail.bo.test", priority=5)
    plan = planned(ada, domain)
    setup = f"/setup/{domain.pk}"
    assert "Mail will not work yet" in ada.client.get(f"{setup}/dns/").content.decode()
    ended(apply_plan(ada.actor, plan.pk))
    assert "Mail does not work yet" in ada.client.get(f"{setup}/dns/").content.decode()
    Record.objects.update(next_check_at="2000-01-01T00:00Z")
    until(lambda: Record.objects.get(type="MX").verdict == "conflicts",
          sweep="dnszones.propagation")  # fmt: skip
    page = ada.client.get(f"{setup}/propagation/").content.decode()
    assert "Other records are in the way" in page
    assert f'href="{setup}/dns/?edit=1"' in page
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING
    with pytest.raises(Conflict):
        go_on_before_propagated(ada.actor, domain.pk)
    with pytest.raises(DomainNotReady):
        provision_mailboxes(ada.actor, domain.pk, count=1, convention="role")

    plan = planned(ada, domain)
    computed = plan_of(plan)
    assert computed is not None
    (blocked,) = computed.blocked
    agreed = agree_to_replace(ada.actor, plan.pk, replace_ids=[blocked.id])
    work_off()
    ended(sure(apply_plan, ada.actor, agreed.pk))
    domain_page = ada.client.get(f"/domains/{domain.pk}/").content.decode()
    assert f"Applied a DNS plan with 1 change to {NAME}." in domain_page
    assert "Mail does not work yet" not in ada.client.get(f"{setup}/dns/").content.decode()
    spread(domain, to=Domain.READY)
    page = ada.client.get(f"{setup}/propagation/").content.decode()
    assert "Other records are in the way" not in page


@pytest.mark.django_db
def test_inboxes_are_only_made_where_our_server_handles_the_mail(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, NAME, sandbox)
    plan = planned(ada, domain, platform="google-workspace")
    ended(sure(apply_plan, ada.actor, plan.pk))
    spread(domain, to=Domain.READY)
    with pytest.raises(MailElsewhere):
        provision_mailboxes(ada.actor, domain.pk, count=1, convention="role")
    page = ada.client.get(f"/setup/{domain.pk}/inboxes/").content.decode()
    assert "A credential is needed" in page  # Google can make them, once the domain is attached
    assert "Create the inboxes" not in page
    plan = planned(
        ada,
        domain,
        platform="microsoft-365",
        microsoft_mx="example-test.mail.protection.outlook.com",
    )
    ended(sure(apply_plan, ada.actor, plan.pk))
    page = ada.client.get(f"/setup/{domain.pk}/inboxes/", follow=True).content.decode()
    assert "Create the inboxes" not in page
    spread(domain, to=Domain.READY)
    page = ada.client.get(f"/setup/{domain.pk}/inboxes/").content.decode()
    assert "handled elsewhere" in page
    assert "Create the inboxes" not in page


@pytest.mark.django_db(transaction=True)
def test_taking_the_dns_back_closes_the_later_steps_until_it_is_set_up_again(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain, _ = provisioned(ada, NAME, sandbox, count=2)
    applied = revertible_plan(domain)
    assert applied is not None
    ended(sure(revert_plan, ada.actor, applied.pk))
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED
    with pytest.raises(DomainNotReady):
        provision_mailboxes(ada.actor, domain.pk, count=1, convention="role")
    ended(apply_plan(ada.actor, planned(ada, domain).pk))
    spread(domain, to=Domain.PROVISIONED)


@pytest.mark.django_db
def test_what_a_cancelled_plan_wrote_is_known_as_ours(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    plan = planned(ada, domain)
    sandbox.fault("cloudflare", "drop_after_commit", method="POST", times=1)
    job = apply_plan(ada.actor, plan.pk)
    work_off()
    cancel_job(ada.actor, job.pk)
    assert ended(job).status == Job.CANCELLED
    google = plan_of(planned(ada, domain, platform="google-workspace"))
    assert google is not None
    assert google.conflicts == ()
    assert {(change.action, change.purpose) for change in google.steps} == {
        ("update", "mx"),
        ("update", "spf"),
        ("delete", "dkim"),
    }


@pytest.mark.django_db
def test_a_plan_that_was_begun_writes_nothing_to_a_domain_that_leaves(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    job = apply_plan(ada.actor, planned(ada, domain).pk)
    domain.move(Domain.DELETING)
    assert ended(job).error_code == "DOMAIN_IS_LEAVING"
    assert not [row for row in sandbox.records(NAME) if row["type"] in {"MX", "TXT"}]


@pytest.mark.django_db(transaction=True)
def test_one_failed_mailbox_is_retried_by_a_job_of_its_own(
    ada: Person, sandbox: RunningSandbox
) -> None:
    _, batch = provisioned(ada, NAME, sandbox, count=3)
    first, second, third = batch.mailboxes.all()
    Mailbox.objects.filter(pk__in=[first.pk, second.pk]).update(status=Mailbox.FAILED)
    retry_mailbox(ada.actor, first.pk)
    job = Job.objects.filter(workflow="mailboxes.provision").first()
    assert job is not None
    assert ended(job).status == Job.SUCCEEDED
    assert job.label == f"Verify {first.address}"
    second.refresh_from_db()
    assert second.status == Mailbox.FAILED
    suspend_mailbox(ada.actor, third.pk)
    revealed = {credential.mailbox.pk for credential in reveal_batch(ada.actor, batch.pk)}
    assert revealed == {first.pk, third.pk}
    assert ChangePlan.objects.count() == 1
