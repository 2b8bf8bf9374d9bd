"""Exact sets of IP addresses, as sorted spans: nothing is ever widened to fit a prefix."""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .syntax import Network

Span = tuple[int, int]  # first and last address, both within

_LAST4 = 2**32 - 1
_LAST6 = 2**128 - 1


@dataclass(frozen=True)
class AddressSet:
    """IPv4 and IPv6 addresses; the spans are sorted, apart and not adjacent."""

    v4: tuple[Span, ...] = ()
    v6: tuple[Span, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[Network]) -> "AddressSet":
        spans: dict[int, list[Span]] = {4: [], 6: []}
        for network in networks:
            first, last = int(network.network_address), int(network.broadcast_address)
            spans[network.version].append((first, last))
        return cls(_joined(spans[4]), _joined(spans[6]))

    @classmethod
    def everything(cls) -> "AddressSet":
        return cls(((0, _LAST4),), ((0, _LAST6),))

    def __or__(self, other: "AddressSet") -> "AddressSet":
        return AddressSet(_joined([*self.v4, *other.v4]), _joined([*self.v6, *other.v6]))

    def __sub__(self, other: "AddressSet") -> "AddressSet":
        return AddressSet(_without(self.v4, other.v4), _without(self.v6, other.v6))

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)

    def covers(self, network: Network) -> bool:
        return not AddressSet.of([network]) - self

    def networks(self) -> Iterator[Network]:
        """The fewest networks that are exactly this set, IPv4 first, in order."""
        for first, last in self.v4:
            span4 = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
            yield from ipaddress.summarize_address_range(*span4)
        for first, last in self.v6:
            span6 = ipaddress.IPv6Address(first), ipaddress.IPv6Address(last)
            yield from ipaddress.summarize_address_range(*span6)


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _without(spans: tuple[Span, ...], holes: tuple[Span, ...]) -> tuple[Span, ...]:
    left: list[Span] = []
    at = 0
    for first, last in spans:
        start = first
        while at < len(holes) and holes[at][1] < start:
            at += 1
        while at < len(holes) and holes[at][0] <= last:
            hole_first, hole_last = holes[at]
            if hole_first > start:
                left.append((start, hole_first - 1))
            start = hole_last + 1
            if hole_last >= last:
                break  # it may reach into the next span
            at += 1
        if start <= last:
            left.append((start, last))
    return tuple(left)
