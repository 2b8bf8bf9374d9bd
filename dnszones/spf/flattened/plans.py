"""Change plans about SPF: that of a mail setup, and those that keep a flattened record current."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dnszones import spf
from dnszones.mail_records import DesiredRecord, MailSetup, settled_spf
from dnszones.models import ChangePlan, SpfFlattening, Zone
from dnszones.plans import Action, Change, ExistingRecord, Plan, make_change, make_plan
from dnszones.records import RecordData, same_text, same_value
from dnszones.spf.flattened import records as flattened
from dnszones.spf.resolver import NotingResolver, SharedAnswers
from dnszones.vendors import dns_client, resolvers
from mpanel.core.errors import ProviderError
from mpanel.dns.client import TemporaryFailure

SETTLES_WITHIN = 25.0  # seconds
REFRESH, STOP, CLEAN = "refresh", "stop", "clean"  # what a plan of the kind SPF is for


@dataclass
class SettledSpf:
    """The SPF record of a mail setup. `text`: None where the plan must merge by the text alone;
    `made`: what `flattened.publish` keeps, where it is flattened."""

    text: str | None = None
    objection: str = ""
    parts: list[DesiredRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    made: dict[str, Any] | None = None


def settle(zone: Zone, setup: MailSetup, existing: Sequence[ExistingRecord]) -> SettledSpf:
    """Merge a setup's senders with the zone's record, and flatten it where that is needed.

    A record that we flattened before stands for its source. Raises `TemporaryFailure`.
    """
    own = [one for one in existing if flattened.is_own_spf(setup.domain, one.data)]
    foreign = [one.data.content for one in own if not one.ours]
    if len(foreign) > 1:
        return SettledSpf()
    present = foreign[0] if foreign else None
    known = SpfFlattening.objects.filter(zone=zone).first()
    live = known if known and known.status == SpfFlattening.LIVE else None
    if live and present is not None and same_text(present, live.text):
        present = live.source
    found = SettledSpf()
    try:
        settled, answers = asyncio.run(_settle(setup, present))
        found.warnings += settled.warnings
        found.text = settled.flattened
        if spf.same(settled.flattened, settled.original):
            found.text = settled.original
        else:
            _lay_out(found, settled, answers, known, existing, setup=setup)
    except (spf.SPFSyntaxError, spf.MergeConflict) as error:
        found.objection = str(error)
    except spf.TooComplex as error:
        found.warnings.append(f"The SPF record could not be followed to its end: {error}")
        if live:  # the last good one stays
            found.text = live.text
            found.made = made_of(live)
            found.parts = _desired(live.parts)
    if known:
        names = {part.data.name for part in found.parts}
        found.parts += flattened.former_parts(known, names, existing)
    if found.made and live:
        found.made["was"] = {"text": live.text, "source": live.source}
    return found


def made_of(live: SpfFlattening) -> dict[str, Any]:
    """A flattening as `flattened.publish` takes it."""
    names = ("source", "ipv6", "text", "parts", *flattened.FINDINGS)
    return {name: getattr(live, name) for name in names} | {
        "checked_at": live.checked_at.isoformat()
    }


def made_from(
    found: spf.Flattening, answers: list[dict[str, Any]], *, ipv6: bool
) -> dict[str, Any]:
    """A flattened record before it is laid out."""
    return {
        "source": found.original,
        "ipv6": ipv6,
        "flattened": found.flattened,
        "lookups_before": found.lookups_before,
        "lookups": found.lookups_after,
        "void_lookups": found.void_lookups,
        "warnings": list(found.warnings),
        "answers": answers,
        "checked_at": timezone.now().isoformat(),
    }


def _lay_out(
    found: SettledSpf,
    settled: spf.Flattening,
    answers: list[dict[str, Any]],
    known: SpfFlattening | None,
    existing: Sequence[ExistingRecord],
    *,
    setup: MailSetup,
) -> None:
    made = made_from(settled, answers, ipv6=setup.flatten_ipv6)
    layout = spf.lay_out(
        spf.parse(settled.flattened),
        domain=setup.domain,
        lookups=settled.lookups_after,
        known=known.known_parts if known else {},
        taken=_taken(setup.domain, known, existing),
    )
    made |= {"text": layout.text, "parts": dict(layout.parts)}
    made["lookups"] += len(layout.parts)
    found.text, found.made, found.parts = layout.text, made, _desired(layout.parts)


def _taken(
    zone_name: str, known: SpfFlattening | None, existing: Sequence[ExistingRecord]
) -> set[str]:
    """Names at which somebody else's records are."""
    parts = known.known_parts if known else {}
    return {
        one.data.name
        for one in existing
        if one.data.name.startswith("_spf")
        and one.data.name.endswith(f".{zone_name}")
        and not same_text(one.data.content, parts.get(one.data.name, ""))
    }


def _desired(parts: Mapping[str, str]) -> list[DesiredRecord]:
    return [
        DesiredRecord(RecordData(name, "TXT", text), "spf", "required", flattened.PART)
        for name, text in parts.items()
    ]


async def _settle(
    setup: MailSetup, existing: str | None
) -> tuple[spf.Flattening, list[dict[str, Any]]]:
    try:
        # In all: each of a hundred names may be slow, and the runner's lease is short.
        async with asyncio.timeout(SETTLES_WITHIN), dns_client() as client:
            resolver = NotingResolver(SharedAnswers(client, resolvers()))
            settled = await settled_spf(setup, existing=existing, resolver=resolver)
            return settled, resolver.answers()
    except TimeoutError:
        raise TemporaryFailure(
            setup.domain, "SPF", f"it took longer than {SETTLES_WITHIN:.0f} s"
        ) from None


# --- Keeping a flattened record current -------------------------------------------------------


def compute_spf(row: ChangePlan, existing: list[ExistingRecord]) -> tuple[Plan, list[str]]:
    """The plan that publishes fresh addresses, or the source again; or that only tidies up.

    `row.spf` gets the text and the parts that the plan writes.
    """
    assert row.spf is not None
    goal, apex = row.spf["goal"], row.zone.domain.name
    flattening = SpfFlattening.objects.select_related("zone__domain").get(zone=row.zone)
    written: list[Change] = []
    if goal != CLEAN:
        written = _published(row, flattening, existing)
    included = " ".join(
        [
            *(one.data.content for one in existing if flattened.is_own_spf(apex, one.data)),
            *(change.after.content for change in written if change.after),
        ]
    ).lower()
    now = timezone.now()
    for leaving in flattening.leaving:
        until = parse_datetime(leaving["until"])
        if f"include:{leaving['name']}" in included.split() or (until and until > now):
            continue
        data = RecordData(leaving["name"], "TXT", leaving["text"])
        written += [
            _change("delete", flattened.FORMER_PART, (one,), None, "optional")
            for one in existing
            if same_value(one.data, data)
        ]
    return make_plan(apex, written, existing), []


def _published(
    row: ChangePlan, flattening: SpfFlattening, existing: list[ExistingRecord]
) -> list[Change]:
    assert row.spf is not None
    apex, made = row.zone.domain.name, row.spf
    own = tuple(one for one in existing if flattened.is_own_spf(apex, one.data))
    layout = spf.Layout(flattening.source, {})
    if made["goal"] == REFRESH:
        try:
            layout = spf.lay_out(
                spf.parse(made["flattened"]),
                domain=apex,
                lookups=made["lookups"],
                known=flattening.known_parts,
                taken=_taken(apex, flattening, existing),
            )
        except spf.TooComplex as error:
            raise ProviderError("SPF_TOO_LONG", str(error), retryable=False) from error
        made |= {"text": layout.text, "parts": dict(layout.parts)}
        made["lookups"] += len(layout.parts)
    wanted = RecordData(apex, "TXT", layout.text)
    is_there = len(own) == 1 and same_text(own[0].data.content, layout.text)
    is_ours = len(own) == 1 and same_text(own[0].data.content, flattening.text)
    if flattening.status != SpfFlattening.LIVE or not (is_there or is_ours):
        found = ", ".join(one.data.content for one in own) or "there is none"
        reason = f"The domain's SPF record was changed by somebody else: {found}."
        return [_change("conflict", reason, own, wanted, "required")]
    changes = [_part_change(part, existing) for part in _desired(layout.parts)]
    action: Action = "keep" if is_there else "update"
    reason = "Fresh addresses of the senders that it names."
    if made["goal"] == STOP:
        reason = "The record is not flattened any more: its source returns."
    after = replace(own[0].data, content=layout.text)
    return [*changes, _change(action, reason, own, after, "required")]


def _part_change(part: DesiredRecord, existing: list[ExistingRecord]) -> Change:
    there = next((one for one in existing if same_value(one.data, part.data)), None)
    if there:
        return _change("keep", part.reason, (there,), there.data, "required")
    return _change("create", part.reason, (), part.data, "required")


def _change(
    action: Action,
    reason: str,
    before: tuple[ExistingRecord, ...],
    after: RecordData | None,
    level: Any,
) -> Change:
    return make_change(
        action, purpose="spf", level=level, reason=reason, before=before, after=after
    )
