"""Making a change plan: the difference between a zone and what it should hold."""

import dataclasses
from collections.abc import Iterable, Sequence

from dnszones import dmarc, spf
from dnszones.mail_records import DesiredRecord
from dnszones.records import RecordData, purpose_of, same_content, same_value

from .making import make_plan
from .obstacles import cut_above, proxied_targets, why_hidden
from .plan import (
    Action,
    Change,
    ExistingRecord,
    Plan,
    by_name,
    in_the_way,
    listed,
    make_change,
)

UNPROXIED = "Switches the provider's proxy off: mail needs the real address in DNS."


def plan_changes(
    zone_name: str,
    existing: Sequence[ExistingRecord],
    desired: Sequence[DesiredRecord],
    *,
    replace: frozenset[str] = frozenset(),
    spf_text: str | None = None,
    spf_objection: str = "",
    own_hosts: frozenset[str] = frozenset(),
) -> Plan:
    """What it takes to bring the zone to the desired records, and what stands against it.

    Ours that differ are updated, and deleted when nobody wants them any more. Records of others
    are left alone, with these exceptions: their one SPF record gets our senders added; their DMARC
    record stays if it is at least as strict; where they stand in our way otherwise, that is a
    conflict, and becomes changes when the ids of all conflicts about that rrset are in `replace`;
    so it is with a delegation or DNAME above wanted names. Mail needs the real addresses, so a
    wanted record that is proxied, and the host of one, get the proxy switched off. `spf_text` is
    the SPF record as it should become when the caller has merged and flattened it
    (`mail_records.settled_spf`), `spf_objection` why that cannot be; without either we merge here,
    by the text alone. `own_hosts`: the mail hosts of this installation, so that moving mail between
    them is no loss.
    """
    planner = _Planner(zone_name, tuple(existing), replace)
    groups: dict[tuple[str, str, str], list[DesiredRecord]] = {}
    for wanted in planner.reachable(desired):
        groups.setdefault((wanted.purpose, *wanted.data.key), []).append(wanted)
    for group in groups.values():
        if group[0].purpose == "spf" and group[0].data.name == zone_name:
            planner.plan_spf(group[0], spf_text, spf_objection)
        else:
            planner.plan_group(group)
    planner.show_hosts(desired)
    planner.delete_unwanted()
    # Merged and flattened text names all senders of the one record that it extends, of no other.
    is_merged = spf_text is not None and spf_to_extend(zone_name, existing) is not None
    return make_plan(
        zone_name,
        planner.changes,
        existing,
        own_hosts=own_hosts,
        merged_spf=spf_text if is_merged else None,
    )


def spf_to_extend(zone_name: str, existing: Iterable[ExistingRecord]) -> str | None:
    """The domain's one SPF record of somebody else, for `settled_spf`; None for none or more."""
    found = [
        record
        for record in existing
        if record.data.key == (zone_name, "TXT") and spf.is_spf(record.data.content)
    ]
    return found[0].data.content if len(found) == 1 and not found[0].ours else None


class _Planner:
    """Collects the changes of one zone, and which records some change speaks for."""

    def __init__(
        self, zone_name: str, existing: tuple[ExistingRecord, ...], consent: frozenset[str]
    ) -> None:
        self.zone_name, self.existing, self.consent = zone_name, existing, consent
        self.changes: list[Change] = []
        self.settled: set[str] = set()

    def reachable(self, desired: Sequence[DesiredRecord]) -> list[DesiredRecord]:
        """Those that would be seen; all others are conflicts with what leads elsewhere."""
        cuts = [record for record in self.existing if record.data.type in {"NS", "DNAME"}]
        found: list[DesiredRecord] = []
        hidden: dict[str, list[DesiredRecord]] = {}
        for wanted in desired:
            if cut := cut_above(self.zone_name, wanted.data, cuts):
                hidden.setdefault(cut[0].data.name, []).append(wanted)
            else:
                found.append(wanted)
        for group in hidden.values():
            found += self._uncover(group, cut_above(self.zone_name, group[0].data, cuts))
        return found

    def _uncover(
        self, group: Sequence[DesiredRecord], cut: tuple[ExistingRecord, ...]
    ) -> Sequence[DesiredRecord]:
        """The records below a delegation, once its owner has agreed that it goes."""
        self.settled |= {record.remote_id for record in cut}
        conflicts = [
            make_change(
                "conflict",
                purpose=wanted.purpose,
                level=wanted.level,
                reason=why_hidden(wanted.data, cut),
                before=cut,
                after=wanted.data,
            )
            for wanted in group
        ]
        if {conflict.id for conflict in conflicts} <= self.consent:
            for record in cut:
                reason = "Hides records that the domain needs."
                self._add("delete", group[0], (record,), None, reason)
            return group
        self.changes += conflicts
        for wanted in group:
            self._take(wanted)  # what we wrote there before the delegation stays
        return ()

    def show_hosts(self, desired: Sequence[DesiredRecord]) -> None:
        """Switch the proxy off for hosts that receive mail: it passes web traffic only."""
        for wanted, host in proxied_targets(desired, by_name(self.existing)):
            if host.remote_id in self.settled:
                continue
            self.settled.add(host.remote_id)
            reason = f"{UNPROXIED} {wanted.data.type} {wanted.data.name} leads here."
            self._add("update", wanted, (host,), _unproxied(host.data), reason)

    def plan_group(self, group: Sequence[DesiredRecord]) -> None:
        """One rrset that is wanted as a whole."""
        present = self._take(group[0])
        missing: list[DesiredRecord] = []
        for wanted in group:
            match = next((r for r in present if same_value(r.data, wanted.data)), None)
            hidden = next((r for r in present if same_content(r.data, wanted.data)), None)
            if match is None and hidden is not None:
                present.remove(hidden)
                self._add("update", wanted, (hidden,), wanted.data, UNPROXIED)
                continue
            if match is None:
                missing.append(wanted)
                continue
            present.remove(match)
            self._add("keep", wanted, (match,), match.data, "Is published already.")
        foreign = tuple(record for record in present if not record.ours)
        if group[0].purpose == "dmarc" and missing and _is_strict_enough(present, missing[0]):
            reason = "The domain's own DMARC record is at least as strict, and stays."
            reason = " ".join([reason, *_dmarc_problems(foreign)])
            self._add("keep", missing[0], foreign, foreign[0].data, reason)
        elif foreign:
            self._conflict(group[0], present, missing, foreign, _objection(group[0], foreign))
        else:
            self._swap(group[0], present, missing)

    def plan_spf(self, wanted: DesiredRecord, spf_text: str | None, objection: str = "") -> None:
        """A domain has one SPF record (RFC 7208 §3.2), which all who send for it share."""
        present = self._take(wanted)
        target = wanted if spf_text is None else _with_text(wanted, spf_text)
        foreign = tuple(record for record in present if not record.ours)
        if len(present) == 1 and foreign and foreign[0].data.type == "TXT":
            self._extend_spf(foreign[0], wanted, spf_text, objection)
        elif foreign:
            merged = _all_merged(present, target)
            self._conflict(merged, present, [merged], foreign, _objection(wanted, foreign))
        elif any(same_value(record.data, target.data) for record in present):
            self._keep_one(target, present)
        else:
            self._swap(target, present, [target])

    def _extend_spf(
        self, foreign: ExistingRecord, wanted: DesiredRecord, spf_text: str | None, objection: str
    ) -> None:
        try:
            merged = _merged(foreign, wanted)
        except (spf.SPFSyntaxError, spf.MergeConflict) as error:
            objection = str(error)
        if objection:
            said = f"The domain's SPF record cannot be extended. {objection}"
            agreed = _overruled(foreign, wanted)
            self._conflict(agreed, [foreign], [agreed], (foreign,), said)
            return
        target = merged if spf_text is None else _with_text(wanted, spf_text)
        if same_value(target.data, foreign.data):
            reason = "The domain's own SPF record lets our senders pass already."
            self._add("keep", wanted, (foreign,), foreign.data, reason)
        else:
            reason = _what_is_added(foreign.data.content, target.data.content)
            self._add("update", wanted, (foreign,), target.data, reason)

    def delete_unwanted(self) -> None:
        for record in self.existing:
            if record.ours and record.remote_id not in self.settled:
                purpose = purpose_of(record.data)
                reason = "mPanel wrote this record, and the setup needs it no more."
                change = make_change(
                    "delete",
                    purpose=purpose,
                    level="optional",
                    reason=reason,
                    before=(record,),
                    after=None,
                )
                self.changes.append(change)

    def _take(self, wanted: DesiredRecord) -> list[ExistingRecord]:
        """The records that this rrset must reckon with; no other change speaks for them."""
        found = [
            record
            for record in in_the_way(self.zone_name, wanted.purpose, wanted.data, self.existing)
            if record.remote_id not in self.settled
        ]
        self.settled |= {record.remote_id for record in found}
        return found

    def _keep_one(self, wanted: DesiredRecord, present: list[ExistingRecord]) -> None:
        kept = next(record for record in present if same_value(record.data, wanted.data))
        self._add("keep", wanted, (kept,), kept.data, "Is published already.")
        self._swap(wanted, [record for record in present if record is not kept], [])

    def _conflict(
        self,
        template: DesiredRecord,
        present: Sequence[ExistingRecord],
        missing: Sequence[DesiredRecord],
        foreign: tuple[ExistingRecord, ...],
        objection: str,
    ) -> None:
        """Hold the whole rrset back until its owner has agreed to every part of it."""
        afters: list[RecordData | None] = [wanted.data for wanted in missing]
        conflicts = [
            make_change(
                "conflict",
                purpose=template.purpose,
                level=template.level,
                reason=objection,
                before=foreign,
                after=after,
            )
            for after in afters or [None]
        ]
        if {conflict.id for conflict in conflicts} <= self.consent:
            self._swap(template, present, missing)
        else:
            self.changes += conflicts

    def _swap(
        self,
        template: DesiredRecord,
        old: Sequence[ExistingRecord],
        new: Sequence[DesiredRecord],
    ) -> None:
        """Turn old records of the rrset into the new ones, with as few changes as possible."""
        leaving = list(old)
        for wanted in new:
            same_type = [record for record in leaving if record.data.type == wanted.data.type]
            if same_type:
                leaving.remove(same_type[0])
                self._add("update", wanted, (same_type[0],), wanted.data, wanted.reason)
            else:
                self._add("create", wanted, (), wanted.data, wanted.reason)
        for record in leaving:
            reason = "Makes room for the records that the domain needs."
            self._add("delete", template, (record,), None, reason)

    def _add(
        self,
        action: Action,
        wanted: DesiredRecord,
        before: tuple[ExistingRecord, ...],
        after: RecordData | None,
        reason: str,
    ) -> None:
        self.changes.append(
            make_change(
                action,
                purpose=wanted.purpose,
                level=wanted.level,
                reason=reason,
                before=before,
                after=after,
            )
        )


def _objection(wanted: DesiredRecord, foreign: Sequence[ExistingRecord]) -> str:
    """Why records of others cannot simply be replaced."""
    if any(record.data.type != wanted.data.type for record in foreign):
        return f"There is another record at {wanted.data.name}: {listed(foreign)}"
    match wanted.purpose:
        case "mx":
            return f"The domain receives its mail elsewhere: {listed(foreign)}"
        case "spf":
            return f"A domain may have one SPF record only, and this has more: {listed(foreign)}"
        case "dmarc":
            told = f"The domain has a DMARC record that is weaker or not valid: {listed(foreign)}"
            return " ".join([told, *_dmarc_problems(foreign)])
        case "dkim":
            return f"The DKIM selector is taken by another key: {listed(foreign)}"
        case _:
            return f"The name is taken: {listed(foreign)}"


def _dmarc_problems(found: Sequence[ExistingRecord]) -> list[str]:
    """What keeps receivers from using records as they were meant."""
    texts = [record.data.content for record in found if record.data.type == "TXT"]
    problems = [problem for text in texts for problem in dmarc.validate(text)]
    return [problem.sentence for problem in problems if problem.severity == "error"]


def _unproxied(data: RecordData) -> RecordData:
    return dataclasses.replace(data, proxied=False)


def _is_strict_enough(present: Sequence[ExistingRecord], wanted: DesiredRecord) -> bool:
    if len(present) != 1 or present[0].ours or present[0].data.type != "TXT":
        return False
    try:
        found = dmarc.parse(present[0].data.content)
    except dmarc.DMARCSyntaxError:
        return False
    return dmarc.at_least_as_strict(found, dmarc.parse(wanted.data.content))


def _with_text(wanted: DesiredRecord, text: str) -> DesiredRecord:
    return dataclasses.replace(wanted, data=dataclasses.replace(wanted.data, content=text))


def _merged(present: ExistingRecord, wanted: DesiredRecord) -> DesiredRecord:
    merged = spf.merge(spf.parse(present.data.content), spf.parse(wanted.data.content))
    return _with_text(wanted, str(merged))


def _overruled(present: ExistingRecord, wanted: DesiredRecord) -> DesiredRecord:
    """What a record becomes that cannot be extended, once its owner has agreed to that."""
    try:
        record = spf.parse(present.data.content)
    except spf.SPFSyntaxError:
        return wanted
    merged = spf.merge(record, spf.parse(wanted.data.content), overrule=True)
    return _with_text(wanted, str(merged))


def _all_merged(present: Sequence[ExistingRecord], wanted: DesiredRecord) -> DesiredRecord:
    """The wanted record with the senders of all that can be read, so that consent loses none."""
    merged: spf.SPFRecord | None = None
    texts = [record.data.content for record in present if spf.is_spf(record.data.content)]
    for text in [*texts, wanted.data.content]:
        try:
            record = spf.parse(text)
            merged = record if merged is None else spf.merge(merged, record)
        except (spf.SPFSyntaxError, spf.MergeConflict):
            continue
    return _with_text(wanted, str(merged))


def _what_is_added(before: str, after: str) -> str:
    old, new = spf.parse(before).terms, spf.parse(after).terms
    added = " ".join(str(term) for term in new if term not in old)
    if any(term not in new for term in old):
        return "Rewrites the domain's SPF record, so that it needs no more than ten lookups."
    if added:
        return f"Adds {added} to the domain's SPF record; all that it has stays."
    return "Puts our senders first in the domain's SPF record, where receivers always reach them."
