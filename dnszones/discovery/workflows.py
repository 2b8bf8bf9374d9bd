"""The jobs around a domain's existing records, beside `domains.connect`."""

from dnszones.discovery import looking
from dnszones.discovery.states import ExistingRecordsFound, ZoneAnswersAlike
from dnszones.ownership_states import load_domain
from dnszones.states import PlanIsApplied, PlanIsComputed, load_plan
from provisioning.desired import Workflow, register

register(
    Workflow(
        name="dnszones.discover",
        label="Look at the existing records",
        states=(ExistingRecordsFound(),),
        load=load_domain,
        on_failure=looking.not_seen,
        on_cancel=looking.not_seen,
        on_retry=looking.look_anew,
    )
)
register(
    Workflow(
        name="dnszones.takeover",
        label="Take over the existing records",
        states=(PlanIsComputed(), PlanIsApplied()),
        load=load_plan,
        on_success=looking.written,
        on_failure=looking.not_written,
        on_cancel=looking.not_written,
        on_retry=looking.write_again,
    )
)
register(
    Workflow(
        name="dnszones.compare",
        label="Compare old and new nameservers",
        states=(ZoneAnswersAlike(),),
        load=load_domain,
        on_success=looking.settle_comparison,
        on_failure=looking.not_compared,
        on_cancel=looking.not_compared,
        on_retry=looking.compare_anew,
    )
)
