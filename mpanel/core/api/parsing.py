"""Reading JSON strictly (RFC 8259), so that nothing odd gets further than this."""

import json
import re
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser

from mpanel.core.errors import TooLarge

DEEPEST = 32
# What no text of ours holds: NUL, which PostgreSQL refuses, and halves of surrogate pairs.
FORBIDDEN_CHARACTERS = re.compile("[\x00\ud800-\udfff]")
NO_TEXT = "Text may hold neither NUL nor half a surrogate pair."
MOST_BRACKETS = 100_000  # each costs an object; the largest import needs a tenth
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_AS_ROUND = bytes.maketrans(b"[]{}", b"()()")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# As `json.dumps` writes them: a NUL is escaped, halves of pairs are not.
_ODD = re.compile("(?<!\\\\)(?:\\\\\\\\)*\\\\u0000|[\ud800-\udfff]")


class StrictJSON(JSONParser):
    """JSON of a sane depth, each name once, finite numbers, and text that can be stored."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise TooLarge(f"The body is larger than {most} bytes.")
        if not raw.strip():
            return {}
        _refuse_depth(raw)
        try:
            value = json.loads(
                raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
            )
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8.") from None
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not valid JSON: {str(error)[:200]}") from None
        _refuse_odd_text(value)
        return value


class AlwaysJSON(BaseContentNegotiation):
    """Whatever a client accepts, it gets JSON: an error in HTML would help nobody."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        wanted = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def _refuse_depth(raw: bytes) -> None:
    """Measure brackets outside of strings before anything recursive looks at them.

    Without a step of Python for each: a body of brackets costs no more than one of text.
    """
    brackets = _TEXT.sub(b"", raw).translate(_AS_ROUND, _NO_BRACKETS)
    if brackets.count(b"(") > MOST_BRACKETS:
        raise ParseError(f"The body has more than {MOST_BRACKETS} lists and objects.")
    for _ in range(DEEPEST):
        if b"()" not in brackets:
            break
        brackets = brackets.replace(b"()", b"")
    if b"()" in brackets or brackets.count(b"(") > DEEPEST:
        raise ParseError(f"The body is nested deeper than {DEEPEST} levels.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _refuse_odd_text(value: Any) -> None:
    """Look at all texts at once, as they are written again; depth is bounded by now."""
    if _ODD.search(json.dumps(value, ensure_ascii=False)):
        raise ParseError(NO_TEXT)
