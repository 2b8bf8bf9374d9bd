"""Connecting, verifying and disconnecting domains, against the sandbox's registry and DNS host."""

import threading
from itertools import product

import httpx
import pytest
from django.db import connection

from billing.models import Account
from billing.services import TrialExpired
from dnszones.models import Zone
from dnszones.plans.services import DomainIsLeaving, apply_plan, make_plan
from dnszones.vendors import dns_provider
from domains import services
from domains.models import Domain
from domains.ownership import recheck_due_domains
from domains.services import connect_domain, disconnect_domain
from events.models import Event
from mpanel.core.errors import Conflict, Forbidden, Invalid, LimitExceeded, MPanelError
from mpanel.core.losses import ConfirmationRequired
from provisioning.models import Job
from provisioning.services import retry_job
from tenants.models import ProviderCredential
from tenants.selectors import CredentialNotFound
from tenants.services import add_credential
from tests.cast import Person
from tests.sandboxes import REGISTRY, RunningSandbox
from tests.stories import OWN_SERVER, connected, planned, use_own_account, verified
from tests.wizard.rows import estate
from tests.work import ended, hurry, sure, work_off

PARKING = ["ns1.parking-sandbox.test", "ns2.parking-sandbox.test"]


def own_account(person: Person) -> ProviderCredential:
    """An account at the DNS host that is nobody else's."""
    from sandbox.accounts import account_of

    token = f"sandbox-{person.user.email.partition('@')[0]}"
    account = account_of(token)
    assert account
    return add_credential(
        person.actor,
        port="dns",
        provider="cloudflare",
        label="My own",
        values={"api_token": token, "account_id": account.id},
    )


def connected_by(person: Person, name: str, credential: ProviderCredential) -> Domain:
    domain = connect_domain(person.actor, name, credential_id=credential.pk)
    work_off()
    domain.refresh_from_db()
    return domain


def connect_job(domain: Domain) -> Job:
    return Job.objects.get(workflow="domains.connect", subject_id=domain.pk)


def contents(sandbox: RunningSandbox, zone: str) -> list[tuple[object, ...]]:
    """All that a zone holds, ids included."""
    columns = ("id", "name", "type", "content", "ttl", "priority", "proxied")
    return sorted(
        (tuple(record.get(key) for key in columns) for record in sandbox.records(zone)), key=str
    )


# --- Connecting -------------------------------------------------------------------------------


def test_a_domain_gets_a_zone_and_waits(ada: Person, sandbox: RunningSandbox) -> None:
    domain = connected(ada, "https://WWW.Bücher.test/shop?x=1")
    assert (domain.name, domain.unicode_name) == ("xn--bcher-kva.test", "bücher.test")
    assert domain.status == Domain.PENDING_NAMESERVERS
    assert len(domain.nameservers) == 2
    assert sandbox.records(domain.name) == []
    assert Event.objects.filter(action="domain.connected", subject_id=domain.pk).count() == 1


def test_the_same_domain_twice(ada: Person, cy: Person) -> None:
    connect_domain(ada.actor, "example.test", credential_id=ada.credential.pk)
    with pytest.raises(services.DomainAlreadyConnected):
        connect_domain(ada.actor, "EXAMPLE.test.", credential_id=ada.credential.pk)
    # Somebody else may claim it, as long as nobody has proved to own it.
    connect_domain(cy.actor, "example.test", credential_id=cy.credential.pk)


def test_what_is_not_offered_is_refused(ada: Person, cy: Person) -> None:
    mine = ada.credential.pk
    with pytest.raises(CredentialNotFound):
        connect_domain(ada.actor, "example.test", credential_id=cy.credential.pk)
    for wrong in ({"registrar": "nobody"}, {"notes": "x" * 2001}):
        with pytest.raises(Invalid):
            connect_domain(ada.actor, "example.test", credential_id=mine, **wrong)
    assert not Domain.objects.exists()
    assert not Job.objects.exists()


def test_the_trial_ends(ada: Person) -> None:
    Account.objects.create(tenant=ada.tenant, trial_ends_at="2000-01-01T00:00Z")
    with pytest.raises(TrialExpired):
        connect_domain(ada.actor, "example.test", credential_id=ada.credential.pk)


@pytest.mark.django_db(transaction=True)
def test_the_plans_limit_holds_in_parallel(ada: Person) -> None:
    for number in range(4):
        connect_domain(ada.actor, f"d{number}.test", credential_id=ada.credential.pk)
    credential_id, refused = ada.credential.pk, []
    start = threading.Barrier(4)

    def connect(number: int) -> None:
        start.wait()
        try:
            connect_domain(ada.actor, f"late{number}.test", credential_id=credential_id)
        except MPanelError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=connect, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Domain.objects.count() == 5
    assert [type(error) for error in refused] == [LimitExceeded] * 3
    assert refused[0].details == {"limit": 5, "used": 5, "requested": 1}


# --- Whose it is ------------------------------------------------------------------------------


def test_a_verified_domain_cannot_be_taken(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    verified(ada, "example.test", sandbox)
    with pytest.raises(services.DomainTaken):
        connect_domain(cy.actor, "example.test", credential_id=own_account(cy).pk)
    assert Domain.objects.count() == 1


def test_of_two_who_connect_the_first_verified_keeps_it(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    adas = connected_by(ada, "example.test", own_account(ada))
    cys = connected_by(cy, "example.test", own_account(cy))
    sandbox.set_nameservers("example.test", adas.nameservers)
    hurry()
    adas.refresh_from_db()
    cys.refresh_from_db()
    assert adas.status == Domain.VERIFIED
    assert cys.status == Domain.PENDING_NAMESERVERS
    # Even when the delegation moves on, what was proved first stays until it is given up.
    sandbox.set_nameservers("example.test", cys.nameservers)
    job = connect_job(cys)
    hurry(job.pk)
    job.refresh_from_db()
    cys.refresh_from_db()
    assert (job.status, job.error_code) == (Job.FAILED, "DOMAIN_TAKEN")
    assert not cys.is_verified
    # Ada gives it up, Cy tries again.
    ended(sure(disconnect_domain, ada.actor, adas.pk))
    ended(retry_job(cy.actor, job.pk))
    cys.refresh_from_db()
    assert cys.is_verified


def test_in_a_shared_account_the_first_ones_zone_is_not_adopted(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    adas = connected(ada, "example.test")
    cys = connected(cy, "example.test")
    job = connect_job(cys)
    assert (job.status, job.error_code) == (Job.FAILED, "DOMAIN_TAKEN")
    assert (cys.status, cys.nameservers) == (Domain.PENDING, [])
    assert Zone.objects.get(domain=cys).remote_id == ""
    # Going away again takes nothing of Ada's along.
    ended(sure(disconnect_domain, cy.actor, cys.pk))
    assert not Domain.objects.filter(pk=cys.pk).exists()
    assert sandbox.records("example.test") == []
    adas.refresh_from_db()
    assert adas.status == Domain.PENDING_NAMESERVERS


# --- Statuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), list(product(Domain.STATUSES, repeat=2)))
def test_a_status_moves_only_along_its_transitions(ada: Person, before: str, after: str) -> None:
    domain = Domain.objects.create(
        tenant=ada.tenant,
        name="example.test",
        unicode_name="example.test",
        dns_credential=ada.credential,
        status=before,
    )
    allowed = after in Domain.TRANSITIONS.get(before, ())
    if allowed:
        domain.move(after)
    else:
        with pytest.raises(Conflict):
            domain.move(after)
    assert Domain.objects.get().status == (after if allowed else before)


def test_of_two_moves_at_once_one_wins(ada: Person) -> None:
    domain = estate(ada).domain
    other = Domain.objects.get(pk=domain.pk)
    domain.move(Domain.CONNECTED)
    with pytest.raises(Conflict, match="somebody else"):
        other.move(Domain.DELETING)
    assert Domain.objects.get().status == Domain.CONNECTED


# --- Nameservers ------------------------------------------------------------------------------


def looked_at(domain: Domain) -> dict[str, object]:
    hurry()
    domain.refresh_from_db()
    assert domain.delegation
    return dict(domain.delegation)


def test_the_wait_for_the_nameservers_tells_what_it_sees(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, "example.test")
    seen = looked_at(domain)  # as its registrar parked it
    assert (seen["verdict"], seen["found"]) == ("differs", PARKING)
    sandbox.set_nameservers(domain.name, [domain.nameservers[0], PARKING[0]])
    seen = looked_at(domain)
    assert seen["verdict"] == "differs"
    assert domain.nameservers[1] in str(seen["message"])
    assert not domain.is_verified
    # The registry's server goes away: what was known stays, and the page says why.
    sandbox.set_server(REGISTRY, "down")
    unknown = looked_at(domain)
    assert unknown["verdict"] == "differs"
    assert unknown["found"] == seen["found"]
    assert unknown["unreachable"] is True
    assert connect_job(domain).status == Job.WAITING
    sandbox.set_server(REGISTRY, "up")
    sandbox.set_nameservers(domain.name, list(reversed(domain.nameservers)))
    assert looked_at(domain)["verdict"] == "matches"
    assert domain.status == Domain.VERIFIED
    assert Event.objects.filter(action="domain.verified", subject_id=domain.pk).count() == 1


def test_a_verified_domain_that_moves_away_is_noticed(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, "example.test", sandbox)
    sandbox.set_nameservers(domain.name, PARKING)
    Domain.objects.update(delegation_checked_at="2000-01-01T00:00Z")
    recheck_due_domains()
    domain.refresh_from_db()
    assert domain.delegation_trouble
    assert domain.delegation_trouble["found"] == PARKING
    assert domain.is_verified
    checked_at = domain.delegation_checked_at
    recheck_due_domains()
    domain.refresh_from_db()
    assert domain.delegation_checked_at == checked_at, "not due, so not asked again"
    sandbox.set_server(REGISTRY, "down")
    services.check_nameservers_now(ada.actor, domain.pk)
    work_off()
    domain.refresh_from_db()
    assert domain.delegation_trouble, "an unknown clears nothing"
    sandbox.set_server(REGISTRY, "up")
    sandbox.set_nameservers(domain.name)
    services.check_nameservers_now(ada.actor, domain.pk)
    work_off()
    domain.refresh_from_db()
    assert domain.delegation_trouble is None


# --- Disconnecting ----------------------------------------------------------------------------


def test_a_zone_that_we_made_goes_with_the_domain(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, "example.test", sandbox)
    ended(apply_plan(ada.actor, planned(ada, domain).pk))
    assert sandbox.records("example.test")
    job = ended(sure(disconnect_domain, ada.actor, domain.pk))
    assert job.status == Job.SUCCEEDED
    assert not Domain.objects.exists()
    with pytest.raises(httpx.HTTPStatusError):
        sandbox.records("example.test")
    # And it can be connected again.
    assert connected(ada, "example.test").status == Domain.VERIFIED


def test_a_zone_that_was_there_before_stays_as_it_was(ada: Person, sandbox: RunningSandbox) -> None:
    dns_provider(use_own_account(ada)).create_zone("example.test")
    sandbox.change_record("example.test", "add", type="A", name="www", content="192.0.2.7")
    sandbox.change_record("example.test", "add", type="TXT", name="@", content='"site=ada"')
    before = contents(sandbox, "example.test")
    domain = verified(ada, "example.test", sandbox)
    plan = planned(ada, domain)
    ended(apply_plan(ada.actor, plan.pk))
    assert len(contents(sandbox, "example.test")) == len(before) + 4
    ended(sure(disconnect_domain, ada.actor, domain.pk))
    assert not Domain.objects.exists()
    assert contents(sandbox, "example.test") == before


def test_the_vendor_is_down_while_disconnecting(ada: Person, sandbox: RunningSandbox) -> None:
    domain = connected(ada, "example.test")
    sandbox.fault("cloudflare", "status", status=503, times=None)
    job = sure(disconnect_domain, ada.actor, domain.pk)
    work_off()
    job.refresh_from_db()
    domain.refresh_from_db()
    assert (job.status, domain.status) == (Job.WAITING, Domain.DELETING)
    assert sure(disconnect_domain, ada.actor, domain.pk).pk == job.pk
    Domain.objects.filter(pk=domain.pk).update(verified_at="2026-01-01T00:00Z")
    with pytest.raises(DomainIsLeaving):
        make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
    sandbox.clear_faults()
    hurry(job.pk)
    assert not Domain.objects.exists()
    with pytest.raises(httpx.HTTPStatusError):
        sandbox.records("example.test")


def test_a_domain_with_mailboxes_stays(ada: Person) -> None:
    adas = estate(ada, inboxes=2)
    with pytest.raises(services.DomainInUse, match="2 mailboxes are still"):
        sure(disconnect_domain, ada.actor, adas.domain.pk)
    adas.mailboxes[0].delete()
    with pytest.raises(services.DomainInUse, match="1 mailbox is still"):
        sure(disconnect_domain, ada.actor, adas.domain.pk)
    assert Domain.objects.get().status == Domain.PROVISIONED


def test_what_others_wrote_after_the_confirmation_is_asked_about(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, "example.test")
    job = sure(disconnect_domain, ada.actor, domain.pk)
    sandbox.fault("cloudflare", "status", status=503, times=None)
    work_off()
    sandbox.clear_faults()
    sandbox.change_record("example.test", "add", type="A", name="www", content="192.0.2.7", ttl=300)
    hurry(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.FAILED, "ZONE_CHANGED")
    assert "www.example.test goes dark" in job.error_message
    assert [row["name"] for row in sandbox.records("example.test") if row["type"] == "A"]
    page = ada.client.get(f"/domains/{domain.pk}/").content.decode()
    assert "Try to disconnect again" in page
    with pytest.raises(ConfirmationRequired, match="goes dark"):
        disconnect_domain(ada.actor, domain.pk)
    ended(sure(disconnect_domain, ada.actor, domain.pk))
    assert not Domain.objects.exists()
    with pytest.raises(httpx.HTTPStatusError):
        sandbox.records("example.test")


def test_only_admins_disconnect(ada: Person, bo: Person) -> None:
    with pytest.raises(Forbidden):
        sure(disconnect_domain, bo.actor, estate(ada, inboxes=0).domain.pk)
