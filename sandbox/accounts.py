"""The accounts of the Cloudflare stand-in: every token `sandbox-<account>` opens its own."""

import hashlib
import re
from dataclasses import dataclass

DEMO_TOKEN = "sandbox-token"
_TOKEN = re.compile(r"sandbox-([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True, kw_only=True)
class Account:
    """A Cloudflare account. The id has 32 hex digits and is the same in every sandbox."""

    id: str
    name: str

    def as_json(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name}


def account_of(token: str) -> Account | None:
    """The account that a bearer token belongs to; `None` for a token that is not ours."""
    matched = _TOKEN.fullmatch(token)
    if not matched:
        return None
    digest = hashlib.sha256(matched[1].encode()).hexdigest()
    return Account(id=digest[:32], name=f"Sandbox account {matched[1]}")
