"""Blocklists of names and addresses that send (RFC 5782), asked over DNS."""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.conf import settings

from mpanel.dns.client import Answer, DNSClient, Question
from mpanel.dns.resolvers import parse_resolvers

# Answers of a blocklist that mean "you may not ask here" (Spamhaus and those who follow it).
_REFUSALS = ipaddress.ip_network("127.255.255.0/24")
_LISTED = ipaddress.ip_network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Listing:
    """What blocklists say of a name or address: those that have it, and how many answered."""

    listed: tuple[str, ...] = ()
    asked: int = 0


def name_at(subject: str, blocklist: str) -> str:
    """Where a list answers about an IP address or a domain name."""
    try:
        address = ipaddress.ip_address(subject)
    except ValueError:
        return f"{subject}.{blocklist}"
    return f"{address.reverse_pointer.rsplit('.', 2)[0]}.{blocklist}"


def listing_of(answers: Mapping[str, Answer]) -> Listing:
    """What the answers of several lists come to; a refusal to answer is none."""
    listed, asked = [], 0
    for blocklist, answer in answers.items():
        codes = [ipaddress.ip_address(value) for value in answer.values]
        if answer.status == "unknown" or any(code in _REFUSALS for code in codes):
            continue
        asked += 1
        if any(code in _LISTED for code in codes):
            listed.append(blocklist)
    return Listing(tuple(sorted(listed)), asked)


async def listings(subjects: Collection[str]) -> dict[str, Listing]:
    """What the lists of the settings say of each name or address; nothing where none is asked."""
    if not settings.BLOCKLIST_RESOLVER:
        return {}
    (resolver,) = parse_resolvers(f"blocklists={settings.BLOCKLIST_RESOLVER}")
    pairs = [(one, blocklist) for one in subjects for blocklist in _lists_for(one)]
    async with DNSClient(timeout=settings.DNS_TIMEOUT) as client:
        answers = await client.ask_many(
            Question(resolver, name_at(one, blocklist), "A") for one, blocklist in pairs
        )
    sorted_out: dict[str, dict[str, Answer]] = {one: {} for one in subjects}
    for (one, blocklist), answer in zip(pairs, answers, strict=True):
        sorted_out[one][blocklist] = answer
    return {one: listing_of(of_one) for one, of_one in sorted_out.items()}


def _lists_for(subject: str) -> list[str]:
    try:
        ipaddress.ip_address(subject)
    except ValueError:
        return list(settings.DOMAIN_BLOCKLISTS)
    return list(settings.BLOCKLISTS)
