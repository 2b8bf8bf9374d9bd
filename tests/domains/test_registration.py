"""Registering new domains: what it costs, that it is bought once, and that it ends set up."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from billing.models import Account
from billing.services import TrialExpired
from domains.contacts import clean_contact
from domains.models import Domain, Registration
from domains.registration import (
    DomainUnavailable,
    PaymentFailed,
    PremiumDomain,
    PriceChanged,
    RegistrarNotConnected,
    look_up,
    prepare_order,
    register_domain,
)
from domains.services import (
    DomainAlreadyConnected,
    DomainInUse,
    DomainTaken,
    check_nameservers_now,
    connect_domain,
    disconnect_domain,
)
from domains.states import NameserversSet
from events.models import Event
from mpanel.core.errors import Conflict, Forbidden, Invalid, LimitExceeded, ProviderError
from provisioning.engine import advance
from provisioning.models import Job
from provisioning.services import cancel_job, retry_job
from tenants.models import ProviderCredential
from tenants.selectors import CredentialNotFound
from tenants.services import add_credential, remove_credential
from tenants.services.credentials import CredentialInUse, provider_for
from tests.cast import Person
from tests.crash.test_dying_anywhere import dies_everywhere
from tests.sandboxes import RunningSandbox
from tests.work import ended, hurry, sure, work_off

NAME = "example.test"
ADA = {
    "first_name": "Ada",
    "last_name": "Byron",
    "email": "ada@people.test",
    "phone": "+44 20 7946 0000",
    "address1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "gb",
}
CREATE = "/namecheap.domains.create"
CHECK = "/namecheap.domains.check"
INFO = "/namecheap.domains.getInfo"


def registrar_of(person: Person) -> ProviderCredential:
    return ProviderCredential.objects.get(tenant=person.tenant, port="registrar")


def use_own_registrar(person: Person) -> ProviderCredential:
    """The person's own account at the registrar, in place of the included one."""
    registrar_of(person).delete()
    values = {"api_user": "mpanel", "api_key": "sandbox-mpanel", "client_ip": "127.0.0.1"}
    return add_credential(
        person.actor, port="registrar", provider="namecheap", label="Mine", values=values
    )


def asked(person: Person, name: str = NAME, **choices: Any) -> Registration:
    order = prepare_order(person.actor, name, **{"contact": ADA, **choices})
    return register_domain(person.actor, order)


def job_of(registration: Registration) -> Job:
    assert registration.domain_id is not None
    return Job.objects.get(workflow="domains.register", subject_id=registration.domain_id)


def finished(registration: Registration) -> Job:
    job = ended(job_of(registration))
    registration.refresh_from_db()
    return job


def has_settled() -> None:
    """So much time has passed that an order whose answer was lost would have arrived."""
    Registration.objects.update(asked_at=timezone.now() - timedelta(minutes=5))


def purchases(sandbox: RunningSandbox) -> list[str]:
    """What was bought, and that each was paid once."""
    shown = sandbox.namecheap()
    paid = sum(row["charged"] for row in shown["domains"])
    assert shown["balance"] == 100_000 - paid
    return [row["domain"] for row in shown["domains"]]


# --- From a name to a verified domain -------------------------------------------------------------


def test_a_new_domain_is_bought_delegated_and_verified(
    ada: Person, sandbox: RunningSandbox
) -> None:
    registration = asked(ada, "https://www.Example.TEST/")
    domain = registration.domain
    assert domain is not None
    assert (registration.status, registration.cost, registration.currency) == (
        "pending",
        998,
        "USD",
    )
    assert (domain.status, domain.registrar) == (Domain.PENDING, "namecheap")
    assert sandbox.request_count("namecheap", "POST", CREATE) == 0  # a request only writes intent
    job = finished(registration)
    assert job.status == "succeeded"
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED
    assert sorted(sandbox.delegations()[NAME]) == sorted(domain.nameservers)
    assert registration.is_registered
    assert registration.expires_at is not None
    assert 360 < (registration.expires_at - timezone.now()).days < 366
    assert registration.auto_renews is True
    assert registration.remote_id
    assert set(registration.remote_ids) == {"DomainID", "OrderID", "TransactionID"}
    assert purchases(sandbox) == [NAME]
    told = Event.objects.filter(subject_id=domain.pk).order_by("id")
    assert [event.action for event in told] == [
        "domain.registering",
        "domain.registered",
        "domain.verified",
    ]


def test_an_internationalised_name_for_three_years(ada: Person, sandbox: RunningSandbox) -> None:
    registration = asked(ada, "Bücher.test", years=3)
    assert registration.cost == 2994
    assert finished(registration).status == "succeeded"
    assert purchases(sandbox) == ["xn--bcher-kva.test"]
    assert registration.domain is not None
    assert registration.domain.unicode_name == "bücher.test"


def test_a_slow_registry_is_waited_for(ada: Person, sandbox: RunningSandbox) -> None:
    registration = asked(ada, "slow.test")
    work_off()
    registration.refresh_from_db()
    assert (registration.status, registration.was_ordered) == ("buying", True)
    assert registration.domain is not None
    with pytest.raises(DomainInUse, match="being bought"):
        sure(disconnect_domain, ada.actor, registration.domain.pk)
    assert job_of(registration).waiting_for == (
        "slow.test is ordered; the registry has not confirmed it yet."
    )
    assert finished(registration).status == "succeeded"
    assert purchases(sandbox) == ["slow.test"]


def test_look_up_tells_price_and_payer(ada: Person, sandbox: RunningSandbox) -> None:
    quote = look_up(ada.actor, "Example.test", years=2)
    assert (quote.name.ascii, str(quote.price), quote.is_premium) == (NAME, "19.96 USD", False)
    assert str(quote.balance) == "1,000.00 USD"
    assert quote.credential == registrar_of(ada)
    sandbox.fault("namecheap", "status", status=500, path="/namecheap.users.getBalances")
    assert look_up(ada.actor, NAME).balance is None
    assert not Domain.objects.exists()


def test_check_now_looks_at_a_registered_domains_delegation(
    ada: Person, sandbox: RunningSandbox
) -> None:
    sandbox.set_server("127.0.0.2", "down")
    registration = asked(ada)
    work_off()
    job = job_of(registration)
    assert (job.status, job.steps.get(name="nameservers_set").status) == ("waiting", "done")
    sandbox.set_server("127.0.0.2", "up")
    Job.objects.update(run_at=timezone.now() + timedelta(hours=1))
    assert registration.domain_id is not None
    check_nameservers_now(ada.actor, registration.domain_id)
    work_off()
    job.refresh_from_db()
    assert job.status == "succeeded"


# --- What is refused in the request, before anything is written -----------------------------------


def nothing_happened(sandbox: RunningSandbox) -> None:
    assert not Domain.objects.filter(name=NAME).exists()
    assert not Registration.objects.exists()
    assert not Job.objects.exists()
    assert purchases(sandbox) == []


def test_only_admins_register(ada: Person, bo: Person, sandbox: RunningSandbox) -> None:
    with pytest.raises(Forbidden):
        asked(bo)
    with pytest.raises(Forbidden):
        look_up(bo.actor, NAME)
    nothing_happened(sandbox)
    assert sandbox.request_count("namecheap", "POST") == 0


def test_accounts_of_others_are_not_used(ada: Person, cy: Person, sandbox: RunningSandbox) -> None:
    with pytest.raises(CredentialNotFound):
        asked(ada, credential_id=registrar_of(cy).pk)
    with pytest.raises(CredentialNotFound):
        asked(ada, dns_credential_id=cy.credential.pk)
    with pytest.raises(Invalid):
        asked(ada, credential_id=ada.credential.pk)
    with pytest.raises(Invalid):
        asked(ada, dns_credential_id=registrar_of(ada).pk)
    nothing_happened(sandbox)


def test_without_a_registrar_it_says_what_to_do(ada: Person, sandbox: RunningSandbox) -> None:
    registrar_of(ada).delete()
    with pytest.raises(RegistrarNotConnected, match="Add your Namecheap account") as refused:
        asked(ada)
    assert (refused.value.status, refused.value.code) == (409, "REGISTRAR_NOT_CONNECTED")
    nothing_happened(sandbox)


@pytest.mark.parametrize("name", ["taken.test", "known.test"])
def test_a_name_that_is_taken(ada: Person, sandbox: RunningSandbox, name: str) -> None:
    sandbox.set_nameservers("known.test", ["ns1.elsewhere.test", "ns2.elsewhere.test"])
    with pytest.raises(DomainUnavailable) as refused:
        asked(ada, name)
    assert (refused.value.status, refused.value.code) == (400, "DOMAIN_UNAVAILABLE")
    assert "connect it instead" in refused.value.details["domain"][0]
    nothing_happened(sandbox)


@pytest.mark.parametrize(
    ("choices", "name", "field"),
    [
        ({}, "not a name", "domain"),
        ({}, "mail.example.test", "domain"),
        ({"years": 0}, NAME, "years"),
        ({"years": 11}, NAME, "years"),
    ],
)
def test_what_cannot_be_registered(
    ada: Person, sandbox: RunningSandbox, choices: dict[str, Any], name: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        asked(ada, name, **choices)
    assert set(refused.value.details) == {field}
    nothing_happened(sandbox)


def test_the_registrar_is_down(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.fault("namecheap", "status", status=503)
    with pytest.raises(ProviderError) as refused:
        asked(ada)
    assert (refused.value.status, refused.value.code) == (502, "PROVIDER_ERROR")
    nothing_happened(sandbox)


def test_a_slow_registrar_holds_a_request_for_a_bounded_time(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    settings.LOOKUP_TIMEOUT = 0.4
    settings.VENDOR_TIMEOUT = 3600  # had it waited for so long, the test would not end
    sandbox.fault("namecheap", "timeout", times=None)
    with pytest.raises(ProviderError):
        asked(ada)


def test_a_price_above_the_one_that_was_shown(ada: Person, sandbox: RunningSandbox) -> None:
    with pytest.raises(PriceChanged) as refused:
        asked(ada, max_cost=997)
    assert refused.value.details == {"cost": 998, "currency": "USD"}
    nothing_happened(sandbox)
    assert asked(ada, max_cost=998).max_cost == 998


def test_a_premium_name_needs_consent_to_its_price(ada: Person, sandbox: RunningSandbox) -> None:
    with pytest.raises(PremiumDomain, match=r"499\.18 USD"):
        asked(ada, "premium.test")
    nothing_happened(sandbox)
    assert finished(asked(ada, "premium.test", max_cost=49_918)).status == "succeeded"
    assert purchases(sandbox) == ["premium.test"]


def test_an_account_without_funds_is_told_at_once(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.namecheap(balance=997)
    with pytest.raises(PaymentFailed, match="host’s account cannot pay") as refused:
        asked(ada)
    assert "9.97" not in f"{refused.value.message} {refused.value.details}", "the host's to know"
    use_own_registrar(ada)
    with pytest.raises(PaymentFailed, match=r"9\.98 USD.*9\.97 USD") as refused:
        asked(ada)
    assert (refused.value.status, refused.value.code) == (402, "PAYMENT_FAILED")
    assert not Registration.objects.exists()


def test_the_rules_of_connecting_hold_here_too(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)
    with pytest.raises(DomainAlreadyConnected):
        asked(ada)
    Domain.objects.update(verified_at=timezone.now())
    with pytest.raises(DomainTaken):
        asked(cy)
    Account.objects.filter(tenant=ada.tenant).update(trial_ends_at="2000-01-01T00:00Z")
    with pytest.raises(TrialExpired):
        asked(ada, "another.test")
    assert sandbox.request_count("namecheap", "POST") == 0


@pytest.mark.django_db(transaction=True)
def test_the_plans_limit_holds_in_parallel(ada: Person, sandbox: RunningSandbox) -> None:
    for number in range(4):
        connect_domain(ada.actor, f"d{number}.test", credential_id=ada.credential.pk)
    asked_names: list[str] = []
    refused: list[type[Exception]] = []
    start = threading.Barrier(4)

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
            asked_names.append("one")
        except LimitExceeded as error:
            refused.append(type(error))
        finally:
            connection.close()

    works = [
        lambda: asked(ada, "new0.test"),
        lambda: asked(ada, "new1.test"),
        lambda: asked(ada, "new2.test"),
        lambda: connect_domain(ada.actor, "old.test", credential_id=ada.credential.pk),
    ]
    ada.credential  # noqa: B018 - read before the threads do
    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Domain.objects.count(), len(asked_names), refused) == (5, 1, [LimitExceeded] * 3)


# --- Who it is for --------------------------------------------------------------------------------


def test_the_contact_is_sealed_kept_and_used_again(ada: Person, sandbox: RunningSandbox) -> None:
    with pytest.raises(Invalid) as missing:
        prepare_order(ada.actor, NAME)
    assert set(missing.value.details) == set(ADA)
    first = asked(ada)
    assert first.contact.phone == "+44.2079460000"
    assert first.contact.country == "GB"
    second = register_domain(ada.actor, prepare_order(ada.actor, "second.test"))
    assert second.contact == first.contact
    rows = json.dumps(
        [*Registration.objects.values(), *Job.objects.values(), *Event.objects.values()],
        default=str,
    )
    assert "Byron" not in rows
    assert "7946" not in rows


def test_a_strangers_contact_is_not_used(ada: Person, cy: Person, sandbox: RunningSandbox) -> None:
    asked(ada)
    with pytest.raises(Invalid):
        prepare_order(cy.actor, "cy.test")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ada at people"),
        ("country", "England"),
        ("country", "ßß"),
        ("phone", "020 7946 0000"),
        ("phone", "+44 call me"),
        ("phone", "+4"),
        ("city", "x" * 121),
        ("city", "Lon\x00don"),
        ("city", 7),
        ("nickname", "Enchantress"),
        ("last_name", "   "),
    ],
)
def test_a_contact_that_is_off(field: str, value: object) -> None:
    with pytest.raises(Invalid) as refused:
        clean_contact({**ADA, field: value})
    assert set(refused.value.details) == {field}


@pytest.mark.parametrize(
    ("phone", "cleaned"),
    [
        ("+1 (212) 555-0100", "+1.2125550100"),
        ("+49.301234567", "+49.301234567"),
        ("+7 495 123 45 67", "+7.4951234567"),
        ("+351 21 123 4567", "+351.211234567"),
        ("+971 4 123 4567", "+971.41234567"),
    ],
)
def test_phone_numbers_are_split_behind_the_country(phone: str, cleaned: str) -> None:
    assert clean_contact({**ADA, "phone": phone}).phone == cleaned


# --- What goes wrong while it is bought -----------------------------------------------------------


def test_an_answer_that_was_lost_buys_once(ada: Person, sandbox: RunningSandbox) -> None:
    registration = asked(ada)
    sandbox.fault("namecheap", "drop_after_commit", path=CREATE)
    work_off()
    assert job_of(registration).status == "waiting"
    registration.refresh_from_db()
    assert registration.status == "buying"
    assert finished(registration).status == "succeeded"
    assert sandbox.request_count("namecheap", "POST", CREATE) == 1
    assert purchases(sandbox) == [NAME]


def test_an_order_that_never_arrived_is_repeated_only_when_it_has_settled(
    ada: Person, sandbox: RunningSandbox
) -> None:
    registration = asked(ada)
    sandbox.fault("namecheap", "drop_before", path=CREATE)
    work_off()
    job = job_of(registration)
    for _ in range(2):
        hurry()
        job.refresh_from_db()
        assert job.status == "waiting"
        assert "answer was lost" in job.waiting_for
    assert sandbox.request_count("namecheap", "POST", CREATE) == 1
    has_settled()
    assert finished(registration).status == "succeeded"
    assert sandbox.request_count("namecheap", "POST", CREATE) == 2
    assert purchases(sandbox) == [NAME]


def test_too_many_calls_are_no_lost_answer(ada: Person, sandbox: RunningSandbox) -> None:
    registration = asked(ada)
    sandbox.fault("namecheap", "rate_limit", path=CREATE)
    work_off()
    registration.refresh_from_db()
    assert registration.asked_at is None
    assert finished(registration).status == "succeeded"
    assert purchases(sandbox) == [NAME]


def test_a_runner_that_dies_anywhere_buys_once(
    transactional_db: None, ada: Person, sandbox: RunningSandbox
) -> None:
    registration = asked(ada)
    job = job_of(registration)

    assert dies_everywhere(job) > 10
    registration.refresh_from_db()
    job.refresh_from_db()
    assert (job.status, registration.status) == ("succeeded", "registered")
    assert purchases(sandbox) == [NAME]
    assert Event.objects.filter(action="domain.registered").count() == 1


def test_a_second_runner_with_an_old_view_buys_nothing(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """It read the row before the first one asked; both come to the same line."""
    from domains import registration as service
    from domains.states import load_bought_domain

    registration = asked(ada)
    stale = load_bought_domain(job_of(registration))
    Registration.objects.update(status="buying", asked_at=timezone.now())
    with pytest.raises(ProviderError) as refused:
        service.buy(stale)
    assert refused.value.error_code == "ORDER_UNSETTLED"
    assert purchases(sandbox) == []


def failed(ada: Person, registration: Registration, code: str) -> Job:
    """The job ended with this code; nothing was bought, and the event says so once."""
    job = finished(registration)
    assert (job.status, job.error_code) == ("failed", code)
    assert (registration.status, registration.error_code) == ("failed", code)
    assert Event.objects.filter(action="registration.failed").count() == 1
    return job


def test_the_price_rises_before_it_is_bought(ada: Person, sandbox: RunningSandbox) -> None:
    registration = asked(ada)
    sandbox.namecheap(ending="test", price=981)
    job = failed(ada, registration, "PRICE_CHANGED")
    assert "9.99 USD now; 9.98 USD was agreed" in job.error_message
    assert purchases(sandbox) == []
    # It falls again, and the retry buys.
    sandbox.namecheap(ending="test", price=700)
    retry_job(ada.actor, job.pk)
    assert finished(registration).status == "succeeded"
    assert registration.cost == 718
    assert registration.error_code == ""


def test_somebody_else_is_faster(ada: Person, sandbox: RunningSandbox) -> None:
    use_own_registrar(ada)
    registration = asked(ada)
    sandbox.set_nameservers(NAME, ["ns1.elsewhere.test", "ns2.elsewhere.test"])
    failed(ada, registration, "DOMAIN_UNAVAILABLE")
    assert purchases(sandbox) == []
    # The domain can be removed, its credential let go, and what was asked stays on record.
    assert registration.domain_id is not None
    assert ended(sure(disconnect_domain, ada.actor, registration.domain_id)).status == "succeeded"
    assert not Domain.objects.exists()
    assert Registration.objects.get(domain=None).name == NAME
    remove_credential(ada.actor, registrar_of(ada).pk)


def test_the_funds_are_gone_when_it_is_bought(ada: Person, sandbox: RunningSandbox) -> None:
    registration = asked(ada)
    sandbox.namecheap(balance=500)
    job = failed(ada, registration, "PAYMENT_FAILED")
    assert "Add funds" in job.error_message
    assert registration.asked_at is None
    sandbox.namecheap(balance=100_000)
    retry_job(ada.actor, job.pk)
    assert finished(registration).status == "succeeded"
    assert purchases(sandbox) == [NAME]


def test_money_is_not_spent_when_the_dns_account_is_refused(
    ada: Person, sandbox: RunningSandbox
) -> None:
    registration = asked(ada)
    sandbox.fault("cloudflare", "status", status=403)
    failed(ada, registration, "INVALID_CREDENTIALS")
    assert purchases(sandbox) == []


def test_what_is_bought_stays_bought_when_the_zone_cannot_be_made(
    ada: Person, sandbox: RunningSandbox
) -> None:
    registration = asked(ada)
    sandbox.fault("cloudflare", "status", method="POST", path="/zones$", status=403)
    job = finished(registration)
    assert (job.status, registration.status) == ("failed", "registered")
    assert not Event.objects.filter(action="registration.failed").exists()
    retry_job(ada.actor, job.pk)
    assert finished(registration).status == "succeeded"
    assert purchases(sandbox) == [NAME]


def test_a_domain_that_is_in_the_account_already_is_not_taken_over(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    """In a shared account, what is found there may be another tenant's."""
    adas, cys = asked(ada), asked(cy)
    assert finished(adas).status == "succeeded"
    job = ended(job_of(cys))
    cys.refresh_from_db()
    assert (job.error_code, cys.status) == ("ALREADY_OWNED", "failed")
    # Also where Cy's runner died between the intent and the call.
    Registration.objects.filter(pk=cys.pk).update(asked_at=timezone.now())
    retry_job(cy.actor, job.pk)
    assert ended(job).error_code == "DOMAIN_TAKEN"
    assert purchases(sandbox) == [NAME]


def test_of_two_tenants_one_buys(ada: Person, cy: Person, sandbox: RunningSandbox) -> None:
    adas, cys = asked(ada), asked(cy)
    sandbox.fault("namecheap", "drop_before", path=CREATE)
    advance(job_of(adas).pk)  # asked, without an answer
    advance(job_of(cys).pk)
    job = job_of(cys)
    assert (job.status, job.error_code) == ("failed", "DOMAIN_TAKEN")
    assert purchases(sandbox) == []


def test_a_cancelled_purchase_buys_nothing(ada: Person, sandbox: RunningSandbox) -> None:
    registration = asked(ada)
    cancel_job(ada.actor, job_of(registration).pk)
    assert finished(registration).status == "cancelled"
    assert (registration.status, registration.error_code) == ("failed", "CANCELLED")
    assert purchases(sandbox) == []


@pytest.mark.parametrize(
    ("name", "fault", "says"),
    [
        ("slow.test", "", "slow.test was bought for 9.98 USD, but is not set up: Cancelled"),
        (NAME, "drop_after_commit", f"{NAME} was ordered and may have been bought, but"),
    ],
)
def test_a_cancelled_purchase_that_was_paid_says_so(
    ada: Person, sandbox: RunningSandbox, name: str, fault: str, says: str
) -> None:
    registration = asked(ada, name)
    if fault:
        sandbox.fault("namecheap", fault, path=CREATE)
    work_off()
    cancel_job(ada.actor, job_of(registration).pk)
    work_off()
    told = Event.objects.get(action="registration.failed")
    assert told.sentence.startswith(says)
    assert sandbox.request_count("namecheap", "POST", CREATE) == 1
    assert registration.domain_id is not None
    with pytest.raises(DomainInUse, match="may have been paid"):
        sure(disconnect_domain, ada.actor, registration.domain_id)
    retry_job(ada.actor, job_of(registration).pk)
    assert finished(registration).status == "succeeded"
    assert purchases(sandbox) == [name]


def test_a_domain_that_the_host_had_before_is_not_taken_for_ours(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """An order without an answer, and a domain in the shared account that is older than it."""
    registration = asked(ada)
    hosts = registrar_of(ada)
    vendor = provider_for(hosts)
    (offer,) = vendor.check([NAME])
    vendor.register(offer, years=1, contact=clean_contact(ADA), nameservers=[])
    bought = vendor.info(NAME)
    assert bought is not None
    assert bought.created_at is not None
    Registration.objects.filter(pk=registration.pk).update(
        asked_at=bought.created_at + timedelta(days=30)
    )
    job = finished(registration)
    assert (job.status, job.error_code) == ("failed", "ALREADY_OWNED")
    assert vendor.info(NAME).nameservers == bought.nameservers
    assert registration.remote_id == ""


def test_nameservers_are_set_for_the_very_domain_that_was_bought(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """Ours ran out, and the host bought the name for itself in the same account."""
    registration = asked(ada)
    assert finished(registration).status == "succeeded"
    Registration.objects.filter(pk=registration.pk).update(remote_id="of-another-purchase")
    assert registration.domain_id is not None
    domain = Domain.objects.select_related("registration").get(pk=registration.domain_id)
    assert NameserversSet().observe(domain).code == "NOT_IN_ACCOUNT"


def test_an_account_that_is_needed_stays(ada: Person, sandbox: RunningSandbox) -> None:
    use_own_registrar(ada)
    asked(ada)
    with pytest.raises(CredentialInUse):
        remove_credential(ada.actor, registrar_of(ada).pk)


def test_the_credentials_test_asks_the_registrar(ada: Person, sandbox: RunningSandbox) -> None:
    assert "mpanel" in provider_for(registrar_of(ada)).check_connection()


def test_outside_the_sandbox_no_registrar_is_included(settings: LazySettings, db: None) -> None:
    from tests.cast import owner

    settings.HOUSE_NAMECHEAP_USER = ""
    person = owner("dee")
    assert not ProviderCredential.objects.filter(tenant=person.tenant, port="registrar").exists()
    added = add_credential(
        person.actor,
        port="registrar",
        provider="namecheap",
        label="Mine",
        values={"api_user": "dee", "api_key": "sandbox-dee", "client_ip": "127.0.0.1"},
    )
    assert "api_key" not in added.public


@pytest.mark.parametrize("before", Registration.STATUSES)
@pytest.mark.parametrize("after", Registration.STATUSES)
def test_a_status_moves_only_along_its_transitions(ada: Person, before: str, after: str) -> None:
    row = Registration.objects.create(
        tenant=ada.tenant, name=NAME, provider="namecheap", status=before, cost=1, max_cost=1
    )
    if after in Registration.TRANSITIONS.get(before, ()):
        assert row.move(after).status == after
    else:
        with pytest.raises(Conflict):
            row.move(after)
