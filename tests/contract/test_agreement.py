"""Routes, schema and the contract's list agree; the schema is valid and says everything."""

import json
import re
from functools import cache
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import validate

from tests.contract.surface import contracted, routed

# What the contract does not list, and why we have it.
OURS = {
    "POST /api/v1/auth/password/forgot": "a password can be forgotten",
    "POST /api/v1/auth/password/reset": "a password can be forgotten",
    "GET /api/v1/auth/organisations": "a person may work in several",
    "POST /api/v1/auth/organisations/{}/switch": "a person may work in several",
    "GET /api/v1/team": "teammates of the whole organisation, as source 4 has them of a project",
    "POST /api/v1/team/invite": "teammates of the whole organisation",
    "PATCH /api/v1/team/{}": "roles exist, so they can be changed",
    "DELETE /api/v1/team/{}": "teammates of the whole organisation",
    "GET /api/v1/team/invitations": "who was invited and has not accepted",
    "POST /api/v1/team/invitations/accept": "invitations are accepted",
    "DELETE /api/v1/team/invitations/{}": "and revoked",
    "POST /api/v1/team/invitations/{}/resend": "and sent again",
    "POST /api/v1/auth/sessions/end-others": "ending all others in one step",
    "GET /api/v1/domains/{}/dkim": "which key signs, and how far its replacement is",
    "POST /api/v1/domains/{}/dkim/rotate": "keys are replaced from time to time",
    "GET /api/v1/domains/{}/spf": "a flattened record is kept current: source, age and history",
    "POST /api/v1/domains/{}/spf/check": "its senders are looked at before they are due",
    "POST /api/v1/domains/{}/spf/stop": "its source can be published again",
    "GET /api/v1/domains/{}/existing-records": "a website in use goes on after the change",
    "POST /api/v1/domains/{}/existing-records/look": "a website in use goes on after the change",
    "POST /api/v1/domains/{}/existing-records/take-over": "with one consent",
    "POST /api/v1/domains/{}/existing-records/compare": "old and new nameservers must agree",
    "POST /api/v1/domains/{}/existing-records/skip": "or somebody says what may be lost",
    "GET /api/mailboxes/{}/health": "what a health score rests on",
    "GET /api/email/domains/{}/health": "what a health score rests on",
    "GET /api/v1/email-accounts/{}": "how far one account is, without the whole list",
    "POST /api/v1/email-accounts/{}/instantly": "the other outreach tool",
    "DELETE /api/v1/email-accounts/{}/instantly": "the other outreach tool",
    "GET /api/v1/instantly/campaigns": "the other outreach tool",
    "POST /api/v1/instantly/campaigns/{}/email-accounts": "the other outreach tool",
    "PATCH /api/v1/webhooks/{}": "an endpoint moves, or is switched off for a while",
    "POST /api/v1/webhooks/{}/rotate-secret": "secrets are rotated with an overlap",
    "POST /api/v1/webhooks/{}/test": "a receiver is tried before it counts",
    "GET /api/v1/webhooks/{}/deliveries": "the delivery log",
    "POST /api/v1/webhooks/{}/deliveries/{}/redeliver": "a delivery is sent once more",
    "POST /api/mailboxes/bulk": "one act on many mailboxes",
    "POST /api/mailboxes/import": "mailboxes from a list",
    "GET /api/mailboxes/{}/rules": "forwarding and vacation notes",
    "PUT /api/mailboxes/{}/rules": "forwarding and vacation notes",
    "GET /api/mailboxes/{}/sending": "what was sent, and how much may be",
    "PUT /api/mailboxes/{}/limits": "sending limits and warm-ups are set",
    "POST /api/mailboxes/{}/resume": "sending that was paused goes on",
    "GET /api/email/regions": "where mail can be placed",
    "GET /api/email/aliases": "further addresses, and catch-alls",
    "POST /api/email/aliases": "further addresses, and catch-alls",
    "DELETE /api/email/aliases/{}": "further addresses, and catch-alls",
    "GET /api/dns/zones/{}": "one zone without the whole list",
    "GET /api/dns/zones/{}/export": "a zone can be taken along",
    "POST /api/dns/zones/{}/import": "a zone can be brought along",
    "GET /api/dns/zones/{}/changes": "who changed what",
    "GET /api/dns/changes/{}": "how far a change is, and all of its steps",
    "POST /api/dns/changes/{}/apply": "a zone file is looked at before it is written",
    "POST /api/dns/changes/{}/revert": "what was written can be taken back",
    "GET /api/dns/zones/{}/dnssec": "zones can be signed",
    "POST /api/dns/zones/{}/dnssec": "zones can be signed",
    "DELETE /api/dns/zones/{}/dnssec": "zones can be signed",
}


@cache
def schema() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    document: dict[str, Any] = json.loads(json.dumps(made, default=str))
    return document


def described() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in schema()["paths"].items()
        for method, operation in methods.items()
    ]


def unnamed(method: str, path: str) -> str:
    return f"{method} {re.sub(r'{[^}]+}', '{}', path)}"


def test_what_the_contract_lists_is_routed_and_nothing_else() -> None:
    listed = {unnamed(row["method"], row["path"]) for row in contracted()}
    present = {unnamed(operation.method, operation.path) for operation in routed()}
    assert sorted(listed - present) == []
    assert sorted(present - listed) == sorted(OURS)


def test_the_schema_describes_what_is_routed() -> None:
    present = {unnamed(operation.method, operation.path) for operation in routed()}
    assert {unnamed(method, path) for method, path, _ in described()} == present


def test_who_may_call_agrees_with_the_contract() -> None:
    views = {unnamed(found.method, found.path): found.view for found in routed()}
    for row in contracted():
        view = views[unnamed(row["method"], row["path"])]
        is_public = row["auth"] in {"public", "refresh token"}
        assert (view.public, view.operator) == (is_public, row["auth"] == "operator"), row


def test_the_schema_is_valid_openapi_3_1_and_complete() -> None:
    assert schema()["openapi"].startswith("3.1")
    validate(schema())
    assert not GENERATOR_STATS, "drf-spectacular warned"
    for method, path, operation in described():
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"] != ["api"], where
        answers = operation["responses"]
        assert "429" in answers, where
        assert ("401" in answers) or not operation.get("security"), where
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= set(answers), where
        if method == "POST":
            assert "409" in answers, where
            names = {given["name"] for given in operation["parameters"]}
            assert "Idempotency-Key" in names, where
        for status, answer in answers.items():
            assert answer["description"], (where, status)
            content = answer.get("content", {}).get("application/json")
            if int(status) >= 400:
                assert content, (where, status)
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
                assert content["examples"], (where, status)
            elif content:
                assert content.get("examples"), f"{where} {status} shows no example"


@pytest.mark.django_db
def test_schema_and_documentation_are_served_and_need_nothing_from_outside() -> None:
    client = Client()
    served = client.get("/api/schema/", {"format": "json"})
    assert served.status_code == 200
    assert json.loads(served.content)["info"]["title"] == "mPanel"
    page = client.get("/api/docs/").content.decode()
    assert re.findall(r'(?:src|href)="(?!/)([^"]+)"', page) == []
    for script in re.findall(r'<script[^>]+src="([^"]+)"', page):
        assert client.get(script).status_code == 200, script
    assert not re.search(r"<script(?![^>]*src)[^>]*>\s*\S", page), "an inline script"
