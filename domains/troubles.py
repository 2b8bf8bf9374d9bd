"""What can be wrong with a domain."""

from django.db.models import Q

from domains.models import Domain, Registration
from domains.selectors import domains
from mpanel.core import troubles
from mpanel.core.troubles import Trouble

troubles.watch(Domain, noun="domain,domains", url_name="domain-list", rows=domains)
troubles.register(
    Domain,
    Trouble(
        "revoked",
        "No longer verified",
        "Mail is not accepted or sent. Point the nameservers here again.",
        lambda: Q(revoked_at__isnull=False) & ~Q(status=Domain.DELETING),
        in_status=True,
    ),
    Trouble(
        "delegation",
        "Nameservers changed",
        "The last check found other nameservers, or no ownership record. If that "
        "lasts, its mail stops.",
        lambda: (
            Q(verified_at__isnull=False)
            & (
                Q(delegation__verdict__in=["missing", "conflicts"])
                | Q(proof_written_at__isnull=False, delegation__proof="missing")
            )
        ),
    ),
    Trouble(
        "stale_ds",
        "Wrong DS record",
        "The parent zone has a DS record that matches no key here. Remove it at your registrar.",
        lambda: Q(delegation__stale_ds__0__isnull=False) & ~Q(status=Domain.DELETING),
    ),
    Trouble(
        "not_registered",
        "Not registered",
        "The registrar did not register the domain. See why, then try again.",
        lambda: Q(status=Domain.PENDING, registration__status=Registration.FAILED),
        in_status=True,
    ),
)
