"""The resolvers that the settings name."""

import ipaddress

from django.core.exceptions import ImproperlyConfigured

from mpanel.dns.client import Server


def parse_resolvers(text: str) -> list[Server]:
    """`Name=address[:port]`, comma separated; `ImproperlyConfigured` with the entry that is off."""
    servers = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, where = entry.partition("=")
        address, _, port = where.rpartition(":") if where.count(":") == 1 else (where, "", "")
        try:
            ipaddress.ip_address(address.strip("[]"))
            servers.append(Server(address.strip("[]"), int(port or 53), name.strip()))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"DNS_RESOLVERS: {entry!r} is not 'Name=address' or 'Name=address:port'."
            ) from error
    if not servers:
        raise ImproperlyConfigured("DNS_RESOLVERS: name at least one resolver.")
    return servers
