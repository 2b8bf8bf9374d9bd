"""What operators do in the admin: through services, in the row's tenant, and told in its trail."""

from datetime import timedelta

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Account
from billing.selectors import get_account
from events.models import Chain, Event, WebhookDelivery
from events.relay import relay
from events.services import create_webhook, record
from mailboxes.models import Mailbox, OutsideSender
from mailboxes.on_servers import may_write_as_outsider
from mailservers.selectors import regions
from mailservers.vendors import house_server
from provisioning.models import Job
from tenants.models import ApiKey, Session, Tenant, User
from tenants.services import create_api_key, start_session
from tenants.services.operators import make_operator
from tests.api import Api
from tests.cast import Person, helper_of
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops(ada: Person) -> Client:
    """Ada, who runs this installation."""
    make_operator(ada.user)
    return ada.client


def act(ops: Client, name: str, *rows: Model, **more: str) -> str:
    """Choose an action for these rows: the page that answers, after its redirect."""
    opts = rows[0]._meta
    path = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    sent = {"action": name, "index": "0", "_selected_action": [str(row.pk) for row in rows]}
    answer = ops.post(path, {**sent, **more}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def confirmed(ops: Client, name: str, *rows: Model) -> str:
    """The same, with the second question answered."""
    before = Event.objects.count()
    asked = act(ops, name, *rows)
    assert 'name="confirmed"' in asked
    assert Event.objects.count() == before, "it acted before it was confirmed"
    return act(ops, name, *rows, confirmed="yes")


def told(who: Person, by: Person, action: str) -> Event:
    """The one such event in the trail of somebody's tenant; by the operator."""
    event = Event.objects.get(tenant=who.tenant, action=action)
    assert (event.user_id, event.actor_name, event.via) == (
        by.user.pk,
        "ada@people.test",
        "operator",
    )
    return event


def test_a_tenant_is_suspended_and_activated(ops: Client, ada: Person, cy: Person) -> None:
    confirmed(ops, "suspend_tenant", cy.tenant)
    assert cy.tenant.status == Tenant.SUSPENDED
    told(cy, ada, "tenant.suspended")
    assert Api(cy.token).get("/api/auth/me").error == "ACCOUNT_CLOSED"
    act(ops, "activate_tenant", cy.tenant)
    assert cy.tenant.status == Tenant.ACTIVE
    told(cy, ada, "tenant.activated")


def test_what_a_service_refuses_is_said_and_the_rest_is_done(
    ops: Client, ada: Person, cy: Person
) -> None:
    page = confirmed(ops, "suspend_tenant", ada.tenant, cy.tenant)
    assert "Nobody can suspend or delete themselves" in page
    assert "Suspend: done for 1." in page
    assert (ada.tenant.status, cy.tenant.status) == (Tenant.ACTIVE, Tenant.SUSPENDED)


def test_a_user_is_suspended_signed_out_and_activated(ops: Client, ada: Person, cy: Person) -> None:
    di = helper_of(cy, "di")
    act(ops, "end_sessions_of_user", di.user, confirmed="yes")
    assert Api(di.token).get("/api/auth/me").error == "INVALID_TOKEN"
    told(cy, ada, "session.ended")
    start_session(di.user, kind=Session.API, address="")
    confirmed(ops, "suspend_user", di.user)
    assert not User.objects.get(pk=di.user.pk).is_active
    assert not Session.objects.live().filter(membership__user=di.user).exists()
    told(cy, ada, "user.suspended")
    act(ops, "activate_user", di.user)
    assert User.objects.get(pk=di.user.pk).is_active
    assert "last owner" in confirmed(ops, "suspend_user", cy.user)
    assert User.objects.get(pk=cy.user.pk).is_active


def test_a_session_is_ended_and_a_key_revoked(ops: Client, ada: Person, cy: Person) -> None:
    made = create_api_key(cy.actor, name="CI", scopes=["account:read"])
    act(ops, "end_session", cy.session)
    assert Api(cy.token).get("/api/auth/me").error == "INVALID_TOKEN"
    told(cy, ada, "session.ended")
    for _ in range(2):
        act(ops, "revoke_key", made.key, confirmed="yes")
    assert ApiKey.objects.get(pk=made.key.pk).revoked_at is not None
    assert Api(made.plain).get("/api/auth/me").error == "INVALID_TOKEN"
    told(cy, ada, "api_key.revoked")


def test_jobs_are_cancelled_and_tried_again(ops: Client, ada: Person, cy: Person) -> None:
    job = estate(cy, "cy.test").job
    confirmed(ops, "cancel", job)
    job.refresh_from_db()
    assert job.cancel_requested
    told(cy, ada, "job.cancelled")
    Job.objects.filter(pk=job.pk).update(status=Job.FAILED)
    act(ops, "retry", job)
    job.refresh_from_db()
    assert job.status == Job.PENDING
    told(cy, ada, "job.retried")


def test_mailboxes_are_suspended_and_activated(ops: Client, ada: Person, cy: Person) -> None:
    mailbox = estate(cy, "cy.test").mailboxes[0]
    confirmed(ops, "suspend", mailbox)
    mailbox.refresh_from_db()
    assert mailbox.status == Mailbox.SUSPENDED
    told(cy, ada, "mailbox.suspended")
    act(ops, "activate", mailbox)
    mailbox.refresh_from_db()
    assert mailbox.status == Mailbox.ACTIVE
    told(cy, ada, "mailbox.activated")


def test_a_mailbox_may_write_as_outsiders(ops: Client, ada: Person, cy: Person) -> None:
    first, second = estate(cy, "cy.test").mailboxes
    confirmed(ops, "allow_outside_from", first)
    confirmed(ops, "allow_outside_from", first)
    told(cy, ada, "outside_sender.allowed")
    assert [may_write_as_outsider(one.address) for one in (first, second)] == [True, False]
    (permission,) = OutsideSender.objects.all()
    confirmed(ops, "forbid_outside_from", permission)
    told(cy, ada, "outside_sender.forbidden")
    assert not may_write_as_outsider(first.address)
    confirmed(ops, "allow_outside_from_to_tenant", first)
    assert may_write_as_outsider(second.address)


def test_a_deletion_that_hangs_is_forced(ops: Client, ada: Person, cy: Person) -> None:
    mailbox = estate(cy, "cy.test").mailboxes[0]
    assert "under way" in confirmed(ops, "force_deletion", mailbox)
    Mailbox.objects.filter(pk=mailbox.pk).update(status=Mailbox.DELETING)
    confirmed(ops, "force_deletion", mailbox)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.sealed_password) == (Mailbox.DELETED, "")
    told(cy, ada, "mailbox.deletion_forced")


def test_a_mail_server_is_closed_to_new_domains(ops: Client, ada: Person) -> None:
    house = house_server()
    confirmed(ops, "close_server", house)
    assert regions(ada.actor) == []
    act(ops, "open_server", house)
    assert [found.region for found in regions(ada.actor)] == [house.region]
    actions = Event.objects.filter(subject_id=house.pk).values_list("action", flat=True)
    assert set(actions) == {"mail_server.opened", "mail_server.closed"}


def test_a_delivery_is_sent_once_more(ops: Client, ada: Person, cy: Person) -> None:
    endpoint, secret = create_webhook(
        cy.actor, url="https://127.0.0.1:8443/cy", actions=["*"], description="cy"
    )
    event = record(cy.actor, "tenant.renamed", cy.tenant, "For a delivery.")
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint, event=event, status=WebhookDelivery.FAILED
    )
    assert secret not in act(ops, "redeliver", delivery)
    delivery.refresh_from_db()
    assert delivery.status == WebhookDelivery.PENDING
    told(cy, ada, "webhook.redelivered")


def test_a_chain_is_verified(ops: Client, ada: Person, cy: Person) -> None:
    relay()
    chain = Chain.objects.get(tenant=cy.tenant)
    assert f"{chain.seq} events, whole" in act(ops, "verify_chain", chain)
    Chain.objects.filter(pk=chain.pk).update(hash="0" * 64)
    assert f"Broken at event {chain.seq}" in act(ops, "verify_chain", chain)


def test_a_trial_is_extended(ops: Client, ada: Person, cy: Person) -> None:
    account = get_account(cy.actor)
    over = timezone.now() - timedelta(days=3)
    Account.objects.filter(pk=account.pk).update(trial_ends_at=over, trial_told=Account.ENDED)
    act(ops, "extend_trial", account)
    account.refresh_from_db()
    assert account.trial_days_left == 7
    assert account.trial_told == Account.UNTOLD
    act(ops, "extend_trial", account)
    account.refresh_from_db()
    assert account.trial_days_left == 14
    assert Event.objects.filter(tenant=cy.tenant, action="trial.extended").count() == 2


def test_a_plan_is_changed(ops: Client, ada: Person, cy: Person) -> None:
    account = get_account(cy.actor)
    confirmed(ops, "change_to_professional", account)
    account.refresh_from_db()
    assert account.plan == "professional"
    assert told(cy, ada, "plan.changed").changes == {"plan": ["trial", "professional"]}
    assert "not a trial" in act(ops, "extend_trial", account)


def test_the_pages_of_a_row_offer_what_its_list_does(ops: Client, cy: Person) -> None:
    page = ops.get(reverse("admin:tenants_tenant_change", args=[cy.tenant.pk])).content.decode()
    assert f'value="{cy.tenant.pk}"' in page
    for name in ("suspend_tenant", "activate_tenant"):
        assert f'value="{name}"' in page


def test_others_cannot_act(ada: Person, cy: Person) -> None:
    path = reverse("admin:tenants_tenant_changelist")
    sent = {
        "action": "suspend_tenant",
        "index": "0",
        "_selected_action": str(ada.tenant.pk),
        "confirmed": "yes",
    }
    assert cy.client.post(path, sent).status_code == 403
    assert Client().post(path, sent).status_code == 302
    assert ada.tenant.status == Tenant.ACTIVE
    make_operator(cy.user)
    forged = Client(enforce_csrf_checks=True)
    forged.cookies = cy.client.cookies
    assert forged.post(path, sent).status_code == 403
    assert ada.tenant.status == Tenant.ACTIVE
