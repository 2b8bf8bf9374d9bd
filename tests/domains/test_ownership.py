"""Whose a domain is: proved once, lost when the proof is gone for long, and back with it."""

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dnszones.models import ChangePlan, Zone
from dnszones.ownership_states import write_missing_proofs
from dnszones.plans.services import DomainNotVerified, apply_plan, make_plan
from domains import ownership
from domains.control import Claim, ControlReport
from domains.delegation import DelegationReport
from domains.models import Domain
from domains.ownership import (
    ControlNotProved,
    follow,
    look_at_control,
    mark_verified,
    recheck_due_domains,
)
from domains.reserved import NameReserved
from domains.services import connect_domain, disconnect_domain
from events.models import Event, Notification
from events.relay import relay
from mailboxes.maildomains import attach_mail
from mpanel.core.errors import ProviderError
from provisioning.models import Job
from tests.api import Api
from tests.cast import Person
from tests.domains.test_services import PARKING, connected_by, own_account
from tests.sandboxes import NAMESERVERS, REGISTRY, RunningSandbox
from tests.stories import OWN_SERVER, connected, planned, use_own_account, verified
from tests.work import ended, hurry, sure, work_off

pytestmark = pytest.mark.django_db
NAME = "example.test"


def proof(domain: Domain) -> dict[str, str]:
    return {
        "type": "TXT", "name": "_mpanel", "content": f'"mpanel-verify={domain.proof_token}"',
    }  # fmt: skip


def looked_at(domain: Domain) -> Domain:
    """The domain after the sweep came to it."""
    Domain.objects.update(delegation_checked_at="2000-01-01T00:00Z")
    recheck_due_domains()
    work_off()
    domain.refresh_from_db()
    return domain


def gone_for(domain: Domain, hours: float) -> None:
    """As if the first look at which it was gone had been so long ago."""
    Domain.objects.filter(pk=domain.pk).update(gone_since=timezone.now() - timedelta(hours=hours))


def revoked(domain: Domain, sandbox: RunningSandbox) -> Domain:
    """The delegation has moved away, and it was seen often and long enough."""
    sandbox.set_nameservers(domain.name, PARKING)
    for _ in range(2):
        looked_at(domain)
    gone_for(domain, 73)
    looked_at(domain)
    assert domain.is_revoked
    return domain


# --- Proving it ------------------------------------------------------------------------------


def test_the_token_is_written_before_the_nameservers_are_waited_for(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, NAME)
    (record,) = sandbox.records(NAME, with_proof=True)
    assert record["name"] == f"_mpanel.{NAME}"
    assert domain.proof_token in record["content"]
    assert domain.proof_written_at
    other = connected(ada, "other.test")
    assert len({domain.proof_token, other.proof_token}) == 2


def test_a_delegation_without_the_token_does_not_verify(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, NAME)
    sandbox.change_record(NAME, "delete", **proof(domain))
    sandbox.set_nameservers(NAME, domain.nameservers)
    hurry()
    domain.refresh_from_db()
    assert not domain.is_verified
    assert domain.delegation
    assert (domain.delegation["verdict"], domain.delegation["proof"]) == ("matches", "missing")
    page = ada.client.get(f"/setup/{domain.pk}/nameservers/").content.decode()
    assert f"_mpanel.{NAME}" in page
    seen = Api(ada.token).post(f"/api/v1/domains/{domain.pk}/verify-nameservers", {})
    assert seen.body["is_verified"] is False
    with pytest.raises(ProviderError, match="do not show yet"):
        ownership.verify(domain)
    sandbox.change_record(NAME, "add", **proof(domain))
    hurry()
    domain.refresh_from_db()
    assert domain.is_verified


def test_the_one_door_demands_the_proof(ada: Person, cy: Person, sandbox: RunningSandbox) -> None:
    adas, cys = connected(ada, NAME), connected_by(cy, "cys.test", own_account(cy))
    (unverified,) = look_at_control([adas])
    with pytest.raises(ControlNotProved):
        mark_verified(adas, unverified)
    sandbox.set_nameservers(cys.name, cys.nameservers)
    (of_another,) = look_at_control([cys])
    assert of_another.is_proved
    with pytest.raises(ControlNotProved):
        mark_verified(adas, of_another)
    assert not Domain.objects.verified().exists()


def test_nobody_edits_or_deletes_the_proof(ada: Person, sandbox: RunningSandbox) -> None:
    domain = connected(ada, NAME)
    api, path = Api(ada.token), f"/api/dns/zones/{Zone.objects.get().pk}/records"
    (record,) = api.get(path).body["items"]
    assert record["isEditable"] is False
    refused = api.delete(f"{path}/{record['id']}")
    assert (refused.status, refused.error) == (409, "RECORD_CONFLICT")
    assert "proves that the domain is yours" in refused.body["error"]["message"]
    assert len(sandbox.records(domain.name, with_proof=True)) == 1


def test_a_plan_keeps_the_proof_and_a_disconnect_takes_it_away(
    ada: Person, sandbox: RunningSandbox
) -> None:
    from dnszones.vendors import dns_provider

    dns_provider(use_own_account(ada)).create_zone(NAME)  # a zone of the customer's, which stays
    domain = verified(ada, NAME, sandbox)
    plan = planned(ada, domain)
    assert "_mpanel" not in str(plan.plan)
    ended(apply_plan(ada.actor, plan.pk))
    assert any(one["name"] == f"_mpanel.{NAME}" for one in sandbox.records(NAME, with_proof=True))
    ended(sure(disconnect_domain, ada.actor, domain.pk))
    assert sandbox.records(NAME, with_proof=True) == []


# --- Losing it, and getting it back ----------------------------------------------------------


def test_what_is_gone_for_a_moment_changes_nothing(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    sandbox.set_nameservers(NAME, PARKING)
    for _ in range(5):
        looked_at(domain)
    assert (domain.is_verified, domain.gone_looks) == (True, 5), "often, but not for long"
    sandbox.set_nameservers(NAME, domain.nameservers)
    looked_at(domain)
    assert (domain.is_verified, domain.gone_looks, domain.gone_since) == (True, 0, None)
    sandbox.set_nameservers(NAME, PARKING)
    looked_at(domain)
    gone_for(domain, 100)
    looked_at(domain)
    assert (domain.is_verified, domain.gone_looks) == (True, 2), "for long, but not often"


def test_what_cannot_be_seen_counts_neither_way(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    sandbox.set_nameservers(NAME, PARKING)
    for _ in range(2):
        looked_at(domain)
    gone_for(domain, 100)
    sandbox.set_server(REGISTRY, "down")
    for _ in range(3):
        looked_at(domain)
    assert (domain.is_verified, domain.gone_looks) == (True, 2)
    sandbox.set_server(REGISTRY, "up")
    sandbox.set_nameservers(NAME, domain.nameservers)
    for address in NAMESERVERS:
        sandbox.set_server(address, "servfail")
    looked_at(domain)
    assert (domain.is_verified, domain.gone_looks) == (True, 2), "the token was not seen either"


@pytest.mark.parametrize("what", ["delegation", "proof"])
def test_what_is_gone_for_long_ends_the_verified_state(
    ada: Person, sandbox: RunningSandbox, what: str
) -> None:
    domain = verified(ada, NAME, sandbox)
    if what == "delegation":
        sandbox.set_nameservers(NAME, PARKING)
    else:
        sandbox.change_record(NAME, "delete", **proof(domain))
    for _ in range(2):
        looked_at(domain)
    gone_for(domain, 73)
    looked_at(domain)
    assert (domain.is_verified, domain.is_revoked) == (False, True)
    (event,) = Event.objects.filter(action="domain.verification_lost", subject_id=domain.pk)
    assert "what arrived is kept" in event.sentence
    relay()
    assert Notification.objects.filter(event=event, user=ada.user).exists()
    page = ada.client.get(f"/domains/{domain.pk}/").content.decode()
    assert "This domain is no longer verified" in page
    assert "verifies the domain by itself" in page
    shown = Api(ada.token).get(f"/api/v1/domains/{domain.pk}").body
    assert shown["verification_status"] == "pending_nameservers"
    with pytest.raises(DomainNotVerified):
        make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
    with pytest.raises(DomainNotVerified):
        attach_mail(ada.actor, domain.pk)


def test_it_comes_back_by_itself_with_what_it_had(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    ended(apply_plan(ada.actor, planned(ada, domain).pk))
    domain.refresh_from_db()
    before = domain.status
    revoked(domain, sandbox)
    assert ChangePlan.objects.filter(status=ChangePlan.APPLIED).exists()
    sandbox.set_nameservers(NAME, domain.nameservers)
    looked_at(domain)
    assert (domain.is_verified, domain.is_revoked, domain.status) == (True, False, before)
    assert Event.objects.filter(action="domain.verified_again", subject_id=domain.pk).count() == 1
    assert (
        "This domain is no longer verified"
        not in ada.client.get(f"/domains/{domain.pk}/").content.decode()
    )


def test_looking_over_the_api_brings_it_back_at_once(ada: Person, sandbox: RunningSandbox) -> None:
    domain = revoked(verified(ada, NAME, sandbox), sandbox)
    sandbox.set_nameservers(NAME, domain.nameservers)
    Api(ada.token).post(f"/api/v1/domains/{domain.pk}/verify-nameservers", {})
    work_off()
    domain.refresh_from_db()
    assert domain.is_verified


def test_while_it_is_lost_another_tenant_who_proves_it_takes_it(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    adas = connected_by(ada, NAME, own_account(ada))
    sandbox.set_nameservers(NAME, adas.nameservers)
    hurry()
    adas.refresh_from_db()
    revoked(adas, sandbox)
    cys = connected_by(cy, NAME, own_account(cy))
    sandbox.set_nameservers(NAME, cys.nameservers)
    hurry()
    cys.refresh_from_db()
    assert cys.is_verified
    looked_at(adas)
    assert (adas.is_verified, adas.is_revoked) == (False, True)
    assert not Event.objects.filter(tenant=ada.tenant, action="domain.verified_again").exists()
    assert Domain.objects.verified().get(name=NAME) == cys


# --- Domains that were verified before there was a proof --------------------------------------


def test_a_domain_of_before_gets_its_token_and_only_then_must_show_it(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    sandbox.change_record(NAME, "delete", **proof(domain))
    Domain.objects.update(proof_written_at=None)
    for _ in range(5):
        looked_at(domain)
    assert (domain.is_verified, domain.gone_looks) == (True, 0), "nobody goes dark by an upgrade"
    assert domain.delegation_trouble is None
    write_missing_proofs()
    write_missing_proofs()  # the job of the first is under way
    assert Job.objects.filter(workflow="dnszones.proof").count() == 1
    work_off()
    domain.refresh_from_db()
    assert domain.proof_written_at
    (record,) = sandbox.records(NAME, with_proof=True)
    assert domain.proof_token in record["content"]
    looked_at(domain)
    assert domain.delegation
    assert domain.delegation["proof"] == "proved"
    sandbox.change_record(NAME, "delete", **proof(domain))
    looked_at(domain)
    assert domain.gone_looks == 1, "from now on it is demanded"


def test_a_proof_that_somebody_deleted_is_written_again(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    sandbox.change_record(NAME, "delete", **proof(domain))
    looked_at(domain)
    assert domain.delegation_trouble
    write_missing_proofs()
    work_off()
    looked_at(domain)
    assert domain.gone_looks == 0
    assert domain.delegation_trouble is None


# --- Names of others --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gmail.com", "GMX.de", "yahoo.co.uk", "https://www.outlook.com/"])
def test_the_name_of_a_public_mail_provider_is_refused(ada: Person, name: str) -> None:
    with pytest.raises(NameReserved, match="public mail provider") as refused:
        connect_domain(ada.actor, name, credential_id=ada.credential.pk)
    assert refused.value.details["domain"]
    assert not Domain.objects.exists()


def test_the_host_s_own_names_are_refused(ada: Person, settings: LazySettings) -> None:
    settings.SITE_URL = "https://panel.hosting-company.com"
    settings.MAILSERVER_MX = "mx.mail-of-host.net"
    settings.HOUSE_POWERDNS_NAMESERVERS = "ns1.dns-of-host.org, ns2.dns-of-host.org"
    settings.REFUSED_DOMAINS = ["Listed.example.com", "listed.net"]
    from mailservers.models import MailServer

    MailServer.objects.create(
        slug="eu", label="EU", host="mail.eu-host.com", mx_host="mx.eu-mx.com"
    )
    refused = [
        "hosting-company.com", "mail-of-host.net", "dns-of-host.org", "listed.net",
        "eu-host.com", "eu-mx.com", "mail-sandbox.test",
    ]  # fmt: skip
    for name in refused:
        answer = Api(ada.token).post("/api/v1/domains/connect", {"domain": name})
        assert (answer.status, answer.error) == (400, "NAME_RESERVED"), name
        look_up = Api(ada.token).post("/api/v1/domains/register", {"domain": name})
        assert (look_up.status, look_up.error) in {
            (400, "NAME_RESERVED"),
            (400, "VALIDATION_ERROR"),
        }
    assert not Domain.objects.exists()
    connect_domain(ada.actor, "hosting-company.net", credential_id=ada.credential.pk)


def test_a_refused_name_is_said_on_the_page(ada: Person) -> None:
    answer = ada.client.post(
        "/setup/",
        {"domain": "gmail.com", "provider": "other", "credential": str(ada.credential.pk)},
    )
    assert answer.status_code in {200, 422}
    assert "public mail provider" in answer.content.decode()


def test_a_name_that_became_reserved_is_neither_verified_nor_given_mail(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    domain = connected(ada, NAME)
    settings.REFUSED_DOMAINS = [NAME]
    sandbox.set_nameservers(NAME, domain.nameservers)
    hurry()
    job = Job.objects.get(workflow="domains.connect")
    domain.refresh_from_db()
    assert (job.error_code, domain.is_verified) == ("NAME_RESERVED", False)
    with pytest.raises(NameReserved):
        attach_mail(ada.actor, domain.pk)


def test_a_sweep_takes_as_many_queries_for_many_domains_as_for_few(
    ada: Person, sandbox: RunningSandbox
) -> None:
    sandbox.set_server(REGISTRY, "down")

    def queries(count: int) -> int:
        for number in range(count):
            name = f"d{count}-{number}.test"
            Domain.objects.create(
                tenant=ada.tenant,
                name=name,
                unicode_name=name,
                status=Domain.READY,
                verified_at=timezone.now(),
                dns_credential=ada.credential,
                nameservers=NAMESERVERS,
            )
        Domain.objects.update(delegation_checked_at=None)
        with CaptureQueriesContext(connection) as seen:
            recheck_due_domains()
        assert not Domain.objects.filter(delegation_checked_at=None).exists()
        return len(seen)

    few = queries(2)
    assert queries(10) == few
    assert all((one.delegation or {})["verdict"] == "unknown" for one in Domain.objects.all())


def test_counting_domains_as_gone_costs_the_same_for_few_and_many(ada: Person) -> None:
    def queries(count: int) -> int:
        domains = [
            Domain.objects.create(
                tenant=ada.tenant,
                name=f"g{count}-{number}.test",
                unicode_name=f"g{count}-{number}.test",
                status=Domain.READY,
                verified_at=timezone.now(),
                proof_written_at=timezone.now(),
                dns_credential=ada.credential,
                nameservers=NAMESERVERS,
            )
            for number in range(count)
        ]
        looks = [(one, gone_report(one)) for one in domains]
        with CaptureQueriesContext(connection) as seen:
            follow(looks)
        ids = [one.pk for one in domains]
        assert Domain.objects.filter(pk__in=ids, gone_looks=1).count() == count
        return len(seen)

    few = queries(2)
    assert queries(30) == few <= 3


def gone_report(domain: Domain) -> ControlReport:
    claim = Claim(domain.name, tuple(domain.nameservers), domain.proof_token)
    delegation = DelegationReport(
        domain.name,
        "differs",
        found=("ns.far.test",),
        expected=tuple(domain.nameservers),
        asked=(),
        parent="test",
        ttl=60,
        message="It is delegated elsewhere.",
    )
    return ControlReport(claim, delegation, "not_asked", (), None, "It is delegated elsewhere.")
