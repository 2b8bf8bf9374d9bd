"""A nameserver that is not the sandbox's: a real PowerDNS, where one runs beside it."""

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
from dns.rdatatype import RdataType

from .internet import POWERDNS_ADDRESS
from .world import Answer

PATIENCE = 0.3  # seconds: everything waits for a server that is not there


def ask_powerdns(name: str, kind: RdataType, *, port: int) -> Answer:
    """What it answers with authority; SERVFAIL, as resolvers have it, for anything else."""
    query = dns.message.make_query(f"{name}.", kind, use_edns=0, flags=0)
    try:
        reply, _ = dns.query.udp_with_fallback(query, POWERDNS_ADDRESS, PATIENCE, port)
    except (OSError, dns.exception.DNSException):
        return Answer(rcode=dns.rcode.SERVFAIL, is_fleeting=True)
    if not reply.flags & dns.flags.AA:
        return Answer(rcode=dns.rcode.SERVFAIL, is_fleeting=True)
    return Answer(
        rcode=reply.rcode(),
        answer=tuple(reply.answer),
        authority=tuple(reply.authority),
        is_fleeting=True,
    )
