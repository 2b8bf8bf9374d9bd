"""Zone files (RFC 1035 §5): reading what people bring, with a sentence about each line; writing.

Files come from strangers: their size, their number of records and their depth are bounded, nothing
is included or generated, and every record is checked like one that was typed in.
"""

from .entries import LARGEST
from .reading import MOST_RECORDS, Question, ZoneFile, read, with_one_ttl
from .writing import rank, write

__all__ = [
    "LARGEST",
    "MOST_RECORDS",
    "Question",
    "ZoneFile",
    "rank",
    "read",
    "with_one_ttl",
    "write",
]
