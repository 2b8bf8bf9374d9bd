"""The OpenAPI 3.1 document: how callers prove who they are, and what every answer carries."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

RATE_HEADERS = {
    "RateLimit-Policy": "The limits that were counted: quota `q` in a window of `w` seconds.",
    "RateLimit": "What the tightest limit has left: `r` requests, and `t` seconds to its reset.",
    "X-Request-ID": "Names this request in our log and in the audit log.",
}


class Schema(AutoSchema):
    """Operation ids are `<method> <path>` in words, so that they never clash."""

    def get_operation_id(self) -> str:
        words = [part.strip("{}") for part in self.path.split("/") if part and part != "api"]
        return "_".join([self.method.lower(), *words]).replace("-", "_").replace(".", "_")


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A token or an API key."""

    target_class = "tenants.authentication.Bearer"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token (JWT, 15 minutes) or an API key (`mpk_...`).",
        }


class BrowserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The browser's session."""

    target_class = "tenants.authentication.BrowserSession"
    name = "browser"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "mpanel_session",
            "description": "The browser's session; what writes needs the header X-CSRFToken too.",
        }


def finish(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Say the same of all operations: headers of every answer, and that fields are complete."""
    for methods in result["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                headers = answer.setdefault("headers", {})
                for name, text in RATE_HEADERS.items():
                    headers[name] = {"description": text, "schema": {"type": "string"}}
                if status in {"429", "503"}:
                    headers["Retry-After"] = {
                        "description": "Seconds to wait.",
                        "schema": {"type": "integer", "minimum": 1},
                    }
    for name, schema in result["components"].get("schemas", {}).items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return result
