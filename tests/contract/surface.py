"""The API's surface, read from the routes themselves, and what the contract lists."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from mpanel.core.api.document import SchemaView
from mpanel.core.api.views import ApiView

CONTRACT = Path(__file__).parent / "operations.csv"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Source 4's and 5's groups that are built so far.
SOURCE_4 = ("auth/", "user/me", "profile", "api-keys", "webhooks", "notifications")
SOURCE_5 = (
    "auth/",
    "health",
    "status",
    "tenants",
    "users",
    "customers",
    "jobs",
    "audit",
    "email/",
    "dns/",
)
SOURCE_2 = ("mailboxes",)


@dataclass(frozen=True)
class Operation:
    """One method of one path. `path` has `{name}` for its parts."""

    method: str
    path: str
    view: type[ApiView]

    @property
    def anonymous_path(self) -> str:
        """The path with its parts unnamed, for comparing with other documents."""
        return re.sub(r"{\w+}", "{}", self.path)

    @property
    def parts(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routed() -> list[Operation]:
    """Every operation that can be called; not the document that lists them."""
    return [
        Operation(method, path, view)
        for path, view in _views(get_resolver().url_patterns, "/")
        for method in METHODS
        if hasattr(view, method.lower()) and view is not SchemaView
    ]


def contracted() -> list[dict[str, str]]:
    """The rows of the contract's list that are built so far."""
    with CONTRACT.open(newline="") as file:
        return [row for row in csv.DictReader(file) if _is_built(row)]


def _is_built(row: dict[str, str]) -> bool:
    short = re.sub(r"^/api/(v1/)?", "", row["path"])
    return {
        "1": True,
        "2": short.startswith(SOURCE_2),
        "3": True,
        "4": short.startswith(SOURCE_4),
        "5": short.startswith(SOURCE_5),
    }.get(row["source"], False)


def _views(
    found: list[URLPattern | URLResolver], before: str
) -> Iterator[tuple[str, type[ApiView]]]:
    for item in found:
        here = before + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(item.pattern))
        if isinstance(item, URLResolver):
            yield from _views(item.url_patterns, here)
            continue
        view: Any = getattr(item.callback, "view_class", None)
        if here.startswith("/api/") and isinstance(view, type) and issubclass(view, ApiView):
            yield here, view
