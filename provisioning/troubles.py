"""What can be wrong with a job."""

from django.db.models import Exists, OuterRef, Q

from mpanel.core import troubles
from mpanel.core.troubles import Trouble
from provisioning.models import Job
from provisioning.selectors import jobs


def _newer() -> Exists:
    """A later job about the same thing: somebody has acted since."""
    return Exists(
        Job.objects.filter(
            tenant=OuterRef("tenant"), subject_id=OuterRef("subject_id"), pk__gt=OuterRef("pk")
        )
    )


troubles.watch(Job, noun="job,jobs", url_name="job-list", rows=jobs)
troubles.register(
    Job,
    Trouble(
        "failed",
        "Failed",
        "It did not finish. See why, then retry.",
        lambda: Q(status=Job.FAILED) & ~Q(_newer()),
        in_status=True,
    ),
)
