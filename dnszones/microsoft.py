"""The mail hosts of Microsoft 365, which are made for one tenant and so never derived."""

import re
from typing import Final

from dnszones.records import check_name
from mpanel.core.errors import Invalid

_MICROSOFT_MX: Final = re.compile(
    r"[a-z0-9-]{1,63}\.(?:mail\.protection\.outlook\.com|[a-z0-9-]{1,63}\.mx\.microsoft)"
)


def microsoft_mx_host(text: str) -> str:
    """A mail host of Microsoft 365 as its admin center shows it. Raises `Invalid`.

    Newer tenants have hosts below mx.microsoft, see
    https://learn.microsoft.com/en-us/purview/how-smtp-dane-works (seen 2026-11).
    """
    host = text.strip().rstrip(".").lower()
    if not is_microsoft_mx(host):
        raise Invalid.field(
            "microsoft_mx",
            "Enter the MX host that Microsoft shows for the domain (admin center, Settings, "
            "Domains, DNS records). It ends in .mail.protection.outlook.com or .mx.microsoft.",
        )
    return check_name(host, field="microsoft_mx", host=True)


def is_microsoft_mx(host: str) -> bool:
    """Whether this is a mail host of a Microsoft 365 tenant."""
    return _MICROSOFT_MX.fullmatch(host) is not None
