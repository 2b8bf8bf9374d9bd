"""Source 5 §15 over HTTP: mail domains, mailboxes on them, aliases, regions."""

from typing import Any
from uuid import uuid4

import pytest

from domains.models import Domain
from events.models import Event
from mailboxes.models import Alias, Mailbox
from mailboxes.selectors import taken_local_parts
from mailboxes.services import create_alias
from mailservers.models import MailDomain, MailServer
from tests.api import Api
from tests.cast import Person
from tests.contract.test_source_1 import ready
from tests.contract.test_source_2_mailboxes import FIELDS
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db
DOMAINS, MAILBOXES = "/api/email/domains", "/api/email/mailboxes"
ALIASES, REGIONS = "/api/email/aliases", "/api/email/regions"


def second_server() -> MailServer:
    return MailServer.objects.create(
        slug="oslo",
        label="Oslo 1",
        region="oslo",
        region_label="Oslo",
        host="mail.oslo.test",
        mx_host="mx.oslo.test",
        spf_name="_spf.oslo.test",
    )


# --- Domains and regions ---------------------------------------------------------------------


def test_email_is_attached_to_a_domain(ada: Person, cy: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    assert api.get(DOMAINS).body == {"items": [], "total": 0}
    wish = {"domainId": str(domain.pk), "planProductId": "prod-email-uuid"}
    made = api.post(DOMAINS, wish)
    assert made.status == 201, made.body
    assert set(made.body) == {
        "id", "domainId", "domain", "provider", "region", "regionLabel", "host", "status",
        "mailboxes", "healthScore", "error", "createdAt",
    }  # fmt: skip
    assert (made.body["domain"], made.body["provider"]) == ("acme.test", "mailserver")
    assert (made.body["status"], made.body["mailboxes"], made.body["error"]) == ("active", 0, None)
    assert api.post(DOMAINS, wish).body["id"] == made.body["id"], "twice is harmless"
    assert api.get(DOMAINS).body["items"] == [made.body]
    assert api.get(DOMAINS, {"search": "ACME"}).body["total"] == 1
    for query in ({"search": "zzz"}, {"domainId": str(uuid4())}, {"customerId": str(uuid4())}):
        assert api.get(DOMAINS, query).body["total"] == 0
    assert api.get(DOMAINS, {"customerId": str(ada.tenant.customer.pk)}).body["total"] == 1
    assert Api(cy.token).post(DOMAINS, wish).error == "DOMAIN_NOT_FOUND"
    assert Api(cy.token).get(DOMAINS).body["total"] == 0


def test_a_domain_is_placed_in_a_region_while_it_has_no_mailboxes(ada: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    server = second_server()
    regions = api.get(REGIONS).body
    assert {found["region"] for found in regions["items"]} == {"local", "oslo"}
    assert regions["total"] == 2
    wish = {"domainId": str(domain.pk), "region": "oslo"}
    made = api.post(DOMAINS, wish).body
    assert (made["region"], made["regionLabel"], made["host"]) == ("oslo", "Oslo", server.host)
    assert MailDomain.objects.get().server == server
    moved = api.post(DOMAINS, {**wish, "region": "local"})
    assert (moved.body["id"], moved.body["region"]) == (made["id"], "local")
    assert api.post(MAILBOXES, {"domainId": str(domain.pk), "localPart": "a"}).status == 201
    assert api.post(DOMAINS, wish).error == "INBOXES_ELSEWHERE"

    MailServer.objects.filter(pk=server.pk).update(is_open=False)
    assert [found["region"] for found in api.get(REGIONS).body["items"]] == ["local"]
    other = ready(ada, "other.test")
    closed = api.post(DOMAINS, {"domainId": str(other.pk), "region": "oslo"})
    assert (closed.status, closed.error) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "changes",
    [
        {"domainId": None},
        {"domainId": "x"},
        {"planProductId": 5},
        {"provider": "nobody"},
        {"region": "atlantis"},
        {"x": 1},
    ],
)
def test_what_is_no_way_to_attach_email(ada: Person, changes: dict[str, Any]) -> None:
    wish = {"domainId": str(ready(ada).pk), **changes}
    assert Api(ada.token).post(DOMAINS, wish).error == "VALIDATION_ERROR"
    assert not MailDomain.objects.exists()


# --- Mailboxes -------------------------------------------------------------------------------


def test_mailboxes_are_made_listed_changed_and_deleted(ada: Person, cy: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    wish = {
        "domainId": str(domain.pk),
        "localPart": "support",
        "password": "SecurePass123!",
        "quotaMb": 2048,
    }
    made = api.post(MAILBOXES, wish)
    assert made.status == 201, made.body
    assert made.body["generatedPassword"] == "SecurePass123!"
    assert (made.body["email"], made.body["quotaMb"]) == ("support@acme.test", 2048)
    assert api.post(MAILBOXES, wish).error == "USER_ALREADY_EXISTS"
    for wrong in ({"localPart": "a..b"}, {"localPart": "*"}, {"quotaMb": 0}, {"email": "a@b.test"}):
        assert api.post(MAILBOXES, {**wish, **wrong}).error == "VALIDATION_ERROR"
    assert Api(cy.token).post(MAILBOXES, wish).error == "DOMAIN_NOT_FOUND"

    def listed(**query: str) -> int:
        return int(api.get(MAILBOXES, query).body["total"])

    customer = str(ada.tenant.customer.pk)
    assert listed() == listed(domainId=str(domain.pk)) == listed(customerId=customer) == 1
    assert listed(domainId=str(uuid4())) == listed(customerId=str(uuid4())) == 0
    assert Api(cy.token).get(MAILBOXES, {"domainId": str(domain.pk)}).body["total"] == 0

    path = f"{MAILBOXES}/{made.body['id']}"
    Mailbox.objects.update(status=Mailbox.ACTIVE)
    changes: dict[str, Any] = {
        "firstName": "Sue",
        "quotaMb": 4096,
        "password": "AnotherPass123",
        "status": "suspended",
    }
    changed = api.put(path, changes)
    assert changed.status == 200, changed.body
    assert set(changed.body) == FIELDS
    assert (changed.body["firstName"], changed.body["quotaMb"]) == ("Sue", 4096)
    assert (changed.body["status"], changed.body["passwordPending"]) == ("suspended", True)
    row = Mailbox.objects.get()
    assert (row.password(), row.password_hash) == ("AnotherPass123", "")
    assert api.put(path, {}).body == changed.body
    before = Event.objects.count()
    changes = {"quotaMb": 9, "password": "short"}
    refused = [api.put(path, changes), api.put(path, {"email": "x@y.test"})]
    refused.append(api.put(path, {"status": "deleted"}))
    assert [answer.error for answer in refused] == ["VALIDATION_ERROR"] * 3
    # All of it or nothing.
    assert (Mailbox.objects.get().quota_mb, Event.objects.count()) == (4096, before)
    assert Api(cy.token).put(path, {"quotaMb": 5}).error == "MAILBOX_NOT_FOUND"
    assert api.delete(path).status == 202
    assert api.get(f"/api/mailboxes/{made.body['id']}").body["status"] == "deleting"


# --- Aliases ---------------------------------------------------------------------------------


def test_aliases_are_made_found_and_taken_away(ada: Person, cy: Person) -> None:
    adas = estate(ada)
    adas.alias.delete()
    api, (first, second) = Api(ada.token), adas.mailboxes
    made = api.post(ALIASES, {"mailboxId": str(first.pk), "localPart": "Sales"})
    assert made.status == 201, made.body
    assert set(made.body) == {
        "id", "address", "localPart", "isCatchAll", "domainId", "domain", "mailboxId", "mailbox",
        "createdAt",
    }  # fmt: skip
    assert (made.body["address"], made.body["isCatchAll"]) == ("sales@example.test", False)
    assert made.body["mailbox"] == first.address
    # Several mailboxes may have it, each once.
    again = {"mailboxId": str(first.pk), "localPart": "sales"}
    assert api.post(ALIASES, again).error == "ALIAS_EXISTS"
    assert api.post(ALIASES, {**again, "mailboxId": str(second.pk)}).status == 201
    for catch_all in ("*", ""):
        box = first if catch_all else second
        found = api.post(ALIASES, {"mailboxId": str(box.pk), "localPart": catch_all}).body
        assert (found["address"], found["isCatchAll"]) == ("@example.test", True)

    def listed(**query: Any) -> list[str]:
        return [item["address"] for item in api.get(ALIASES, query).body["items"]]

    assert listed() == ["@example.test"] * 2 + ["sales@example.test"] * 2
    assert listed(mailboxId=str(second.pk)) == ["@example.test", "sales@example.test"]
    assert listed(domainId=str(adas.domain.pk), pageSize=1, page=3) == ["sales@example.test"]
    assert listed(search="BOX1") == ["@example.test", "sales@example.test"]
    assert listed(domainId=str(uuid4())) == []
    assert Api(cy.token).get(ALIASES).body["total"] == 0

    path = f"{ALIASES}/{made.body['id']}"
    assert Api(cy.token).delete(path).error == "ALIAS_NOT_FOUND"
    assert api.delete(path).status == 204
    assert api.delete(path).error == "ALIAS_NOT_FOUND"
    said = set(Event.objects.filter(action__startswith="alias.").values_list("sentence", flat=True))
    assert "Gave box0@example.test the catch-all of example.test." in said
    assert "Took sales@example.test away from box0@example.test." in said


def test_an_alias_takes_no_ones_address(ada: Person, cy: Person, bo: Person) -> None:
    adas, theirs = estate(ada), estate(cy, "cy.test")
    api, box = Api(ada.token), adas.mailboxes[0]
    wish = {"mailboxId": str(box.pk), "localPart": "sales"}
    for taken in ("box0", "box1"):
        assert api.post(ALIASES, {**wish, "localPart": taken}).error == "ADDRESS_TAKEN"
    assert api.post(ALIASES, {**wish, "mailboxId": str(theirs.mailboxes[0].pk)}).status == 404
    assert Api(bo.token).post(ALIASES, wish).error == "FORBIDDEN"
    for wrong in ("a..b", "a b", "ä", "x" * 65, "a@b", "a\r\nb", None, 5):
        assert api.post(ALIASES, {**wish, "localPart": wrong}).error == "VALIDATION_ERROR"
    # Another tenant had the domain before. Its alias is kept, but mail is of who is verified.
    Domain.objects.filter(pk=theirs.domain.pk).update(verified_at=None, name="example.test")
    Alias.objects.filter(pk=theirs.alias.pk).update(address="sales@example.test")
    assert api.post(ALIASES, wish).status == 201
    Mailbox.objects.update(status=Mailbox.DELETING)
    assert api.post(ALIASES, {**wish, "localPart": "new"}).error == "CONFLICT"
    Mailbox.objects.update(status=Mailbox.ACTIVE, provider="google-workspace")
    assert api.post(ALIASES, {**wish, "localPart": "new"}).error == "MANAGED_ELSEWHERE"
    assert Alias.objects.filter(tenant=ada.tenant).count() == 2


def test_whoever_left_leaves_the_address_to_a_colleague(ada: Person) -> None:
    adas = estate(ada)
    Mailbox.objects.filter(pk=adas.mailboxes[1].pk).update(status=Mailbox.DELETED)
    wish = {"mailboxId": str(adas.mailboxes[0].pk), "localPart": "box1"}
    assert Api(ada.token).post(ALIASES, wish).status == 201
    assert taken_local_parts(adas.domain.pk) == {"box0", "box1", "box.alias"}


def test_a_mailbox_has_a_hundred_aliases_and_no_more(ada: Person) -> None:
    box = estate(ada).mailboxes[0]
    for number in range(99):
        create_alias(ada.actor, box.pk, local_part=f"a{number}")
    one_more = {"mailboxId": str(box.pk), "localPart": "last"}
    assert Api(ada.token).post(ALIASES, one_more).error == "TOO_MANY_ALIASES"
