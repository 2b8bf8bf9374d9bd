"""The OpenAPI document: made once in a process, compressed, counted."""

import gzip
import json
from collections.abc import Iterator

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from pytest_django import Settings

from mpanel.core.api import document, ratelimit
from tests.processes import at_once

pytestmark = pytest.mark.django_db
SCHEMA = "/api/schema/"


@pytest.fixture(autouse=True)
def nothing_made() -> Iterator[None]:
    document._kept.clear()
    ratelimit.forget_portions()
    yield
    ratelimit.forget_portions()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one each time that the document is made."""
    times: list[object] = []
    real = SchemaGenerator.get_schema

    def counted(self: SchemaGenerator, *args: object, **kwargs: object) -> object:
        times.append(self)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    return times


@pytest.mark.django_db(transaction=True)
def test_the_document_is_made_once_whatever_is_asked(made: list[object]) -> None:
    queries = ["", "?1", "?2", "?format=json", "?format=json&x=3", "?version=9", "?lang=de"]
    asked = [lambda query=query: Client().get(SCHEMA + query).status_code for query in queries]
    assert at_once(*asked) == [200] * len(queries)
    assert len(made) == 1


def test_the_document_is_compressed_for_who_takes_that_and_not_sent_again() -> None:
    client = Client()
    plain = client.get(SCHEMA, {"format": "json"})
    packed = client.get(SCHEMA, {"format": "json"}, headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.content) * 10 < len(plain.content)
    assert gzip.decompress(packed.content) == plain.content
    assert "Accept-Encoding" in packed.headers["Vary"]
    refused = client.get(SCHEMA, {"format": "json"}, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
    again = client.get(
        SCHEMA,
        {"format": "json"},
        headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]},
    )
    assert (again.status_code, again.content) == (304, b"")


def test_the_document_is_yaml_unless_json_is_asked_for() -> None:
    client = Client()
    assert client.get(SCHEMA).content.startswith(b"openapi: 3.1")
    by_header = client.get(SCHEMA, headers={"Accept": "application/json"})
    assert json.loads(by_header.content)["openapi"].startswith("3.1")


def test_asking_for_the_document_is_counted(settings: Settings) -> None:
    settings.API_PUBLIC_RATE = 2
    answers = [Client().get(f"{SCHEMA}?{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
    assert "RateLimit" in answers[0].headers
