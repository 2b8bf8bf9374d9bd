"""The isolation matrix: every path x method x who must not get in.

It is made from the routes, so that no operation can be forgotten: a new path with an id needs an
id in `IDS`, and nothing else.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from mpanel.core.actor import SCOPES
from tenants.models import Session, Tenant, User
from tenants.services import add_credential, create_api_key
from tests.api import Answer, Api
from tests.cast import Person, owner
from tests.contract.belongings import Belongings, belongings, make_zone
from tests.contract.surface import Operation, routed
from tests.contract.test_agreement import schema

pytestmark = pytest.mark.django_db
PRIVATE = [operation for operation in routed() if not operation.view.public]
WITH_IDS = [operation for operation in PRIVATE if operation.parts]
REFUSED = {401, 403, 404}
refusal = pytest.mark.one_database("who is refused; the same rows are found for owners on both")

# Where a path's parts lead, by the path's beginning and the part's name.
IDS: dict[tuple[str, str], Callable[[Belongings], UUID]] = {
    ("/api/v1/auth/sessions/", "session_id"): lambda all_: all_.other_session,
    ("/api/v1/auth/organisations/", "tenant_id"): lambda all_: all_.tenant,
    ("/api/v1/team/", "user_id"): lambda all_: all_.user,
    ("/api/v1/team/", "invitation_id"): lambda all_: all_.estate.invitation.pk,
    ("/api/v1/api-keys/", "api_key_id"): lambda all_: all_.api_key,
    ("/api/v1/domains/", "domain_id"): lambda all_: all_.estate.domain.pk,
    ("/api/v1/dns/polling/", "session_id"): lambda all_: all_.estate.session.pk,
    ("/api/dns/zones/", "zone_id"): lambda all_: all_.estate.zone.pk,
    ("/api/dns/zones/", "record_id"): lambda all_: all_.estate.zone.pk,
    ("/api/dns/changes/", "change_id"): lambda all_: all_.estate.plan.pk,
    ("/api/v1/infrastructure/deployment/", "deployment_id"): lambda all_: all_.estate.job.pk,
    ("/api/mailboxes/", "mailbox_id"): lambda all_: all_.estate.mailboxes[0].pk,
    ("/api/email/mailboxes/", "mailbox_id"): lambda all_: all_.estate.mailboxes[0].pk,
    ("/api/email/domains/", "domain_id"): lambda all_: all_.estate.domain.pk,
    ("/api/email/aliases/", "alias_id"): lambda all_: all_.estate.alias.pk,
    ("/api/v1/email-accounts/", "account_id"): lambda all_: all_.estate.mailboxes[0].pk,
    # A campaign's id is the tool's; whose mailboxes join it stands in the body.
    ("/api/v1/smartlead/", "campaign_id"): lambda all_: all_.tenant,
    ("/api/v1/instantly/", "campaign_id"): lambda all_: all_.tenant,
    ("/api/v1/webhooks/", "webhook_id"): lambda all_: all_.webhook,
    ("/api/v1/webhooks/", "delivery_id"): lambda all_: all_.delivery,
    ("/api/jobs/", "job_id"): lambda all_: all_.estate.job.pk,
    ("/api/tenants/", "tenant_id"): lambda all_: all_.tenant,
    ("/api/users/", "user_id"): lambda all_: all_.user,
    ("/api/customers/", "customer_id"): lambda all_: all_.customer,
}


# What the DNS provider is asked for.
AT_A_TOOL = {"/api/v1/smartlead/campaigns", "/api/v1/instantly/campaigns"}
AT_THE_PROVIDER = {"/api/dns/zones/{zone_id}/records", "/api/dns/zones/{zone_id}/export"}


@pytest.fixture
def theirs() -> Belongings:
    """Somebody else's things."""
    return belongings(owner("cy"), "theirs.test")


def path_for(operation: Operation, theirs: Belongings | None) -> str:
    """The path with somebody's ids, or with ids that nothing has."""
    path = operation.path
    for part in operation.parts:
        (find,) = [
            find
            for (start, name), find in IDS.items()
            if operation.path.startswith(start) and name == part
        ]
        path = path.replace(f"{{{part}}}", str(find(theirs) if theirs else uuid4()))
    return path


def example_body(operation: Operation) -> Any:
    """What the schema shows as a request."""
    described = schema()["paths"][operation.path][operation.method.lower()]
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    shown = list(content.get("examples", {}).values())
    return shown[0]["value"] if shown else {} if operation.method != "GET" else None


def call(api: Api, operation: Operation, path: str) -> Answer:
    body = example_body(operation) if operation.method in {"POST", "PUT", "PATCH"} else None
    return {
        "GET": lambda: api.get(path),
        "POST": lambda: api.post(path, body),
        "PUT": lambda: api.put(path, body),
        "PATCH": lambda: api.patch(path, body),
        "DELETE": lambda: api.delete(path),
    }[operation.method]()


def key_without(person: Person, operation: Operation) -> str:
    """A key with every scope but those that would let it in."""
    needed = operation.view.scopes.get(operation.method, "operator")
    kind = needed.partition(":")[0]
    scopes = [scope for scope in SCOPES if scope != "operator" and not scope.startswith(kind)]
    harmless = [scope for scope in scopes if scope.startswith(("audit", "webhooks"))]
    return create_api_key(
        person.actor, name="x", scopes=[scope for scope in harmless if scope != needed]
    ).plain


@refusal
@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
def test_a_foreign_id_answers_like_an_unknown_one(
    operation: Operation, ada: Person, theirs: Belongings
) -> None:
    api = Api(ada.token)
    foreign = call(api, operation, path_for(operation, theirs))
    unknown = call(api, operation, path_for(operation, None))
    assert foreign.status in REFUSED
    assert foreign.raw == unknown.raw
    told = [
        {name: value for name, value in answer.headers.items() if name not in VARYING}
        for answer in (foreign, unknown)
    ]
    assert told[0] == told[1]
    assert theirs.is_untouched()


VARYING = {"RateLimit", "RateLimit-Policy", "X-Request-ID"}


@refusal
@pytest.mark.parametrize("operation", PRIVATE, ids=str)
def test_nobody_gets_in_without_a_right(operation: Operation, theirs: Belongings) -> None:
    """With their own ids: what keeps these out is who asks, not what is asked for."""
    person, path = theirs.person, path_for(operation, theirs)
    assert call(Api(), operation, path).error == "UNAUTHORIZED"

    key = key_without(person, operation)
    refused = call(Api(key), operation, path)
    assert refused.status == 403
    assert refused.error in {"SCOPE_MISSING", "PERSON_NEEDED", "FORBIDDEN"}

    token = person.token
    User.objects.filter(pk=person.user.pk).update(is_active=False)
    assert call(Api(token), operation, path).error == "ACCOUNT_CLOSED"
    User.objects.filter(pk=person.user.pk).update(is_active=True)

    Tenant.objects.filter(pk=theirs.tenant).update(status=Tenant.SUSPENDED)
    assert call(Api(token), operation, path).error == "ACCOUNT_CLOSED"
    Tenant.objects.filter(pk=theirs.tenant).update(status=Tenant.ACTIVE)

    Session.objects.filter(pk=person.session.pk).update(ended_at=timezone.now())
    assert call(Api(token), operation, path).error == "INVALID_TOKEN"
    assert theirs.is_untouched()


@pytest.mark.parametrize(
    "operation", [found for found in WITH_IDS if found.method == "GET"], ids=str
)
def test_the_owner_gets_in(
    operation: Operation, theirs: Belongings, request: pytest.FixtureRequest
) -> None:
    """Else the tests above would prove nothing."""
    person = theirs.person
    if operation.path in AT_THE_PROVIDER:
        request.getfixturevalue("sandbox")
        make_zone(theirs)
    if operation.view.operator:
        User.objects.filter(pk=person.user.pk).update(is_operator=True)
    assert call(Api(person.token), operation, path_for(operation, theirs)).status == 200


@pytest.mark.parametrize(
    "operation", [found for found in PRIVATE if found.method == "GET" and not found.parts], ids=str
)
def test_lists_hold_nothing_of_another_tenant(
    operation: Operation, ada: Person, theirs: Belongings, request: pytest.FixtureRequest
) -> None:
    """Nor do filters by a foreign id find anything."""
    if operation.path in AT_A_TOOL:
        request.getfixturevalue("sandbox")
        for provider in ("smartlead", "instantly"):
            values = {"api_key": "sandbox-ada"}  # campaigns are those of one's own account
            add_credential(ada.actor, port="outreach", provider=provider, label="", values=values)
    if operation.view.operator:
        assert call(Api(ada.token), operation, operation.path).status == 403
        return
    seen = call(Api(ada.token), operation, operation.path)
    assert seen.status == 200
    for secret in (b"theirs.test", str(theirs.tenant).encode(), b"cy@people.test"):
        assert secret not in seen.raw
