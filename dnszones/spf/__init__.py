"""SPF (RFC 7208): read and write records, merge, count lookups, evaluate, flatten."""

from mpanel.dns.client import TemporaryFailure

from .addresses import AddressSet
from .chain import Layout, lay_out
from .evaluation import (
    MAX_LOOKUPS,
    MAX_VOID_LOOKUPS,
    CheckResolver,
    LookupCount,
    Resolver,
    Result,
    TooComplex,
    VoidLookup,
    check_host,
    count_lookups,
    evaluate,
)
from .flattening import COMFORTABLE_BYTES, Flattening, flatten
from .merging import merge_by_evaluation
from .syntax import (
    Mechanism,
    MergeConflict,
    Modifier,
    SPFRecord,
    SPFSyntaxError,
    is_spf,
    merge,
    parse,
    same,
)

__all__ = [
    "COMFORTABLE_BYTES",
    "MAX_LOOKUPS",
    "MAX_VOID_LOOKUPS",
    "AddressSet",
    "CheckResolver",
    "Flattening",
    "Layout",
    "LookupCount",
    "Mechanism",
    "MergeConflict",
    "Modifier",
    "Resolver",
    "Result",
    "SPFRecord",
    "SPFSyntaxError",
    "TemporaryFailure",
    "TooComplex",
    "VoidLookup",
    "check_host",
    "count_lookups",
    "evaluate",
    "flatten",
    "is_spf",
    "lay_out",
    "merge",
    "merge_by_evaluation",
    "parse",
    "same",
]
