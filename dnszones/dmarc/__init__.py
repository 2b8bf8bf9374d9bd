"""DMARC policy records (RFC 9989). Its retired tags pct, rf and ri are read, never written."""

from .discovery import (
    AppliedPolicy,
    discover,
    organizational_domain,
    replaced_policy,
    report_problems,
    walk_targets,
)
from .syntax import (
    POLICIES,
    Alignment,
    DMARCRecord,
    DMARCSyntaxError,
    Policy,
    at_least_as_strict,
    build,
    is_dmarc,
    looks_like_dmarc,
    parse,
    same,
)
from .validation import Problem, Severity, validate

__all__ = [
    "POLICIES",
    "Alignment",
    "AppliedPolicy",
    "DMARCRecord",
    "DMARCSyntaxError",
    "Policy",
    "Problem",
    "Severity",
    "at_least_as_strict",
    "build",
    "discover",
    "is_dmarc",
    "looks_like_dmarc",
    "organizational_domain",
    "parse",
    "replaced_policy",
    "report_problems",
    "same",
    "validate",
    "walk_targets",
]
