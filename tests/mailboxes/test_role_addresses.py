"""postmaster@, abuse@ and where reports go: made with the first inbox, and the customer's then."""

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dnszones.mail_records import MailSetup, setup_warnings
from dnszones.models import Record, Zone
from domains.models import Domain
from events.models import Event
from mailboxes.models import Alias, Mailbox
from mailboxes.selectors import aliases
from mailboxes.services import create_alias, delete_alias, delete_mailboxes, provision_mailboxes
from mailboxes.services.roles import MOST_AUTOMATIC, give_way, sweep
from mailservers.models import MailDomain
from tests.api import Api
from tests.cast import Person
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db
NAME = "example.test"
ALL = ("abuse", "dmarc", "postmaster")


@pytest.fixture
def domain(ada: Person) -> Domain:
    """A domain whose records name dmarc@ for reports, without inboxes."""
    return estate(ada, NAME, inboxes=0).domain


def made(person: Person, domain: Domain, *names: str) -> dict[str, Mailbox]:
    batch = provision_mailboxes(
        person.actor, domain.pk, count=len(names), convention="custom", custom=names
    )
    return {one.local_part: one for one in batch.mailboxes.all()}


def leads(person: Person) -> dict[str, str]:
    """Where each alias of a person leads, by local parts."""
    return {one.local_part: one.mailbox.local_part for one in aliases(person.actor)}


def test_they_come_with_the_first_inbox_and_lead_to_it(
    ada: Person, bo: Person, cy: Person, domain: Domain
) -> None:
    first = made(ada, domain, "ada", "bo")
    one = next(iter(sorted(first.values(), key=lambda mailbox: mailbox.pk)))
    assert leads(ada) == dict.fromkeys(ALL, one.local_part)
    made(ada, domain, "eve")
    assert leads(ada) == dict.fromkeys(ALL, one.local_part)
    assert Event.objects.filter(action="alias.created").count() == 3
    listed = Api(bo.token).get("/api/email/aliases").body["items"]
    assert {item["localPart"] for item in listed} == set(ALL)
    shown = ada.client.get(f"/mailboxes/domains/{domain.pk}/").content.decode()
    assert f"Remove abuse@{NAME} from {one.address}" in shown
    alias = Alias.objects.get(local_part="abuse")
    assert cy.client.post(f"/mailboxes/aliases/{alias.pk}/delete/").status_code == 404
    assert leads(cy) == {}


def test_the_address_that_the_records_name_is_one_of_them(ada: Person, domain: Domain) -> None:
    Record.objects.filter(zone__domain=domain, purpose="dmarc").update(
        content=f"v=DMARC1; p=none; rua=mailto:Reports@{NAME.upper()}!10m,mailto:x@else.test"
    )
    zone = Record.objects.filter(zone__domain=domain)[0].zone
    Record.objects.create(
        zone=zone,
        purpose="tls-rpt",
        level="optional",
        reason="",
        name=f"_smtp._tls.{NAME}",
        type="TXT",
        content=f"v=TLSRPTv1; rua=mailto:tls%2Drpt@{NAME}",
        ttl=300,
    )
    made(ada, domain, "ada")
    assert sorted(leads(ada)) == ["abuse", "postmaster", "reports", "tls-rpt"]


def test_what_the_customer_has_is_left_alone(ada: Person, domain: Domain) -> None:
    made(ada, domain, "postmaster", "ada")
    assert set(leads(ada)) == {"abuse", "dmarc"}
    assert Mailbox.objects.present().filter(local_part="postmaster").count() == 1


def test_what_the_customer_removes_stays_away_but_for_reports(ada: Person, domain: Domain) -> None:
    made(ada, domain, "ada")
    for alias in aliases(ada.actor):
        delete_alias(ada.actor, alias.pk)
    made(ada, domain, "bo")
    sweep()
    assert leads(ada) == {"dmarc": "ada"}, "while a record names it, reports are not refused"


def test_the_customer_may_lead_them_elsewhere(ada: Person, domain: Domain) -> None:
    first = made(ada, domain, "ada")
    second = made(ada, domain, "bo")["bo"]
    create_alias(ada.actor, second.pk, local_part="abuse")
    sweep()
    assert leads(ada) == {"abuse": "bo", "dmarc": "ada", "postmaster": "ada"}
    delete_mailboxes(ada.actor, [second.pk])
    assert leads(ada) == dict.fromkeys(ALL, "ada")
    assert list(first) == ["ada"]


def test_an_inbox_of_that_name_takes_their_place(ada: Person, domain: Domain) -> None:
    mailbox = made(ada, domain, "ada")["ada"]
    api = Api(ada.token)
    asked = api.post("/api/mailboxes", {"email": f"postmaster@{NAME}", "firstName": "Ada"})
    assert asked.status in {201, 202}, asked.raw
    assert set(leads(ada)) == {"abuse", "dmarc"}
    listed = api.post("/api/mailboxes/import", {"csv": f"email\nabuse@{NAME}\n"})
    assert listed.status in {200, 201, 202}, listed.raw
    assert set(leads(ada)) == {"dmarc"}
    made(ada, domain, "dmarc")
    assert leads(ada) == {}
    assert Mailbox.objects.present().count() == 4
    create_alias(ada.actor, mailbox.pk, local_part="help")
    refused = api.post("/api/mailboxes", {"email": f"help@{NAME}", "firstName": "Ada"})
    assert refused.status == 409, "an alias that the customer made is not taken over"


def test_they_move_on_when_their_inbox_is_deleted(ada: Person, domain: Domain) -> None:
    first = made(ada, domain, "ada")["ada"]
    second = made(ada, domain, "bo")["bo"]
    create_alias(ada.actor, first.pk, local_part="help")
    delete_mailboxes(ada.actor, [first.pk])
    assert {part: leads(ada)[part] for part in ALL} == dict.fromkeys(ALL, "bo")
    delete_mailboxes(ada.actor, [second.pk])
    assert not set(ALL) & set(leads(ada))
    assert MailDomain.objects.get().roles_at is None
    made(ada, domain, "eve")
    assert {part: leads(ada)[part] for part in ALL} == dict.fromkeys(ALL, "eve")


def test_domains_of_before_get_them_too_in_a_few_queries(
    ada: Person,
    cy: Person,
    domain: Domain,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    others = [estate(cy, f"cy{n}.test", inboxes=0).domain for n in range(3)]
    made(ada, domain, "ada")
    for other in others:
        made(cy, other, "cy")
    Alias.objects.all().delete()
    MailDomain.objects.update(roles_at=None)
    sweep()
    assert Alias.objects.count() == 12
    assert leads(ada) == dict.fromkeys(ALL, "ada")
    assert set(aliases(cy.actor).values_list("tenant_id", flat=True)) == {cy.tenant.pk}
    with django_assert_num_queries(9):
        sweep()


def test_a_former_owner_of_the_name_touches_none_of_the_present_owners(
    ada: Person, cy: Person, domain: Domain
) -> None:
    """Ada's domain is no longer verified, and Cy has proved the name; Ada keeps her rows."""
    made(ada, domain, "ada")
    Alias.objects.all().delete()
    Domain.objects.update(verified_at=None, revoked_at=timezone.now())
    mailbox = Mailbox.objects.get(local_part="ada")
    for local_part in ("abuse", "dmarc"):
        create_alias(ada.actor, mailbox.pk, local_part=local_part)
    Zone.objects.update(remote_id="hers")
    theirs = estate(cy, NAME, inboxes=0).domain
    made(cy, theirs, "cy")
    assert leads(cy) == dict.fromkeys(ALL, "cy"), "what Ada has keeps none from Cy"
    create_alias(ada.actor, mailbox.pk, local_part="postmaster")
    give_way(ada.actor, [Mailbox(domain=domain, address=f"{part}@{NAME}") for part in ALL])
    assert leads(cy) == dict.fromkeys(ALL, "cy")
    told = Event.objects.filter(tenant=ada.tenant, action="alias.deleted")
    assert not told.exists()


def test_they_do_not_count_as_the_customers_own(ada: Person, domain: Domain) -> None:
    mailbox = made(ada, domain, "ada")["ada"]
    for number in range(100):
        create_alias(ada.actor, mailbox.pk, local_part=f"a{number}")
    assert Alias.objects.filter(mailbox=mailbox).count() == 103


def test_records_that_name_many_addresses_make_a_few(ada: Person, domain: Domain) -> None:
    made(ada, domain, "ada")
    record = Record.objects.filter(zone__domain=domain, purpose="dmarc")
    for turn in range(3):
        named = ",".join(f"mailto:r{turn}-{number}@{NAME}" for number in range(50))
        record.update(content=f"v=DMARC1; p=none; rua={named}")
        sweep()
    assert len(leads(ada)) == MOST_AUTOMATIC


def test_elsewhere_the_customer_is_told_to_make_them() -> None:
    for platform, where in (
        ("google-workspace", "Google Workspace"),
        ("microsoft-365", "Microsoft 365"),
        ("custom", "your server"),
    ):
        told = setup_warnings(MailSetup(domain="ada.test", platform=platform))
        (sentence,) = [text for text in told if text.startswith("Make ")]
        assert sentence.startswith(
            f"Make dmarc@ada.test, postmaster@ada.test and abuse@ada.test at {where}"
        )
    assert not setup_warnings(MailSetup(domain="ada.test", platform="mailserver"))
