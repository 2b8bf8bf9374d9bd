"""Rules that hold for every page: who may see it, and what no input may do to it.

The list of pages is taken from the URL resolver, so that a new page cannot be forgotten.
"""

from collections.abc import Iterator
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from dnszones.models import Record
from domains.models import Domain
from events.models import Event, Notification, WebhookDelivery, WebhookEndpoint
from events.relay import relay
from events.services import record
from mailboxes.models import Mailbox
from provisioning.models import Job
from tenants.models import ApiKey, ProviderCredential
from tests.cast import Person
from tests.wizard.rows import Estate, estate

refusal = pytest.mark.one_database("who is refused; owners open the same pages on both")
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
OPEN = {
    "home",
    "join",
    "join-link",
    "sign-in",
    "sign-in-code",
    "sign-in-forgot",
    "sign-in-link",
    "sign-in-password",
    "sign-in-reset",
    "sign-in-second-factor",
    "sign-out",
}
SLUGS = {"port": "dns", "provider": "cloudflare", "token": "made-up"}
GONE = {"sign-in-link", "join"}  # with a token that nobody made
# Pages that change what a member may look at but not touch, and what each takes.
FOR_ADMINS = {
    "credential-new": {"label": "x", "api_token": "x", "account_id": "x"},
    "credential-edit": {"label": "x", "api_token": "x", "account_id": "x"},
    "credential-test": {},
    "credential-delete": {},
    "domain-disconnect": {},
    "plan-revert": {},
    "plan-apply": {},
    "record-add": {"name": "www", "content": "192.0.2.7", "ttl": "300"},
    "record-edit": {"name": "www", "content": "192.0.2.7", "ttl": "300"},
    "record-delete": {},
    "zone-import": {"zone_file": "www A 192.0.2.7"},
    "dkim-rotate": {},
    "spf-stop": {},
    "domain-dnssec": {},
    "dnssec-off": {},
    "session-cancel": {},
    "mailbox-suspend": {},
    "mailbox-activate": {},
    "mailbox-retry": {},
    "mailbox-delete": {},
    "mailbox-reveal": {},
    "mailbox-new": {},
    "mailbox-import": {"text": "email\nanna@example.test"},
    "mailbox-password": {"code": "123456"},
    "mailbox-quota": {"quota_mb": "2048"},
    "alias-add": {"local_part": "sales"},
    "alias-delete": {},
    "domain-alias-add": {"local_part": "sales", "mailbox": "box0@example.test"},
    "domain-region": {},
    "domain-attach": {},
    "mailbox-sending": {"daily_limit": "5"},
    "mailbox-resume": {},
    "domain-sending": {"daily_limit": "5"},
    "domain-ceiling": {"ceiling": "5"},
    "batch-reveal": {},
    "batch-csv": {},
    "outreach-disconnect": {},
    "outreach-retry": {},
    "setup-apply": {},
    "setup-replace": {},
    "setup-go-on": {},
    "settings-webhook-add": {"url": "https://hooks.example.com/", "actions": "*"},
    "settings-webhook-edit": {"url": "https://hooks.example.com/", "actions": "*"},
    "settings-webhook-rotate": {},
    "settings-webhook-test": {},
    "settings-webhook-delete": {},
    "settings-delivery-redeliver": {},
    "settings-invite": {"email": "new@example.test", "role": "member"},
    "settings-invitation-resend": {},
    "settings-invitation-revoke": {},
    "settings-member": {"role": "member"},
    "settings-member-remove": {},
    "settings-key-new": {"name": "x", "scopes": "domains:read", "expiry": "90"},
}
# Pages about a thing of one person only, which for their colleagues is not there.
PERSONAL = {"settings-session-end", "settings-key-revoke"}
# Pages that a member may not even look at.
HIDDEN_FROM_MEMBERS = {
    "settings-audit",
    "settings-audit-csv",
    "settings-delivery",
    "settings-webhook",
    "settings-webhook-add",
    "settings-webhook-delete",
    "settings-webhook-edit",
    "settings-webhook-rotate",
    "settings-webhooks",
}


def _patterns(found: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for item in found:
        if isinstance(item, URLResolver):
            # The JSON API and the operators' admin have their own: tests/contract, tests/admin.
            if not str(item.pattern).startswith(("api/", "admin/")):
                yield from _patterns(item.url_patterns)
        else:
            yield item


PAGES = {
    str(pattern.name): sorted(pattern.pattern.converters)
    for pattern in _patterns(get_resolver().url_patterns)
}
WITH_IDS = sorted(name for name, parts in PAGES.items() if set(parts) - set(SLUGS))
PRIVATE = sorted(set(PAGES) - OPEN)


def address(name: str, theirs: Estate | None) -> str:
    """Where a page is for these rows; for nobody's, with ids that nothing has."""
    ids = theirs.ids() if theirs else {}
    return reverse(
        name, kwargs={part: SLUGS.get(part) or ids.get(part) or uuid4() for part in PAGES[name]}
    )


def is_sign_in(answer: HttpResponseBase) -> bool:
    return (answer.status_code == 302 and answer["Location"].startswith("/sign-in/?next=%2F")) or (
        answer.status_code == 302 and answer["Location"].startswith("/sign-in/?next=/")
    )


def test_every_page_has_a_name_and_known_parts(ada: Person) -> None:
    assert "None" not in PAGES
    known = {*estate(ada).ids(), *SLUGS}
    assert {part for parts in PAGES.values() for part in parts} <= known
    assert len(WITH_IDS) > 30
    assert set(FOR_ADMINS) | HIDDEN_FROM_MEMBERS | PERSONAL | OPEN <= set(PAGES)


@refusal
def test_a_stranger_gets_404_whatever_the_method(ada: Person, cy: Person) -> None:
    adas = estate(ada)
    estate(cy, "cy.test")
    before = snapshot()
    for name in WITH_IDS:
        for method in METHODS:
            answer = getattr(cy.client, method)(address(name, adas))
            # A method that the page does not have is refused before anything is looked up.
            assert answer.status_code in {404, 405}, (name, method, answer.status_code)
        both = {getattr(cy.client, m)(address(name, adas)).status_code for m in ("get", "post")}
        assert 404 in both, name
    assert snapshot() == before


def test_a_strangers_plan_is_not_reached_through_a_domain_of_ones_own(
    ada: Person, cy: Person
) -> None:
    adas, cys = estate(ada), estate(cy, "cy.test")
    other = estate(ada, "other.test")
    for name in ("setup-apply", "setup-replace"):
        parts = {"domain_id": cys.domain.pk, "plan_id": adas.plan.pk}
        assert cy.client.post(reverse(name, kwargs=parts)).status_code == 404
        # Nor one's own plan through another domain.
        parts = {"domain_id": other.domain.pk, "plan_id": adas.plan.pk}
        assert ada.client.post(reverse(name, kwargs=parts)).status_code == 404


@refusal
def test_ids_that_nothing_has_are_404(ada: Person) -> None:
    for name in WITH_IDS:
        statuses = {
            getattr(ada.client, method)(address(name, None)).status_code
            for method in ("get", "post")
        }
        assert statuses <= {404, 405}, (name, statuses)
        assert 404 in statuses, name
        assert ada.client.get(address(name, None)[:-3] + "zz/").status_code == 404


@refusal
def test_a_visitor_is_sent_to_the_sign_in_page(ada: Person) -> None:
    adas, visitor = estate(ada), Client()
    for name in PRIVATE:
        for method in ("get", "post"):
            answer = getattr(visitor, method)(address(name, adas))
            assert is_sign_in(answer), (name, method, answer.status_code)
        partial = visitor.get(address(name, adas), headers={"HX-Request": "true"})
        assert partial.status_code == 200
        assert partial["HX-Redirect"].startswith("/sign-in/?next=/")
        assert not partial.content


def test_the_owner_can_open_every_page(ada: Person) -> None:
    adas = estate(ada)
    opened = 0
    for name in PRIVATE:
        answer = ada.client.get(address(name, adas))
        assert answer.status_code in {200, 302, 405}, (name, answer.status_code)
        if answer.status_code == 200:
            opened += 1
            assert "no-store" in answer["Cache-Control"], name
            partial = ada.client.get(address(name, adas), headers={"HX-Request": "true"})
            assert partial.status_code == 200
    assert opened > 20


def test_a_member_may_look_at_every_page(ada: Person, bo: Person) -> None:
    adas = estate(ada)
    for name in PRIVATE:
        owner, member = (person.client.get(address(name, adas)).status_code for person in (ada, bo))
        expected = 403 if name in HIDDEN_FROM_MEMBERS else 404 if name in PERSONAL else owner
        assert member == expected, name


@refusal
@pytest.mark.parametrize("name", sorted(FOR_ADMINS))
def test_a_member_gets_403_where_an_admin_is_needed(ada: Person, bo: Person, name: str) -> None:
    adas = estate(ada)
    before = snapshot()
    answer = bo.client.post(address(name, adas), FOR_ADMINS[name])
    assert answer.status_code == 403
    assert "admin" in answer.content.decode()
    toast = bo.client.post(address(name, adas), FOR_ADMINS[name], headers={"HX-Request": "true"})
    assert toast.status_code == 403
    assert "toast" in toast["HX-Trigger"]
    assert snapshot() == before


@refusal
def test_a_member_may_not_plan_nor_provision(ada: Person, bo: Person) -> None:
    adas = estate(ada)
    domain = adas.domain.pk
    plan = bo.client.post(f"/setup/{domain}/dns/", setup_form())
    boxes = bo.client.post(
        f"/setup/{domain}/inboxes/", {"inbox_count": 1, "naming_convention": "firstname"}
    )
    many = bo.client.post(
        "/mailboxes/delete/", {"mailbox": str(adas.mailboxes[0].pk), "sure": "yes"}
    )
    assert [plan.status_code, boxes.status_code, many.status_code] == [403, 403, 403]


def setup_form() -> dict[str, str]:
    return {"platform": "mailserver", "dmarc_policy": "none", "tracking_provider": "none"}


@refusal
def test_a_form_without_its_token_is_refused(ada: Person) -> None:
    adas = estate(ada)
    careful = Client(enforce_csrf_checks=True)
    careful.cookies.load(ada.client.cookies.output(header="", sep=";"))
    before = snapshot()
    for name in PAGES:
        answer = careful.post(address(name, adas), {"sure": "yes"})
        assert answer.status_code == 403, name
        assert "has expired" in answer.content.decode()
    assert snapshot() == before
    assert careful.get("/overview/").status_code == 200


GARBAGE = (
    "since=0001-01-01&until=9999-12-31",
    "since=2026-13-45&until=%00&who=%25&action=.&subject=%F0%9F%92%A9",
    "page=abc",
    "page=-1",
    "page=0",
    "page=99999999999999999999",
    "page=1e9&page=nan",
    "status=%3Cscript%3E",
    "status=' OR 1=1 --",
    "domain=xyz",
    "domain=00000000-0000-0000-0000-000000000000",
    "q=%00",
    "status=a%00b&q=%00&domain=%00&next=%00&page=%00",
    "q=%25%5F%5C",
    "q=%ff%fe",
    "q=%F0%9F%92%A9&edit=1&add=1",
    "next=%0d%0aSet-Cookie:x=y",
    "=&&&;=",
    "q[]=1&q=2&q=3",
    f"q={'a' * 10_000}",
    f"status={'%C3%A4' * 2_000}",
    f"page={'9' * 10_000}",
    f"domain={'f' * 10_000}",
    f"next=/{'n' * 10_000}",
)


# What no query is made with: no number, no id, or nothing that a page reads.
NEVER_ASKED_FOR = {
    "page=abc",
    "page=1e9&page=nan",
    "domain=xyz",
    "next=%0d%0aSet-Cookie:x=y",
    "=&&&;=",
    f"domain={'f' * 10_000}",
    f"next=/{'n' * 10_000}",
}
nothing_asked = pytest.mark.one_database("no query is made with it")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(query, marks=nothing_asked if query in NEVER_ASKED_FOR else ())
        for query in GARBAGE
    ],
    ids=lambda text: text[:24],
)
def test_no_query_string_breaks_a_page(ada: Person, query: str) -> None:
    adas = estate(ada)
    for name in PAGES:
        for headers in ({}, {"HX-Request": "true"}):
            answer = ada.client.get(f"{address(name, adas)}?{query}", headers=headers)
            fine = {400, 410} if name in GONE else {200, 302, 400, 405}
            assert answer.status_code in fine, (name, answer.status_code)
            assert "<script>'" not in getattr(answer, "content", b"").decode()


FIELDS = (
    "email", "code", "domain", "provider", "credential", "notes", "label", "api_token",
    "account_id", "name", "tenant_name", "platform", "custom_mx", "spf_includes", "dmarc_policy",
    "dmarc_rua", "dkim_selector", "dkim_value", "tracking_provider", "tracking_subdomain",
    "replace", "mailbox", "sure", "inbox_count", "naming_convention", "personas", "custom",
    "idempotency_key", "next", "typed_name", "confirmation", "microsoft_mx", "url", "actions",
    "description", "enabled", "all",
    "notification", "password", "present", "new", "scopes", "expiry", "expires_on",
    "allowed_networks", "avatar", "action", "local_part", "quota_mb", "text", "region", "domain_id",
    "first_name", "last_name", "ttl", "priority", "content", "type", "shown", "zone_file",
)  # fmt: skip


@pytest.mark.parametrize("value", ["", "\0", "a\0b", "x" * 10_000, "💩", "-1", "\ud83d", "1e999"])
def test_no_form_breaks_a_page(ada: Person, value: str) -> None:
    adas = estate(ada)
    body = urlencode(dict.fromkeys(FIELDS, value), errors="surrogatepass")
    for name in PAGES:
        if name == "sign-out":
            continue
        answer = ada.client.post(
            address(name, adas), body, content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code < 500, (name, answer.status_code)


def test_what_a_visitor_posts_breaks_nothing(db: None) -> None:
    visitor = Client()
    for value in ("", "\0", "x" * 10_000, "💩@people.test", "a@b.test\0"):
        assert visitor.post("/sign-in/", {"email": value, "next": value}).status_code == 422
        assert visitor.post("/sign-in/forgot/", {"email": value}).status_code == 422
        given = {"email": "dora@people.test", "password": value, "next": value}
        assert visitor.post("/sign-in/password/", given).status_code == 422
        assert visitor.post(f"/login/session/{quote(value) or 'x'}").status_code in {400, 410}
    session = visitor.session
    session["signing_in"] = {"email": "dora@people.test", "next": "/overview/"}
    session["second_factor"] = {"proof": "made up", "next": "/overview/"}
    session["resetting"] = "dora@people.test"
    session.save()
    for value in ("", "\0", "x" * 10_000, "１２３４５６", "💩"):
        assert visitor.post("/sign-in/code/", {"code": value}).status_code == 422
        given = {"code": value, "password": value}
        assert visitor.post("/sign-in/reset/", given).status_code == 422
        assert visitor.post("/sign-in/second-factor/", given).status_code in {302, 422}


def test_errors_are_pages_for_people(ada: Person) -> None:
    missing = ada.client.get("/nothing/here/")
    assert missing.status_code == 404
    assert "typing errors" in missing.content.decode()
    assert "Traceback" not in missing.content.decode()
    partial = ada.client.get(address("job-detail", None), headers={"HX-Request": "true"})
    assert partial.status_code == 404
    assert "no such job" in partial["HX-Trigger"]


def test_pages_carry_the_headers_that_keep_others_out(ada: Person) -> None:
    answer = ada.client.get("/overview/")
    assert answer["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    cookie = Client().get("/sign-in/").cookies.get("mpanel_session")
    assert cookie is None


# --- Query counts: a page costs the same however much it lists --------------------------------

LISTS = {
    "overview": "/overview/",
    "domains": "/domains/",
    "dns": "/dns/",
    "mailboxes": "/mailboxes/",
    "jobs": "/jobs/",
    "credentials": "/credentials/",
    "setup": "/setup/",
    "webhooks": "/settings/webhooks/",
    "audit": "/settings/audit/",
    "notifications": "/settings/notifications/",
    "security": "/settings/security/",
    "keys": "/settings/keys/",
    "team": "/settings/team/",
    "plan": "/settings/plan/",
}


def queries(person: Person, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert person.client.get(path).status_code == 200
    return len(seen)


MOST_QUERIES = {
    "overview": 19,
    "domains": 8,
    "dns": 8,
    "mailboxes": 10,
    "jobs": 9,
    "credentials": 7,
    "setup": 9,
    "webhooks": 7,
    "audit": 9,
    "notifications": 8,
    "security": 10,
    "keys": 8,
    "team": 9,
    "plan": 9,
}


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_list_costs_the_same_with_few_and_many_rows(ada: Person, name: str) -> None:
    estate(ada, "d0.test", inboxes=1)
    relay()  # somebody signed in, which is a notification
    queries(ada, LISTS[name])  # the first page of all opens the account
    few = queries(ada, LISTS[name])
    for number in range(1, 5):
        estate(ada, f"d{number}.test", inboxes=8)
    for number in range(5):
        credential = ProviderCredential(
            tenant=ada.tenant, port="dns", provider="cloudflare", label=f"Account {number}"
        )
        credential.set_values({"api_token": "x", "account_id": "y"})
        credential.save()
        relay()
        happened = record(ada.actor, "mailboxes.proved", ada.tenant, "It happened.")
        relay()
        assert Notification.objects.filter(event=happened).exists()
    assert queries(ada, LISTS[name]) == few
    assert few <= MOST_QUERIES[name]


def test_a_domains_pages_cost_the_same_with_many_records(ada: Person) -> None:
    adas = estate(ada)
    queries(ada, "/overview/")
    names = (
        "zone-records",
        "domain-detail",
        "domain-spf",
        "plan-list",
        "setup-nameservers",
        "setup-propagation",
        "setup-inboxes",
    )
    few = {name: queries(ada, address(name, adas)) for name in names}
    for number in range(30):
        Record.objects.create(
            zone=adas.zone,
            purpose="tracking",
            level="optional",
            reason="One of many.",
            name=f"t{number}.example.test",
            type="CNAME",
            content="open.sleadtrack.com",
            ttl=300,
        )
        Event.objects.create(
            tenant=ada.tenant, actor_name="Ada", action="x", subject_id=adas.domain.pk, sentence="x"
        )
    assert {name: queries(ada, address(name, adas)) for name in names} == few
    assert max(few.values()) <= 16


def snapshot() -> list[object]:
    """Everything that a page could have changed."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (
            Domain,
            Mailbox,
            Record,
            ProviderCredential,
            Event,
            Job,
            WebhookEndpoint,
            WebhookDelivery,
            ApiKey,
            Notification,
        )
    ]
