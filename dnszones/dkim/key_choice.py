"""Which DKIM key of a zone a mail setup names, and what an applied one means for the others."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from dnszones.dkim.records import check_selector
from dnszones.mail_records import DesiredRecord, MailSetup, selector_of
from dnszones.models import DkimKey, Record, Zone
from dnszones.plans import Plan
from dnszones.records import RecordData, same_value

REASONS = {
    DkimKey.NEXT: "The next DKIM key: mail is signed with it once it is seen everywhere.",
    DkimKey.SIGNING: "Lets receivers verify the signature of every mail that the domain sends.",
    DkimKey.RETIRING: "A former DKIM key: mail that is on its way still carries its signature.",
}


def record_of(key: DkimKey) -> RecordData:
    """The TXT record that publishes a key."""
    name = f"{key.selector}._domainkey.{key.zone.domain.name}"
    return RecordData(name, "TXT", key.public_value)


def row_of(key: DkimKey) -> Record | None:
    """The row of a key's record, where we keep one."""
    data = record_of(key)
    rows = Record.objects.filter(zone_id=key.zone_id, name=data.name, type=data.type)
    return next((row for row in rows if same_value(row.data, data)), None)


def selector_for(zone: Zone, setup: MailSetup) -> str:
    """The selector that a setup means: the chosen one, else that of the key which signs now.

    A key that a rotation has replaced does not come back, also where an older setup chose it.
    """
    if setup.dkim_selector:
        chosen = check_selector(setup.dkim_selector)
        replaced = (DkimKey.RETIRING, DkimKey.RETIRED)
        if not zone.dkim_keys.filter(selector=chosen, status__in=replaced).exists():
            return chosen
    signing = zone.dkim_keys.filter(status=DkimKey.SIGNING).first()
    return signing.selector if signing else selector_of(setup)


def in_rotation(zone: Zone, desired: Iterable[DesiredRecord]) -> list[DesiredRecord]:
    """The records of a rotation under way, which stand beside those that a setup desires.

    None beside a setup that does not publish a key of ours: then the rotation has lost its ground.
    """
    wanted = [record.data for record in desired if record.purpose == "dkim"]
    keys = list(zone.dkim_keys.select_related("zone__domain"))
    if not any(same_value(record_of(key), data) for key in keys for data in wanted):
        return []
    return [
        DesiredRecord(record_of(key), "dkim", "optional", REASONS[key.status])
        for key in keys
        if _rotates(key) and not any(same_value(record_of(key), data) for data in wanted)
    ]


def rows_that_stay(zone: Zone, applied: Plan | None) -> list[Record]:
    """Rows of keys that a rotation wrote and an applied plan, older than they, does not name."""
    keys = zone.dkim_keys.filter(published_at__isnull=False).exclude(status=DkimKey.RETIRED)
    standing = [
        key
        for key in keys.select_related("zone__domain")
        if applied is None or not _is_deleted(key, applied)
    ]
    return [row for key in standing if (row := row_of(key))]


def is_retired(zone: Zone, data: RecordData) -> bool:
    """Whether this is the record of a key that was retired, and so is gone."""
    retired = zone.dkim_keys.filter(status=DkimKey.RETIRED).select_related("zone__domain")
    return "._domainkey." in data.name and any(same_value(record_of(key), data) for key in retired)


@transaction.atomic
def follow_setup(zone: Zone, setup: MailSetup, applied: Plan) -> None:
    """A plan of a setup was written: the key that it published signs from now on.

    That is the one whose selector the setup chose; or, where the record of the signing key went,
    the one that stands in its place. The former key rests until somebody chooses it again.
    """
    Zone.objects.select_for_update().get(pk=zone.pk)
    keys = list(zone.dkim_keys.select_related("zone__domain"))
    gone = [key for key in keys if _is_deleted(key, applied)]
    DkimKey.objects.filter(pk__in=[key.pk for key in gone]).update(published_at=None, seen_at=None)
    chosen = check_selector(setup.dkim_selector) if setup.dkim_selector else ""
    outcome = [data for purpose, data in applied.outcome if purpose == "dkim"]
    standing = [
        key
        for key in keys
        if key.status == DkimKey.NEXT
        and any(same_value(record_of(key), data) for data in outcome)
        and (key.selector == chosen or any(old.status == DkimKey.SIGNING for old in gone))
    ]
    standing.sort(key=lambda key: key.selector != chosen)
    if standing:
        for former in keys:
            if former.status == DkimKey.SIGNING:
                former.move(DkimKey.NEXT, signing_since=None)
        standing[0].move(DkimKey.SIGNING, signing_since=timezone.now())


def _is_deleted(key: DkimKey, plan: Plan) -> bool:
    return any(
        same_value(record_of(key), before.data)
        for change in plan.steps
        if change.after is None
        for before in change.before
    )


def _rotates(key: DkimKey) -> bool:
    """Whether a rotation published this key, or is about to take it away."""
    return key.status == DkimKey.RETIRING or (
        key.status == DkimKey.NEXT and key.published_at is not None
    )
