"""The errors of Cloudflare's API v4 that the stand-in can answer.

Codes and statuses as seen in public reports of real answers; https://developers.cloudflare.com/api/
documents the envelope only.
"""

from collections.abc import Mapping


class CloudflareError(Exception):
    """An answer with `success: false`.

    `chain`: the codes and messages behind it, most general first.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        chain: tuple[tuple[int, str], ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.chain = chain
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, object]:
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.chain:
            error["error_chain"] = [{"code": code, "message": text} for code, text in self.chain]
        return {"success": False, "errors": [error], "messages": [], "result": None}


def validation_error(code: int, message: str) -> CloudflareError:
    """A record that cannot be stored; the reason stands in the chain."""
    return CloudflareError(400, 1004, "DNS Validation Error", chain=((code, message),))


def invalid_request(message: str) -> CloudflareError:
    """A body or parameter that is not what the route takes."""
    return CloudflareError(400, 9207, message)


def rate_limited(retry_after: int) -> CloudflareError:
    """Too many requests; `retry_after` in seconds."""
    return CloudflareError(
        429,
        971,
        "Please wait and consider throttling your request speed",
        headers={"retry-after": str(retry_after)},
    )


def unknown_zone(path: str) -> CloudflareError:
    """A zone id that leads nowhere."""
    return CloudflareError(
        404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?"
    )
