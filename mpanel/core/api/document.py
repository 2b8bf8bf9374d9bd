"""The OpenAPI document as it is served: made once in a process, and kept compressed.

It is the same for everybody until the next start, whatever the query string says.
"""

import gzip
import hashlib
import json
import threading
from dataclasses import dataclass

from django.http import HttpResponse
from django.utils.cache import patch_vary_headers
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from mpanel.core.api.views import ApiView

JSON, YAML = "application/vnd.oai.openapi+json", "application/vnd.oai.openapi"
FRESH = 3600  # seconds that a client may keep it


@dataclass(frozen=True)
class Document:
    """The document in one format. `packed`: by gzip. `tag`: what its ETags begin with."""

    media_type: str
    plain: bytes
    packed: bytes
    tag: str


_kept: dict[str, Document] = {}
_building = threading.Lock()


def document(media_type: str) -> Document:
    """The document as `JSON` or `YAML`. The first call makes both, and others wait for it."""
    with _building:
        if not _kept:
            schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
            in_yaml = OpenApiYamlRenderer().render(schema, renderer_context={})  # type: ignore[no-untyped-call]
            in_json = json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode()
            _kept.update({JSON: _document(JSON, in_json), YAML: _document(YAML, in_yaml)})
        return _kept[media_type]


def _document(media_type: str, plain: bytes) -> Document:
    packed = gzip.compress(plain, mtime=0)
    return Document(media_type, plain, packed, hashlib.sha256(plain).hexdigest()[:32])


class SchemaView(ApiView):
    """`/api/schema/`: JSON where `?format=json` or `Accept` asks for it, YAML otherwise."""

    public = True

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        wanted = request.query_params.get("format") or request.headers.get("Accept", "")
        found = document(JSON if "json" in wanted.lower() else YAML)
        is_packed = _takes_gzip(request.headers.get("Accept-Encoding", ""))
        # Each encoding is another representation, so each has a validator of its own.
        tag = f'"{found.tag}{"-gzip" if is_packed else ""}"'
        if tag in request.headers.get("If-None-Match", ""):
            answer = HttpResponse(status=304)
        else:
            answer = HttpResponse(
                found.packed if is_packed else found.plain, content_type=found.media_type
            )
            if is_packed:
                answer.headers["Content-Encoding"] = "gzip"
        answer.headers["ETag"] = tag
        answer.headers["Cache-Control"] = f"public, max-age={FRESH}"
        patch_vary_headers(answer, ["Accept", "Accept-Encoding"])
        return answer


def _takes_gzip(header: str) -> bool:
    """Whether `Accept-Encoding` names gzip, and not to refuse it."""
    for coding in header.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
