"""Network addresses of callers, as they are compared and counted."""

import ipaddress

PREFIX = 64  # of IPv6: what a single customer is given at least (RFC 6177)


def plain_address(text: str) -> str:
    """An IP address as text; an IPv4 address that is mapped into IPv6 is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def network_of(text: str) -> str:
    """Who is one caller: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(plain_address(text))
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((int(address) >> (128 - PREFIX) << (128 - PREFIX), PREFIX)))
