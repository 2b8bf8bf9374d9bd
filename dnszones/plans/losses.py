"""What a plan takes away: mail, senders, websites, delegations that are live in the zone now.

The zone is answered from before and after the plan's steps, as RFC 1034 §4.3.2 and RFC 4592 say
(delegations, DNAME, wildcards), and the answers are compared. A text that cannot be read counts as
something that is lost.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final

from dnszones import spf
from dnszones.plans.mail_vendors import receiving_vendor, sending_vendor
from dnszones.records import RecordData, value_of
from mpanel.core.losses import Kind, Loss

from .plan import STILL, Change, ExistingRecord

# A zone with up to so many records is small enough to be read at a glance; in a larger one, a
# plan that changes more than this share of what is there must be confirmed.
HANDFUL: Final = 5
LARGEST_SHARE: Final = 0.3

ADDRESSES: Final = frozenset({"A", "AAAA", "CNAME"})
HERE: Final = "the inboxes made here"
MOST_NAMED = 3  # values in one sentence

# Records of a mail setup that are hosts' names but no website: the setup adds and removes them.
SERVICE_PURPOSES: Final = frozenset({"tracking", "mta-sts", "autoconfig", "dkim"})


def losses_of(
    zone_name: str,
    changes: Sequence[Change],
    existing: Sequence[ExistingRecord],
    *,
    own_hosts: frozenset[str] = frozenset(),
    merged_spf: str | None = None,
) -> tuple[Loss, ...]:
    """What is live in the zone and will not be once the changes are carried out.

    `own_hosts`: the mail hosts of this installation. `merged_spf`: an SPF text that is known to
    name all senders of the present one, though it is written in another way.
    """
    steps = [change for change in changes if change.action not in STILL]
    if not steps:
        return ()
    gone = {record.remote_id for step in steps for record in step.before}
    then = [record.data for record in existing if record.remote_id not in gone]
    then += [step.after for step in steps if step.after is not None]
    comparison = _Comparison(
        zone_name,
        _Zone(zone_name, [record.data for record in existing]),
        _Zone(zone_name, then),
        own_hosts,
        merged_spf,
    )
    return (
        *comparison.losses(steps),
        *_nameservers(zone_name, steps),
        *_extent(zone_name, steps, existing),
    )


class _Zone:
    """What a zone answers. `records`: all that it holds."""

    def __init__(self, apex: str, records: Iterable[RecordData]) -> None:
        self.apex = apex
        self.here: dict[str, list[RecordData]] = defaultdict(list)
        for record in records:
            self.here[record.name].append(record)

    @cached_property
    def exists(self) -> set[str]:
        """Names that have records or that stand above some (empty non-terminals)."""
        return {self.apex, *(name for owner in self.here for name in self._up(owner))}

    def held(self, name: str, *types: str) -> list[RecordData]:
        """The records of these types at a name."""
        return [record for record in self.here.get(name, ()) if record.type in types]

    def is_delegated(self, name: str) -> bool:
        """Whether the servers of a sub-zone answer for this name."""
        return any(self.held(above, "NS") for above in self._up(name))

    def answer(self, name: str, *types: str) -> list[RecordData]:
        """What this zone itself answers for a name; nothing where others do."""
        if self.is_delegated(name):
            return []
        for above in self._up(name):
            if above != name and (renamed := self.held(above, "DNAME")):
                return renamed
        if name in self.exists or name.startswith("*."):
            return self.held(name, *types)
        encloser = next((above for above in self._up(name) if above in self.exists), self.apex)
        return self.held(f"*.{encloser}", *types)

    def _up(self, name: str) -> Iterator[str]:
        """The name and those above it, below the apex."""
        while name != self.apex and name.endswith(f".{self.apex}"):
            yield name
            name = name.partition(".")[2]


class _Comparison:
    """The zone before and after, and what is lost at each name."""

    def __init__(
        self,
        apex: str,
        before: _Zone,
        after: _Zone,
        own_hosts: frozenset[str],
        merged_spf: str | None,
    ) -> None:
        self.apex, self.before, self.after = apex, before, after
        self.own_hosts, self.merged_spf = own_hosts, merged_spf

    def losses(self, steps: Sequence[Change]) -> Iterator[Loss]:
        touched = {data.name: step.purpose for step in steps for data in _about(step)}
        names = dict.fromkeys(sorted(touched, key=lambda name: (name != self.apex, name)))
        for name in self._hidden_by(steps):
            names.setdefault(name)
        rules: tuple[Callable[[str], Iterable[Loss]], ...] = (
            self.mail,
            self.sending,
            self.delegation,
        )
        for name in names:
            for rule in rules:
                yield from rule(name)
            if self._is_main(name) or touched.get(name) not in SERVICE_PURPOSES:
                yield from self.website(name)

    def _is_main(self, name: str) -> bool:
        """Whether a website is expected there, so that another address is a loss, too."""
        return name.startswith("*.") or name in {self.apex, f"www.{self.apex}"}

    def _hidden_by(self, steps: Sequence[Change]) -> list[str]:
        """The names below one that is delegated or renamed by these steps."""
        cuts = {
            step.after.name
            for step in steps
            if step.after is not None and step.after.type in {"NS", "DNAME"}
        } - {self.apex}
        return [
            name
            for name in self.before.here
            if any(above in cuts for above in self.before._up(name))
        ]

    # --- Mail ------------------------------------------------------------------------------------

    def mail(self, name: str) -> Iterator[Loss]:
        """Who receives mail at first now, and not or not alone afterwards."""
        if not self.before.held(name, "MX"):
            return  # by a wildcard at most, and then the name itself never had mail
        before, after = self._receivers(self.before, name), self._receivers(self.after, name)
        first = _first(before)
        everyone = {who for who, _ in after}
        added = [who for who in _first(after) if who not in first]
        for who in first:
            if who not in everyone:
                told = f"{_addressed(name)} stops arriving at {who}{_instead(_first(after))}"
                yield Loss("mail", name, told)
            elif who not in _first(after):
                told = f"{_addressed(name)} goes to {_listed(added)} first, and to {who} only"
                yield Loss("mail", name, f"{told} where that cannot be reached.")
            elif added:
                told = f"{_addressed(name)} is shared between {who} and {_listed(added)}"
                yield Loss("mail", name, f"{told}: each gets a part of it.")

    def _receivers(self, zone: _Zone, name: str) -> list[tuple[str, int]]:
        """Who receives mail for a name, with the preference."""
        found = zone.answer(name, "MX")
        hosts = [
            (one.content, one.priority or 0)
            for one in found
            if one.type == "MX" and one.content not in {"", "."}
        ]
        return [
            (HERE if host in self.own_hosts else receiving_vendor(host), preference)
            for host, preference in hosts
        ]

    def sending(self, name: str) -> Iterator[Loss]:
        """Who may send mail by SPF now, and not afterwards."""
        if name.startswith("_"):
            return  # a part that other records include; no mail is sent from such a name
        before, after = _spf_texts(self.before, name), _spf_texts(self.after, name)
        if not before or (self.merged_spf is not None and self.merged_spf in after):
            return
        kept = {sender for text in after for sender in _senders(text)}
        lost = dict.fromkeys(
            sender for text in before for sender in _senders(text) if sender not in kept
        )
        vendors = dict.fromkeys(sending_vendor(_named(sender)) or sender for sender in lost)
        if vendors:
            told = f"SPF of {name} no longer names {_listed(list(vendors))}: mail that is sent"
            yield Loss("sending", name, f"{told} from there looks forged.")

    # --- Names -----------------------------------------------------------------------------------

    def website(self, name: str) -> Iterator[Loss]:
        """A name that is reached now and not, or for apex and www elsewhere, afterwards."""
        if name.startswith("_") or "._" in name:
            return  # no host has such a name
        before = self._addresses(self.before, name)
        if not before:
            return
        after = self._addresses(self.after, name)
        gone = [value for value in before if value not in after]
        is_wildcard = name.startswith("*.")
        kind: Kind = "wildcard" if is_wildcard else "website"
        what = f"Every name below {name[2:]} without records of its own" if is_wildcard else ""
        if self.after.is_delegated(name) and not self.before.is_delegated(name):
            what = what or f"The website {name}"
            told = f"{what} is no longer answered here ({_listed(before)}): another zone answers."
            yield Loss(kind, name, told)
        elif not after:
            what = what or f"The website {name}"
            yield Loss(kind, name, f"{what} goes dark: it leads to {_listed(before)} now.")
        elif gone and self._is_main(name):
            what = what or f"The website {name}"
            told = f"{what} no longer leads to {_listed(gone)}, but to {_listed(after)}."
            yield Loss(kind, name, told)

    @staticmethod
    def _addresses(zone: _Zone, name: str) -> list[str]:
        return [value_of(one) for one in zone.answer(name, *ADDRESSES)]

    def delegation(self, name: str) -> Iterator[Loss]:
        """A sub-zone whose servers are asked now and not afterwards."""
        if name == self.apex:
            return
        before = [one.content for one in self.before.held(name, "NS")]
        after = [one.content for one in self.after.held(name, "NS")]
        gone = [host for host in before if host not in after]
        if gone:
            still = f"; only to {_listed(after)}" if after else ""
            told = f"{name} is no longer delegated to {_listed(gone)}{still}."
            yield Loss("delegation", name, told)
        keys = [value_of(one) for one in self.before.held(name, "DS")]
        kept = [value_of(one) for one in self.after.held(name, "DS")]
        if after and any(key not in kept for key in keys):
            told = f"Answers about {name} are no longer protected by DNSSEC."
            if kept:
                told = f"Resolvers that validate refuse {name} unless another key signs it."
            yield Loss("dnssec", name, told)


def _nameservers(zone_name: str, steps: Sequence[Change]) -> Iterator[Loss]:
    if any(data.key == (zone_name, "NS") for step in steps for data in _about(step)):
        told = "The plan changes the nameservers of the zone itself."
        yield Loss("nameservers", zone_name, told)


def _extent(
    zone_name: str, steps: Sequence[Change], existing: Sequence[ExistingRecord]
) -> Iterator[Loss]:
    altered = sum(len(step.before) for step in steps)
    own = {(zone_name, "NS"), (zone_name, "SOA")}
    measured = sum(record.data.key not in own for record in existing)
    if measured > HANDFUL and altered > LARGEST_SHARE * measured:
        told = f"The plan changes or deletes {altered} of the zone's {measured} records."
        if altered == measured and all(step.after is None for step in steps if step.before):
            told = f"All {measured} records of the zone are deleted."
        yield Loss("extent", zone_name, told)


def _about(step: Change) -> Iterator[RecordData]:
    yield from (record.data for record in step.before)
    if step.after is not None:
        yield step.after


def _first(receivers: Sequence[tuple[str, int]]) -> list[str]:
    """Those with the lowest preference, each once."""
    lowest = min((preference for _, preference in receivers), default=0)
    return list(dict.fromkeys(who for who, preference in receivers if preference == lowest))


def _instead(receivers: Sequence[str]) -> str:
    """Who receives then, as the end of a sentence."""
    if not receivers:
        return "; nobody receives it."
    if list(receivers) == [HERE]:
        return "; only addresses made here receive."
    return f"; it goes to {_listed(receivers)}."


def _addressed(name: str) -> str:
    if name.startswith("*."):
        return f"Mail to names below {name[2:]}"
    return f"Mail to @{name}"


def _spf_texts(zone: _Zone, name: str) -> list[str]:
    return [one.content for one in zone.held(name, "TXT") if spf.is_spf(one.content)]


def _senders(text: str) -> list[str]:
    """The words of an SPF record that let somebody send; what cannot be read is kept as it is."""
    words = [word.lower().removeprefix("+") or word for word in text.split()[1:]]
    return [
        word
        for word in words
        if word[0] not in "-~?" and word != "all" and not word.startswith("exp=")
    ]


def _named(sender: str) -> str:
    """The domain name in a word such as `include:_spf.example.com`."""
    return sender.partition(":" if ":" in sender else "=")[2]


def _listed(values: Sequence[str]) -> str:
    shown = list(values[:MOST_NAMED])
    if len(values) > MOST_NAMED:
        shown.append(f"{len(values) - MOST_NAMED} more")
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
