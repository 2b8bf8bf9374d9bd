"""The schema, and pages to browse it that need nothing from outside."""

from django.urls import path
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from drf_spectacular.views import SpectacularSwaggerSplitView

from mpanel.core.api import status
from mpanel.core.api.document import SchemaView

# The documentation styles itself in place; it runs no script but its own files.
DOCS_CSP: dict[str, list[str]] = {
    "default-src": [CSP.SELF],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    "object-src": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}

api = [
    path("health", status.HealthView.as_view()),
    path("status", status.StatusView.as_view()),
    path("schema/", SchemaView.as_view(), name="schema"),
    path(
        "docs/",
        csp_override(DOCS_CSP)(SpectacularSwaggerSplitView.as_view(url_name="schema")),
        name="api-docs",
    ),
]
