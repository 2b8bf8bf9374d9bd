"""What every record passes before it is written: on a page, over the API, and in a zone file.

`checked_record` refuses what would not work, with a proposal where it is clear what was meant;
`Surroundings` tells what a record does beside the others of its zone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from dnszones import dmarc, lint, spf
from dnszones.providers.base import Capabilities
from dnszones.records import (
    RecordData,
    canonical,
    check_record,
    target_of,
    value_of,
    with_target,
)
from mpanel.core.errors import Invalid

# Types whose target must not be an alias (RFC 2181 §10.3, RFC 2782).
_NO_ALIAS: Final = frozenset({"MX", "NS", "SRV"})
_AT_A_CUT: Final = frozenset({"NS", "DS", "NSEC", "RRSIG"})


class RecordRefused(Invalid):
    """The record would not work.

    `proposal`: the record that was probably meant. `written`: the record as it was given, where it
    can be published all the same.
    """

    def __init__(
        self,
        field: str,
        sentence: str,
        *,
        proposal: RecordData | None = None,
        written: RecordData | None = None,
    ) -> None:
        super().__init__(sentence, details={field: [sentence]})
        self.proposal, self.written = proposal, written


def checked_record(record: RecordData, *, zone_name: str, capabilities: Capabilities) -> RecordData:
    """The record in normal form, fit to be published in the zone. `name` is absolute.

    Raises `Invalid` naming the field, and `RecordRefused` where there is more to say.
    """
    check_target(record, zone_name)
    checked = check_record(record)
    if checked.name == zone_name and checked.type in {"NS", "DS"}:
        message = f"{checked.type} of the zone itself is not written here, only below it."
        raise Invalid.field("type", message)
    if checked.key == (zone_name, "CNAME") and not capabilities.apex_cname:
        raise Invalid.field(
            "type",
            "The zone's own name has SOA and NS records, so it cannot have a CNAME (RFC 1034). "
            "Write A and AAAA records with the addresses of the host instead.",
        )
    for found in lint.findings(checked.name, checked.content) if checked.type == "TXT" else ():
        if found.is_fatal:
            proposal = replace(checked, content=found.proposal) if found.proposal else None
            hint = f" Did you mean “{found.proposal}”?" if found.proposal else ""
            sentence = f"{found.sentence}{hint}"
            raise RecordRefused("content", sentence, proposal=proposal, written=checked)
    return checked


def check_target(record: RecordData, zone_name: str) -> None:
    """Raise `RecordRefused` for a host name of one label that was meant to be in the zone."""
    if proposed := _whole_target(record, zone_name):
        target, meant = target_of(canonical(record)), target_of(proposed)
        sentence = f"“{target}” alone is a name of the DNS root. Did you mean {meant}?"
        raise RecordRefused("content", sentence, proposal=proposed)


def text_warnings(record: RecordData) -> list[str]:
    """What receivers make of the text of an SPF or DMARC record; all else is left alone."""
    if record.type != "TXT":
        return []
    said = [found.sentence for found in lint.findings(record.name, record.content)]
    if record.content.count('"') % 2:
        said.append("The text has a lone quotation mark, which is published as written.")
    return said


class Surroundings:
    """The records of a zone, as those among which one of them stands."""

    def __init__(self, zone_name: str, records: Iterable[RecordData]) -> None:
        self._zone_name = zone_name
        self._records = tuple(records)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._aliases: dict[str, RecordData] = {}
        self._led_to: dict[str, list[RecordData]] = defaultdict(list)
        self._nameservers: set[str] = set()
        self._proxied: set[str] = set()
        # Delegations, and DNAME records, by their names.
        self._cuts: dict[str, RecordData] = {}
        self._redirections: dict[str, RecordData] = {}
        for record in self._records:
            self._add(record)

    def warnings(self, record: RecordData) -> list[str]:
        """What a record, which is one of these, does beside the others."""
        return [
            *self._beside_its_like(record),
            *self._about_aliases(record),
            *self._behind_a_proxy(record),
            *self._hidden_by(record),
        ]

    def hidden_below(self, record: RecordData) -> list[str]:
        """What an NS or DNAME record, which is one of these, takes out of sight."""
        if record.type not in {"NS", "DNAME"}:
            return []
        before = [one for one in self._records if one != record]
        without = Surroundings(self._zone_name, before)
        hidden = [
            one
            for one in before
            if one.name == record.name or one.name.endswith(f".{record.name}")
            if self._hider_of(one) is not None and without._hider_of(one) is None
        ]
        if not hidden:
            return []
        shown = ", ".join(f"{one.type} {one.name}" for one in hidden[:3])
        more = f" and {len(hidden) - 3} more" if len(hidden) > 3 else ""
        return [f"This {record.type} record hides records of the zone: {shown}{more}."]

    def _add(self, record: RecordData) -> None:
        for likeness in _likenesses(record):
            self._counts[record.name, likeness] += 1
        if record.type == "CNAME":
            self._aliases.setdefault(record.name, record)
        if record.proxied:
            self._proxied.add(record.name)
        if record.type in _NO_ALIAS:
            self._led_to[target_of(record)].append(record)
        if record.type == "NS" and record.name != self._zone_name:
            self._cuts.setdefault(record.name, record)
            self._nameservers.add(target_of(record))
        if record.type == "DNAME":
            self._redirections.setdefault(record.name, record)

    def _beside_its_like(self, record: RecordData) -> Iterator[str]:
        name = record.name
        if record.type == "MX" and self._counts[name, "null MX"] and self._counts[name, "MX"]:
            yield (
                "A null MX (“0 .”) says that the domain receives no mail, so it must be the only "
                "MX (RFC 7505): with others beside it, mail may be refused."
            )
        if record.type == "MX" and record.content == "." and record.priority:
            yield "The preference of a null MX is 0 (RFC 7505)."
        for likeness in _likenesses(record):
            if likeness in {"SPF", "DMARC"} and self._counts[name, likeness] > 1:
                yield f"With a second {likeness} record at this name, receivers use neither."

    def _about_aliases(self, record: RecordData) -> Iterator[str]:
        target = target_of(record)
        if record.type in _NO_ALIAS and (alias := self._aliases.get(target)):
            yield (
                f"{target} is a CNAME of {alias.content}, and {record.type} must not lead to a "
                f"CNAME: write {alias.content} instead."
            )
        if record.type == "CNAME":
            for one in self._led_to.get(record.name, [])[:3]:
                yield f"{one.type} of {one.name} leads to this name; it must not lead to a CNAME."

    def _behind_a_proxy(self, record: RecordData) -> Iterator[str]:
        why = "The provider's proxy passes web traffic only, so nothing else arrives there."
        if record.type in _NO_ALIAS and target_of(record) in self._proxied:
            yield f"{record.type} leads to {target_of(record)}, which is proxied. {why}"
        for one in self._led_to.get(record.name, [])[:3] if record.proxied else ():
            yield f"{one.type} of {one.name} leads to this name, which is proxied. {why}"

    def _hidden_by(self, record: RecordData) -> Iterator[str]:
        cut = self._hider_of(record)
        if cut is None:
            return
        if cut.type == "NS":
            yield (
                f"{record.name} belongs to the zone {cut.name}, which is delegated to "
                f"{value_of(cut)}: write the record there, since resolvers never see it here."
            )
        else:
            yield (
                f"A DNAME leads all names below {cut.name} to {cut.content}: this record is not "
                "seen (RFC 6672)."
            )

    def _hider_of(self, record: RecordData) -> RecordData | None:
        """The delegation or DNAME because of which nobody sees the record."""
        name = record.name
        while name != self._zone_name and name.endswith(f".{self._zone_name}"):
            if name in self._cuts and not self._belongs_to_cut(record, name):
                return self._cuts[name]
            if name in self._redirections and name != record.name:
                return self._redirections[name]
            name = name.partition(".")[2]
        is_below = record.name != self._zone_name
        return self._redirections.get(self._zone_name) if is_below else None

    def _belongs_to_cut(self, record: RecordData, cut: str) -> bool:
        """Whether the parent zone holds it: the delegation, or the address of its nameserver."""
        if record.name == cut and record.type in _AT_A_CUT:
            return True
        return record.type in {"A", "AAAA"} and record.name in self._nameservers


def _likenesses(record: RecordData) -> Iterator[str]:
    """As what a record is counted among those of its name."""
    if record.type == "MX":
        yield "null MX" if record.content == "." else "MX"
    elif record.type == "TXT" and spf.is_spf(record.content):
        yield "SPF"
    elif record.type == "TXT" and dmarc.looks_like_dmarc(record.content):
        yield "DMARC"


def _whole_target(record: RecordData, zone_name: str) -> RecordData | None:
    """The record with its one-label host name taken for one of the zone; None where it has none."""
    plain = canonical(record)
    target = target_of(plain)
    if target in {"", "."} or "." in target:
        return None
    proposed = with_target(plain, zone_name if target == "@" else f"{target}.{zone_name}")
    try:
        return check_record(proposed)
    except Invalid:
        return None
