"""The record in a zone that proves whose the domain is (domains/control.py)."""

from dnszones.records import RecordData
from domains.control import proof_name, proof_text
from domains.models import Domain

TTL = 300


def proof_record(domain: Domain) -> RecordData:
    """The record that only we can have written for this tenant.

    It is ours like the records of a mail setup, but in nobody's plan: it stands in the zone from
    the first minute, and goes when the domain is disconnected.
    """
    return RecordData(proof_name(domain.name), "TXT", proof_text(domain.proof_token), TTL)
