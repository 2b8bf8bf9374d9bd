"""Schemathesis calls every operation with what the schema allows and with what it does not.

Two tenants with data; ids are sometimes the caller's own, sometimes the other's, sometimes
nobody's. No server error, no answer that the schema does not describe, and no bad input accepted.
"""

import itertools
from collections.abc import Iterator

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mpanel.core.api import ratelimit
from tenants.models import Session, User
from tenants.services import start_session
from tenants.tokens import access_token
from tests.cast import owner
from tests.contract.belongings import Belongings, belongings, make_zone
from tests.contract.test_agreement import schema as document
from tests.contract.test_isolation import IDS
from tests.sandboxes import RunningSandbox

pytestmark = pytest.mark.one_database("shapes of answers do not differ by database")

WHOSE = itertools.cycle((0, 0, 1, 2))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
api = schemathesis.openapi.from_dict(document())
api.app = get_wsgi_application()


@pytest.fixture
def tenants(
    db: None, sandbox: RunningSandbox, request: pytest.FixtureRequest
) -> Iterator[tuple[Belongings, Belongings]]:
    """One transaction for all examples of an operation: what one does, the next meets."""
    ratelimit.forget_portions()
    # Each request would close the connection that holds the transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    both = belongings(owner("ada"), "adas.test"), belongings(owner("cy"), "theirs.test")
    if "/api/dns/" in request.node.name:
        for one in both:
            make_zone(one)
    yield both
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@api.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation(case: schemathesis.Case, tenants: tuple[Belongings, Belongings]) -> None:
    mine, _ = tenants
    operator = case.path.startswith(("/api/tenants", "/api/users", "/api/customers"))
    User.objects.filter(pk=mine.user).update(is_operator=operator)
    session = start_session(mine.person.user, kind=Session.API, address="127.0.0.1")
    headers = {"Authorization": f"Bearer {access_token(session)}"}
    if case.meta and case.meta.generation.mode == GenerationMode.POSITIVE:
        name_real_things(case, next(WHOSE), tenants)
    case.call_and_validate(headers=headers, checks=CHECKS)


def name_real_things(
    case: schemathesis.Case, whose: int, tenants: tuple[Belongings, Belongings]
) -> None:
    """Put the caller's own ids in place of made-up ones, or the other's, or leave them."""
    for (start, name), find in IDS.items():
        if whose < 2 and case.path.startswith(start) and name in (case.path_parameters or {}):
            case.path_parameters[name] = str(find(tenants[whose]))
