"""Where the old and the new nameservers of a domain answer."""

import asyncio
from collections.abc import Sequence

from django.conf import settings

from dnszones.vendors import dns_client, resolvers
from domains.delegation import Authority, find_authority
from domains.models import Domain
from mpanel.dns.client import Question, Server


def present_authority(domain: Domain) -> Authority:
    """To which nameservers the zone above delegates the domain now."""
    roots = [Server(address, settings.DNS_PORT) for address in settings.DNS_ROOT_SERVERS]

    async def ask() -> Authority:
        async with dns_client() as client:
            return await find_authority(client, domain.name, roots=roots, port=settings.DNS_PORT)

    return asyncio.run(ask())


def points_here(domain: Domain, authority: Authority) -> bool:
    """Whether the domain is delegated to its zone here already."""
    return bool(domain.nameservers) and set(authority.nameservers) == set(domain.nameservers)


def new_servers(domain: Domain) -> list[Server]:
    """Where the nameservers of the domain's zone here answer, as resolvers know it."""
    names: Sequence[str] = domain.nameservers
    asked = [(name, kind, server) for name in names for kind in ("A", "AAAA")
             for server in resolvers()]  # fmt: skip

    async def ask() -> list[Server]:
        async with dns_client() as client:
            answers = await client.ask_many(
                Question(server, name, kind) for name, kind, server in asked
            )
        found = [
            Server(address, settings.DNS_PORT, name)
            for (name, _, _), answer in zip(asked, answers, strict=True)
            for address in answer.values
        ]
        return list(dict.fromkeys(found))

    return asyncio.run(ask())
