"""Texts about TLS between mail servers: MTA-STS (RFC 8461) and reports on it (RFC 8460)."""

import hashlib
from typing import Final
from urllib.parse import quote

from mpanel.core.addresses import clean_address

MODES: Final = ("none", "testing", "enforce")
# Seconds that senders keep a policy; a short time while it is only tried.
MAX_AGES: Final = {"testing": 86_400, "enforce": 604_800}


def sts_policy(mode: str, host: str) -> str:
    """The policy that says: deliver to this mail host only, and only over TLS."""
    lines = ("version: STSv1", f"mode: {mode}", f"mx: {host}", f"max_age: {MAX_AGES[mode]}")
    return "".join(f"{line}\r\n" for line in lines)


def sts_record(mode: str, host: str) -> str:
    """The TXT that says that there is a policy; its id changes when the policy does."""
    digest = hashlib.sha256(sts_policy(mode, host).encode()).hexdigest()
    return f"v=STSv1; id={digest[:20]};"


def is_sts_record(text: str) -> bool:
    """Whether senders take this text for an MTA-STS record (RFC 8461 §3.1)."""
    return text.startswith("v=STSv1;")


def is_tls_rpt_record(text: str) -> bool:
    """Whether senders take this text for a TLS reporting record (RFC 8460 §3)."""
    return text.startswith("v=TLSRPTv1;")


def tls_rpt_record(address: str) -> str:
    """The TXT that asks senders for reports. Raises `Invalid` for `tls_rpt`."""
    local_part, _, domain = clean_address(address, field="tls_rpt").rpartition("@")
    return f"v=TLSRPTv1; rua=mailto:{quote(local_part, safe='+=_~.-')}@{domain}"
