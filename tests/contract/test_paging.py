"""Every list pages, in one way, whatever its shape."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from domains.models import Domain
from mailboxes.models import Mailbox
from mpanel.core.api.serializers import FARTHEST_PAGE, LARGEST_PAGE
from tenants.models import Session, User
from tenants.services import start_session
from tests.api import Api, early_in_a_minute
from tests.cast import Person, owner
from tests.contract.test_agreement import schema

pytestmark = pytest.mark.django_db

INBOXES, DOMAINS = "/api/v1/infrastructure/inboxes", "/api/v1/domains"

# Lists inside of one thing, and what bounds each.
PARTS = {
    "/api/dns/changes/{change_id}": "the changes of one plan, and questions about one file",
    "/api/dns/zones/{zone_id}/dnssec": "DS records of one zone's few keys",
    "/api/email/domains/{domain_id}/health": "the parts of a score",
    "/api/mailboxes/{mailbox_id}/health": "the parts of a score",
    "/api/mailboxes/{mailbox_id}/sending": "thirty days",
    "/api/jobs/{job_id}": "the steps of one job, and the last 500 lines of its log",
    "/api/v1/dns/polling/{session_id}": "the records of one plan",
    "/api/v1/domains/{domain_id}/dns/status": "the records of one plan",
    "/api/v1/domains/{domain_id}/dkim": "the keys of one domain",
    "/api/v1/domains/{domain_id}/existing-records": "the first of what a zone has, with a count",
    "/api/v1/domains/{domain_id}/spf": "the parts of one record, and its last changes",
    "/api/v1/email-accounts/{account_id}/warmup-stats": "seven days",
}


def lists() -> list[tuple[str, str]]:
    """Path and page parameter of every operation that answers a list of things."""
    described = schema()
    shapes = described["components"]["schemas"]

    def resolved(shape: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in shape:
            shape = shapes[shape["$ref"].rpartition("/")[2]]
        return shape

    def has_things(shape: dict[str, Any]) -> bool:
        parts = resolved(shape).get("properties", {})
        inner = [resolved(part) for part in parts.values()]
        if "data" in parts:
            inner += [resolved(part) for part in resolved(parts["data"])["properties"].values()]
        return any(
            part.get("type") == "array" and resolved(part["items"]).get("type") == "object"
            for part in inner
        )

    found = []
    for path, methods in described["paths"].items():
        operation = methods.get("get", {})
        content = operation.get("responses", {}).get("200", {}).get("content", {})
        shape = content.get("application/json", {}).get("schema", {})
        if resolved(shape).get("type") == "array" or has_things(shape):
            given = {one["name"] for one in operation.get("parameters", [])}
            size = {"page_size", "pageSize"} & given
            found.append((path, size.pop() if "page" in given and size else ""))
    return found


def test_every_list_of_the_schema_takes_paging_or_is_a_bounded_part_of_one_thing() -> None:
    found = dict(lists())
    assert len(found) > 20
    unpaged = {path for path, size in found.items() if not size}
    assert unpaged == set(PARTS)


@pytest.fixture
def ada() -> Person:
    return owner("ada")


def test_every_list_refuses_pages_that_cannot_be(ada: Person) -> None:
    User.objects.update(is_operator=True)
    api = Api(ada.token)
    for path, size in lists():
        if not size or "{" in path:
            continue
        for page, most in (("0", "0"), (str(FARTHEST_PAGE + 1), str(LARGEST_PAGE + 1))):
            answer = api.get(path, {"page": page, size: most})
            assert answer.error == "VALIDATION_ERROR", path
            assert set(answer.body["error"]["details"]) == {"page", size}, path


def _rows(ada: Person, count: int) -> Domain:
    """A domain with mailboxes that are alike."""
    domain = _domain(ada, "a.test")
    _mailboxes(domain, range(count))
    return domain


def _domain(ada: Person, name: str) -> Domain:
    return Domain.objects.create(
        tenant=ada.tenant,
        name=name,
        unicode_name=name,
        status=Domain.READY,
        dns_credential=ada.credential,
    )


def _mailboxes(domain: Domain, numbers: range, status: str = Mailbox.ACTIVE) -> None:
    for number in numbers:
        Mailbox.objects.create(
            tenant=domain.tenant,
            domain=domain,
            address=f"box{number:02}@{domain.name}",
            local_part=f"box{number:02}",
            status=status,
        )


def test_inboxes_are_all_without_a_page_and_page_in_the_same_shape(ada: Person) -> None:
    _rows(ada, 7)
    api = Api(ada.token)
    whole = api.get(INBOXES).body
    assert len(whole["inboxes"]) == whole["total"] == 7
    pages = [api.get(INBOXES, {"page": str(n), "page_size": "3"}).body for n in (1, 2, 3, 4)]
    assert [len(page["inboxes"]) for page in pages] == [3, 3, 1, 0]
    assert [row for page in pages for row in page["inboxes"]] == whole["inboxes"]
    for page in pages:
        assert page.keys() == whole.keys()
        assert page["total"] == 7 and page["status_breakdown"] == whole["status_breakdown"]
    assert len(api.get(INBOXES, {"page_size": "2"}).body["inboxes"]) == 2
    assert len(api.get(INBOXES, {"page": "1"}).body["inboxes"]) == 7


def test_a_page_of_inboxes_with_a_status_counts_what_has_it(ada: Person) -> None:
    domain = _rows(ada, 3)
    _mailboxes(domain, range(3, 4), Mailbox.SUSPENDED)
    page = Api(ada.token).get(INBOXES, {"status": "active", "page": "2", "page_size": "2"}).body
    assert len(page["inboxes"]) == 1 and page["total"] == 3
    assert page["status_breakdown"]["suspended"] == 1


def test_domains_are_all_without_a_page_and_page_in_the_same_shape(ada: Person) -> None:
    for number in range(5):
        _domain(ada, f"d{number}.test")
    api = Api(ada.token)
    whole = api.get(DOMAINS).body
    assert len(whole["domains"]) == whole["total"] == 5
    pages = [
        api.get(DOMAINS, {"page": str(n), "page_size": "2", "order": "status"}).body
        for n in (1, 2, 3)
    ]
    assert [len(page["domains"]) for page in pages] == [2, 2, 1]
    assert len({row["id"] for page in pages for row in page["domains"]}) == 5
    assert {page["total"] for page in pages} == {5}


def test_rows_that_are_equal_in_the_order_stand_on_one_page_each(ada: Person) -> None:
    api = Api(ada.token)
    for _ in range(8):
        start_session(ada.user, kind=Session.API, address="127.0.0.1")
    Session.objects.update(last_used_at=timezone.now())
    seen: list[str] = []
    for number in (1, 2, 3):
        query = {"page": str(number), "page_size": "3"}
        seen += [row["id"] for row in api.get("/api/v1/auth/sessions", query).body["items"]]
    assert seen == sorted(str(pk) for pk in Session.objects.values_list("pk", flat=True))


def test_a_page_takes_as_many_queries_with_many_rows_as_with_few(ada: Person) -> None:
    domain = _rows(ada, 3)
    api = Api(ada.token)
    queries = {path: [_queries(api, path)] for path in (INBOXES, DOMAINS)}
    _mailboxes(domain, range(3, 30))
    for number in range(30):
        _domain(ada, f"d{number}.test")
    for path, counts in queries.items():
        counts.append(_queries(api, path))
        assert counts[0] == counts[1], path


def _queries(api: Api, path: str) -> int:
    early_in_a_minute()
    query = {"page": "1", "page_size": "2"}
    api.get(path, query)  # a rate window may be new
    with CaptureQueriesContext(connection) as seen:
        assert api.get(path, query).status == 200
    return len(seen)
