"""The records of one name, as nameservers serve them."""

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache

import dns.name
import dns.rrset
import dns.zone
from dns.rdatatype import RdataType

from . import internet
from .internet import Records
from .records import PROXIABLE, Record


class Node:
    """The records of one name in a zone."""

    def __init__(self, name: str, records: Iterable[Record]) -> None:
        self._name = name
        self._records = tuple(records)

    @cached_property
    def rrsets(self) -> Records:
        """By type; made when first asked for, since most names of a big zone never are.

        Of a proxied name the addresses are the proxy's; its other records stay as they are.
        """
        rrsets: Records = {}
        is_proxied = any(record.proxied for record in self._records)
        for kind, address in internet.PROXY_ADDRESS.items() if is_proxied else ():
            shown = rrset_of(self._name, 300, kind, address)
            rrsets[shown.rdtype] = shown
        for record in self._records:
            if is_proxied and record.type in PROXIABLE:
                continue
            rdata = record.rdata()
            rrset = rrsets.get(rdata.rdtype)
            if rrset is None:
                owner = dns.name.from_text(f"{self._name}.")
                rrset = dns.rrset.RRset(owner, rdata.rdclass, rdata.rdtype)
                rrsets[rdata.rdtype] = rrset
            rrset.add(rdata, record.dns_ttl)  # the lowest TTL counts for all of them
        return rrsets


class FileNode(Node):
    """The records of one name as a zone file has them."""

    def __init__(self, name: str, records: Records) -> None:
        super().__init__(name, ())
        self._given = records

    @cached_property
    def rrsets(self) -> Records:
        return self._given


def nodes_of_file(domain: str, text: str) -> Mapping[str, Node]:
    """The nodes of a zone file. Raises `dns.exception.DNSException` for one that is none."""
    zone = dns.zone.from_text(text, f"{domain}.", relativize=False, check_origin=False)
    records: dict[str, Records] = {}
    for owner, rdataset in zone.iterate_rdatasets():
        name = owner.to_text(omit_final_dot=True).lower()
        rrset = dns.rrset.from_rdata_list(owner, rdataset.ttl, list(rdataset))
        records.setdefault(name, {})[RdataType.make(rdataset.rdtype)] = rrset
    return {name: FileNode(name, rrsets) for name, rrsets in records.items()}


def synthesized(wildcard: Node, name: str) -> Records:
    """The records of a wildcard as those of a name."""
    owner = dns.name.from_text(f"{name}.")
    return {
        kind: dns.rrset.from_rdata_list(owner, rrset.ttl, list(rrset))
        for kind, rrset in wildcard.rrsets.items()
    }


@lru_cache(maxsize=4096)
def rrset_of(name: str, ttl: int, kind: str, *texts: str) -> dns.rrset.RRset:
    """Records from text; nobody changes them, so that everybody may have the same."""
    return dns.rrset.from_text_list(f"{name}.", ttl, "IN", kind, list(texts))
