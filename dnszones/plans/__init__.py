"""The change plan: what would be written to a zone, and why, before anything is.

Pure: a plan is computed from what a zone holds and what it should hold, stored as JSON, shown,
and carried out later, as often as need be, by asking `remaining` what is left to do.
"""

from dnszones.plans.making import make_plan, plan_removal, takes_more
from dnszones.plans.manual import Edit, plan_edits, plan_import
from dnszones.plans.plan import (
    BY_HAND,
    Action,
    Change,
    ExistingRecord,
    Plan,
    change_from_json,
    excludes,
    fingerprint,
    is_current,
    make_change,
)
from dnszones.plans.planner import plan_changes, spf_to_extend
from dnszones.plans.progress import Batch, batch, inverse, remaining

__all__ = [
    "BY_HAND",
    "Action",
    "Batch",
    "Change",
    "Edit",
    "ExistingRecord",
    "Plan",
    "batch",
    "change_from_json",
    "excludes",
    "fingerprint",
    "inverse",
    "is_current",
    "make_change",
    "make_plan",
    "plan_changes",
    "plan_edits",
    "plan_import",
    "plan_removal",
    "remaining",
    "spf_to_extend",
    "takes_more",
]
