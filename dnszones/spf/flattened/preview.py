"""SPF flattening asked for in a request: one bounded look at public DNS (docs/decisions/0007)."""

import asyncio

from dnszones import spf
from dnszones.records import check_name
from dnszones.vendors import dns_client, resolvers
from mpanel.core.actor import Actor
from mpanel.core.errors import Invalid
from mpanel.dns.client import RecursiveResolver, TemporaryFailure

LOOK = 8.0  # seconds, for all names together


def flatten_spf(
    actor: Actor, *, domain: str, original: str = "", ipv6: bool = True
) -> spf.Flattening:
    """The record with addresses in place of lookups, letting pass nobody that it did not.

    `original`: the record's text; without it, the one that the domain publishes. Raises `Invalid`
    for `domain` and `original_spf`, and `TemporaryFailure` where DNS does not answer in time.
    """
    actor.need("dns:read")
    name = check_name(domain, field="domain", host=True)
    if "." not in name:
        raise Invalid.field("domain", "This is no complete domain name.")
    try:
        return asyncio.run(_flatten(name, original.strip(), ipv6=ipv6))
    except TimeoutError:
        raise TemporaryFailure(name, "TXT", f"it took longer than {LOOK:.0f} s") from None
    except (spf.SPFSyntaxError, spf.TooComplex) as error:
        raise Invalid.field("original_spf", str(error)) from error


async def _flatten(domain: str, original: str, *, ipv6: bool) -> spf.Flattening:
    async with asyncio.timeout(LOOK), dns_client() as client:
        resolver = RecursiveResolver(client, resolvers())
        text = original or await _published(domain, resolver)
        return await spf.flatten(text, domain=domain, resolver=resolver, force=True, ipv6=ipv6)


async def _published(domain: str, resolver: RecursiveResolver) -> str:
    found = [text for text in await resolver.txt(domain) if spf.is_spf(text)]
    if len(found) != 1:
        number = (
            "no SPF record" if not found else f"{len(found)} SPF records, which is one too many"
        )
        raise Invalid.field("original_spf", f"{domain} has {number}. Give the one to flatten.")
    return found[0]
