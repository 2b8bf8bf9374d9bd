"""What should be true, one after the other, of a DKIM rotation."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from dnszones.access import zone_provider
from dnszones.dkim import key_choice, rotation
from dnszones.dkim.rotation import Rotation
from dnszones.models import DkimKey, Record
from dnszones.plans import services
from dnszones.providers.base import DNSProvider, RemoteRecord
from dnszones.records import same_value
from dnszones.selectors import record_status
from domains.models import Domain
from mpanel.core.errors import NotFound
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job


class NextKeyIsPublished(DesiredState[Rotation]):
    """The next key's record stands in the zone, and is watched like the others."""

    name = "next_key_is_published"
    label = "Publish the next key"

    def observe(self, subject: Rotation) -> Observation:
        key = subject.key
        if key.status != DkimKey.NEXT:
            return Observation.matches(f"The key {key.selector} was published before.")
        data = key_choice.record_of(key)
        at_name = [one for one in _remote(subject) if one.data.name == data.name]
        strangers = [one.data for one in at_name if not same_value(one.data, data)]
        if strangers:
            return Observation.conflicts(
                "DKIM_SELECTOR_TAKEN",
                f"There is another record at {data.name}. Remove it, and try again.",
                expected=data.content,
                found=strangers[0].content,
            )
        row = key_choice.row_of(key)
        if at_name and row and row.ours and key.published_at:
            return Observation.matches(f"The key {key.selector} is published.", where=data.name)
        return Observation.missing(f"The key {key.selector} is to be published.", where=data.name)

    def apply(self, subject: Rotation) -> None:
        if subject.domain.status == Domain.DELETING:
            raise services.DomainIsLeaving
        rotation.note_next_key(subject)
        data = key_choice.record_of(subject.key)
        if not any(same_value(one.data, data) for one in _remote(subject)):
            _provider(subject).apply_batch(subject.zone.remote_id, creates=[data])
        rotation.note_published(subject)


class NextKeyIsSeen(DesiredState[Rotation]):
    """The zone's own nameservers and every resolver that answers show the next key."""

    name = "next_key_is_seen"
    label = "Wait until it is seen everywhere"
    deadline = timedelta(hours=48)

    def __init__(self) -> None:
        self.interval = timedelta(seconds=settings.PROPAGATION_INTERVAL)

    def observe(self, subject: Rotation) -> Observation:
        key = subject.key
        if key.status != DkimKey.NEXT:
            return Observation.matches(f"The key {key.selector} was seen before.")
        row = key_choice.row_of(key)
        if row is None:
            return Observation.conflicts(
                "DKIM_RECORD_GONE",
                f"The record of the key {key.selector} was taken back meanwhile. Rotate again.",
            )
        where = row.name
        if row.status == Record.PROPAGATED and row.verdict == "matches":
            return Observation.matches("Every server that answers shows the key.", where=where)
        return Observation.missing(
            f"The key {key.selector} is {record_status(row)}.",
            expected="100%",
            found=f"{row.percent}%",
            where=where,
        )


class NextKeySigns(DesiredState[Rotation]):
    """Mail is signed with the next key, and with no other."""

    name = "next_key_signs"
    label = "Sign with it"

    def observe(self, subject: Rotation) -> Observation:
        if subject.key.status == DkimKey.NEXT:
            return Observation.missing(f"The key {subject.key.selector} does not sign yet.")
        return Observation.matches(f"Mail is signed with the key {subject.key.selector}.")

    def apply(self, subject: Rotation) -> None:
        rotation.sign_with_next_key(subject)


class OldKeyRests(DesiredState[Rotation]):
    """Mail that was signed with the old key had the time to arrive."""

    name = "old_key_rests"
    label = "Let mail in transit arrive"

    def __init__(self) -> None:
        self.interval = timedelta(hours=1)

    def observe(self, subject: Rotation) -> Observation:
        if not _retiring(subject):
            return Observation.matches("There is no former key to wait for.")
        since = subject.key.signing_since or timezone.now()
        until = since + timedelta(days=settings.DKIM_RETIRE_AFTER)
        if timezone.now() >= until:
            return Observation.matches("Whatever the former key signed has arrived by now.")
        return Observation.missing(
            f"The former key stays published until {until:%-d %B %Y, %H:%M} UTC, for mail that "
            "is on its way."
        )


class OldRecordIsGone(DesiredState[Rotation]):
    """The old key's record is out of the zone, and its private half forgotten."""

    name = "old_record_is_gone"
    label = "Retire the former key"

    def observe(self, subject: Rotation) -> Observation:
        old = _retiring(subject)
        if not old:
            return Observation.matches("The former key is retired.")
        return Observation.missing(f"The former key {old[0].selector} is to be retired.")

    def apply(self, subject: Rotation) -> None:
        wanted = [key_choice.record_of(key) for key in _retiring(subject)]
        there = [
            one for one in _remote(subject) if any(same_value(one.data, data) for data in wanted)
        ]
        _provider(subject).apply_batch(subject.zone.remote_id, deletes=there)
        rotation.retire_old_keys(subject)


def _provider(subject: Rotation) -> DNSProvider:
    return zone_provider(subject.zone)


def _remote(subject: Rotation) -> list[RemoteRecord]:
    return _provider(subject).list_records(subject.zone.remote_id)


def _retiring(subject: Rotation) -> list[DkimKey]:
    keys = subject.zone.dkim_keys.filter(status=DkimKey.RETIRING)
    return list(keys.select_related("zone__domain"))


def load_rotation(job: Job) -> Rotation:
    """The rotation of a job, fresh."""
    found = DkimKey.objects.select_related("zone__domain__dns_credential").filter(
        pk=job.params["key"],
        zone__domain_id=job.subject_id,
        zone__domain__tenant_id=job.tenant_id,
    )
    if key := found.first():
        return Rotation(key.zone.domain, key.zone, key)
    raise NotFound("The domain was removed meanwhile.")


register(
    Workflow(
        name=rotation.WORKFLOW,
        label="Replace the DKIM key",
        states=(
            NextKeyIsPublished(),
            NextKeyIsSeen(),
            NextKeySigns(),
            OldKeyRests(),
            OldRecordIsGone(),
        ),
        load=load_rotation,
    )
)
