"""Role addresses: those that every mail domain should have, and those that its records name.

`postmaster` and `abuse` (RFC 2142) come with the first inbox of a domain on our servers, as
ordinary aliases of it; so do the addresses within the domain to which its DMARC and TLS-RPT records
have reports sent. The former are made once, and are the customer's to move or remove then; the
latter come back while a record names them, or reports would be refused.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from dnszones.models import Record
from domains.models import Domain
from events.services import record
from mailboxes.models import Alias, Mailbox
from mailboxes.naming import local_part_error
from mailservers.models import MailDomain
from mpanel.core.actor import Actor, system

ROLES = ("postmaster", "abuse")
REPORTING = ("dmarc", "tls-rpt")  # purposes of records that name addresses for reports
AT_ONCE = 200  # domains
MOST_AUTOMATIC = 20  # role addresses of one domain, whatever its records name and have named
OURS = "mailserver"
_MAILTO = re.compile(r"mailto:([^@,;!\s]{1,200})@([^,;!?\s]{1,253})", re.IGNORECASE)


def keep_role_addresses(domain_ids: Iterable[UUID], *, again: Sequence[str] = ()) -> None:
    """Make the role addresses that are missing, in a few queries for all of these domains.

    Nothing where the customer has an address of that name, or the domain's mail is elsewhere.
    `again`: roles that are made although they were made before. Harmless to run twice.
    """
    places = MailDomain.objects.filter(domain_id__in=domain_ids, provider=OURS)
    automatic = Alias.objects.filter(domain=OuterRef("domain"), is_automatic=True).order_by()
    made = automatic.values("domain").annotate(number=Count("pk")).values("number")
    rows = {
        place.domain_id: place
        for place in places.select_related("domain").annotate(made=Coalesce(Subquery(made), 0))
    }
    targets = _first_inboxes(rows)
    wanted = {
        domain_id: _wanted(rows[domain_id], reports, again, made=rows[domain_id].made)
        for domain_id, reports in _report_parts(rows).items()
        if domain_id in targets
    }
    # By domain and address: a name that changed hands may stand at two tenants.
    addresses = {
        (domain_id, f"{part}@{rows[domain_id].domain.name}"): part
        for domain_id, parts in wanted.items()
        for part in parts
    }
    here = {"domain_id__in": wanted, "address__in": {address for _, address in addresses}}
    columns = ("domain_id", "address")
    given = set(Alias.objects.filter(**here).values_list(*columns))
    given |= set(Mailbox.objects.present().filter(**here).values_list(*columns))
    with transaction.atomic():
        for (domain_id, address), part in addresses.items():
            if (domain_id, address) not in given:
                _give(targets[domain_id], address, part)
        fresh = [domain_id for domain_id in targets if rows[domain_id].roles_at is None]
        MailDomain.objects.filter(domain_id__in=fresh).update(roles_at=timezone.now())


def sweep() -> None:
    """Look after the role addresses of all domains with inboxes here; also those of before."""
    present = Mailbox.objects.receiving().filter(provider=OURS).order_by("domain_id")
    ids = list(present.values_list("domain_id", flat=True).distinct())
    for start in range(0, len(ids), AT_ONCE):
        keep_role_addresses(ids[start : start + AT_ONCE])


def give_way(actor: Actor, mailboxes: Sequence[Mailbox]) -> None:
    """A new inbox takes the name of a role address that we made: its mail arrives there now."""
    names = {(one.domain_id, one.address) for one in mailboxes}
    made = Alias.objects.filter(
        is_automatic=True,
        domain_id__in={domain_id for domain_id, _ in names},
        address__in={address for _, address in names},
    )
    for alias in made.select_related("mailbox"):
        if (alias.domain_id, alias.address) not in names:
            continue
        record(actor, "alias.deleted", alias, f"{alias} is an inbox of its own now.")
        alias.delete()


def hand_over(mailboxes: Sequence[Mailbox]) -> None:
    """The role addresses of mailboxes that no longer receive, to the oldest of those that do.

    Without another inbox, all begins anew with the next one.
    """
    roles = Q(is_automatic=True) | Q(local_part__in=ROLES)
    leaving = Alias.objects.filter(roles, mailbox__in=mailboxes)
    lost = set(leaving.values_list("domain_id", "local_part"))
    lost |= {(one.domain_id, one.local_part) for one in mailboxes}
    leaving.delete()
    ids = {one.domain_id for one in mailboxes}
    held = set(Mailbox.objects.receiving().filter(domain_id__in=ids).values_list("domain_id"))
    empty = ids - {domain_id for (domain_id,) in held}
    MailDomain.objects.filter(domain_id__in=empty).update(roles_at=None)
    for domain_id in ids - empty:
        again = [part for part in ROLES if (domain_id, part) in lost]
        keep_role_addresses([domain_id], again=again)


def domain_is_ready(domain: Domain) -> None:
    """Its records may name other addresses for reports than before."""
    keep_role_addresses([domain.pk])


def _wanted(place: MailDomain, reports: set[str], again: Sequence[str], *, made: int) -> list[str]:
    roles = again if place.roles_at else ROLES
    room = max(MOST_AUTOMATIC - made - len(roles), 0)
    return [*roles, *sorted(reports - set(roles))[:room]]


def _first_inboxes(rows: Mapping[UUID, MailDomain]) -> dict[UUID, Mailbox]:
    """The oldest inbox of each domain that receives."""
    same = Mailbox.objects.receiving().filter(domain=OuterRef("pk"), provider=OURS)
    oldest = Subquery(same.order_by("created_at", "id").values("pk")[:1])
    firsts = Domain.objects.filter(pk__in=rows).annotate(first=oldest).values_list("first")
    found = Mailbox.objects.filter(pk__in=[pk for (pk,) in firsts if pk])
    return {mailbox.domain_id: mailbox for mailbox in found}


def _report_parts(rows: Mapping[UUID, MailDomain]) -> dict[UUID, set[str]]:
    """Of each domain, the local parts at it to which its records have reports sent."""
    found: dict[UUID, set[str]] = {domain_id: set() for domain_id in rows}
    records = Record.objects.filter(zone__domain_id__in=rows, purpose__in=REPORTING)
    for domain_id, content in records.values_list("zone__domain_id", "content"):
        for local_part, host in _MAILTO.findall(content):
            part = unquote(local_part).lower()
            here = host.rstrip(".").lower() == rows[domain_id].domain.name
            if here and local_part_error(part) is None:
                found[domain_id].add(part)
    return found


def _give(mailbox: Mailbox, address: str, part: str) -> None:
    alias = Alias.objects.create(
        tenant_id=mailbox.tenant_id,
        domain_id=mailbox.domain_id,
        mailbox=mailbox,
        local_part=part,
        address=address,
        is_automatic=True,
    )
    told = f"Gave {mailbox.address} the alias {address}: every mail domain should have it."
    if part not in ROLES:
        told = f"Gave {mailbox.address} the alias {address}: the domain's records name it."
    record(system(mailbox.tenant_id), "alias.created", alias, told)
