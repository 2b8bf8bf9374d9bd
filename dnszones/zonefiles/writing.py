"""Writing a zone file that can be read back."""

import re
from collections import Counter
from collections.abc import Iterable

from dnszones.records import AUTOMATIC_TTL, DEFAULT_TTL, LEAST_TTL, RecordData, to_presentation

# How Cloudflare's own export marks a proxied record.
PROXIED = "cf_tags=cf-proxied:true"


def write(zone_name: str, records: Iterable[RecordData]) -> str:
    """The records as a zone file: the zone's own name first, then the others from the top down."""
    found = sorted(records, key=lambda record: rank(zone_name, record))
    ttls = Counter(_seconds(record.ttl) for record in found)
    usual = ttls.most_common(1)[0][0] if ttls else DEFAULT_TTL
    lines = [f"$ORIGIN {zone_name}.", f"$TTL {usual}"]
    for record in found:
        ttl = "" if _seconds(record.ttl) == usual else str(_seconds(record.ttl))
        content = re.sub(r"[\r\n]", " ", to_presentation(record))
        owner = _relative(record.name, zone_name)
        words = [owner, *([ttl] if ttl else []), "IN", record.type, content]
        lines.append("\t".join([*words, f"; {PROXIED}"] if record.proxied else words))
    return "\n".join(lines) + "\n"


def rank(zone_name: str, record: RecordData) -> tuple[bool, list[str], bool, str, int, str]:
    """Where a record stands in lists, as a sort key."""
    labels = record.name.split(".")[::-1]
    is_below = record.name != zone_name
    return is_below, labels, record.type != "SOA", record.type, record.priority or 0, record.content


def _relative(name: str, zone_name: str) -> str:
    """The name as short as it can be written; whole where a short one would look unfinished."""
    if name == zone_name:
        return "@"
    below = name.removesuffix(f".{zone_name}")
    looks_whole = below == zone_name or below.endswith(f".{zone_name}")
    return f"{name}." if below == name or looks_whole else below


def _seconds(ttl: int) -> int:
    return max(ttl, LEAST_TTL) if ttl != AUTOMATIC_TTL else DEFAULT_TTL
