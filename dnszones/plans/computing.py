"""Computing a change plan: the zone as it is now, compared with what was asked for."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dnszones import dmarc, plans, zonefiles
from dnszones.access import zone_provider
from dnszones.dkim import key_choice
from dnszones.dkim.keys import with_own_key
from dnszones.kept_records import our_data
from dnszones.mail_records import DesiredRecord, MailSetup, desired_records, setup_warnings
from dnszones.microsoft import is_microsoft_mx
from dnszones.models import ChangePlan
from dnszones.plans import ExistingRecord, Plan
from dnszones.providers.base import DNSProvider
from dnszones.records import RecordData, same_value
from dnszones.spf.flattened import plans as flattening_plans
from dnszones.spf.flattened import records as flattened
from dnszones.vendors import dns_client, dns_provider, own_mail_hosts, resolvers
from domains.models import Domain
from mpanel.core.errors import ProviderError
from mpanel.dns.client import RecursiveResolver

DMARC_WITHIN = 6.0  # seconds


def provider_of(domain: Domain) -> DNSProvider:
    """The DNS provider that holds a domain's zone."""
    return dns_provider(domain.dns_credential)


def read_zone(plan: ChangePlan) -> list[ExistingRecord]:
    """The zone's records as they are now, and which of them are ours. Raises `ZoneNotOurs`."""
    provider = zone_provider(plan.zone)
    ours = our_data(plan.zone, but=plan)
    return [
        ExistingRecord(
            remote_id=remote.id,
            data=remote.data,
            ours=any(same_value(remote.data, data) for data in ours),
        )
        for remote in provider.list_records(plan.zone.remote_id)
    ]


def as_in_the_zone(setup: MailSetup, present: Iterable[RecordData]) -> MailSetup:
    """The setup with Microsoft's DKIM targets as the zone has them, where none are given.

    They are made by Microsoft for one tenant, so they are never derived.
    """
    if setup.platform != "microsoft-365" or setup.dkim_targets or setup.dkim_value:
        return setup
    names = [f"selector{number}._domainkey.{setup.domain}" for number in (1, 2)]
    targets = {one.name: one.content for one in present if one.type == "CNAME"}
    if not all(name in targets for name in names):
        return setup
    return replace(setup, dkim_targets=tuple(targets[name] for name in names))


def with_present_mx(
    wanted: Sequence[DesiredRecord], present: Iterable[RecordData]
) -> tuple[list[DesiredRecord], list[str]]:
    """The wanted records; where the zone has a mail host of Microsoft 365 it is right as it is, and
    wanted in place of another one that was entered. And warnings about that."""
    found = [one for one in present if one.type == "MX" and is_microsoft_mx(one.content)]
    kept, warnings = [], []
    for record in wanted:
        same_name = [one for one in found if one.key == record.data.key]
        if not same_name or record.purpose != "mx" or not is_microsoft_mx(record.data.content):
            kept.append(record)
            continue
        right = next((one for one in same_name if one.content == record.data.content), same_name[0])
        if right.content != record.data.content:
            warnings.append(
                f"The domain has the mail host {right.content} at Microsoft 365 already, which "
                f"stays; {record.data.content} was entered."
            )
        kept.append(replace(record, data=right))
    return kept, warnings


def compute(row: ChangePlan, existing: list[ExistingRecord]) -> tuple[Plan, list[str]]:
    """The plan for a stored setup, and the warnings to show with it."""
    present = [record.data for record in existing]
    setup = as_in_the_zone(MailSetup.from_json(row.setup), present)
    setup = with_own_key(row.zone, setup)
    wanted, told = with_present_mx(desired_records(setup), present)
    found = flattening_plans.settle(row.zone, setup, existing)
    row.spf, warnings = found.made, setup_warnings(setup) + told + found.warnings
    plan = plans.plan_changes(
        setup.domain,
        existing,
        [*wanted, *found.parts, *key_choice.in_rotation(row.zone, wanted)],
        replace=frozenset(row.replace),
        spf_text=found.text,
        spf_objection=found.objection,
        own_hosts=own_mail_hosts(),
    )
    return plan, [*warnings, *_about_dmarc(plan)]


def compute_edits(row: ChangePlan, existing: list[ExistingRecord]) -> tuple[Plan, list[str]]:
    """The plan for records that a person wrote."""
    wanted = [plans.Edit.from_json(stored) for stored in row.edits]
    plan = plans.plan_edits(
        row.zone.domain.name,
        existing,
        wanted,
        lone_cname=provider_of(row.zone.domain).capabilities.lone_cname,
        own_hosts=own_mail_hosts(),
    )
    return plan, row.warnings


def compute_import(row: ChangePlan, existing: list[ExistingRecord]) -> tuple[Plan, list[str]]:
    """The plan for a zone file, with what was answered to the questions about its lines."""
    wanted = [plans.Edit.from_json(stored).record for stored in row.edits]
    asked = map(zonefiles.Question.from_json, row.questions)
    wanted += [question.chosen for question in asked if question.chosen]
    capabilities = provider_of(row.zone.domain).capabilities
    if capabilities.one_ttl_per_rrset:
        wanted = list(zonefiles.with_one_ttl(wanted))
    plan = plans.plan_import(
        row.zone.domain.name,
        existing,
        wanted,
        consent=frozenset(row.replace),
        lone_cname=capabilities.lone_cname,
        own_hosts=own_mail_hosts(),
    )
    return plan, row.warnings


def inverse_of(row: ChangePlan, existing: list[ExistingRecord]) -> Plan:
    """The plan that takes an applied one back."""
    assert row.plan is not None
    applied = Plan.from_json(row.plan)
    if row.kind == ChangePlan.SETUP:
        applied = flattened.before_revert(row.zone, row, applied)
    return plans.inverse(applied, existing, own_hosts=own_mail_hosts())


def _about_dmarc(plan: Plan) -> list[str]:
    """What public DNS says about the DMARC record that the domain will have."""
    for change in plan.changes:
        if change.purpose == "dmarc" and change.action != "conflict" and change.after:
            text, is_new = change.after.content, change.action == "create"
            try:
                return asyncio.run(_ask_about_dmarc(plan.zone_name, text, is_new=is_new))
            except (TimeoutError, ProviderError):
                return ["Public DNS could not be asked about the domain's DMARC record just now."]
    return []


async def _ask_about_dmarc(domain: str, text: str, *, is_new: bool) -> list[str]:
    async with asyncio.timeout(DMARC_WITHIN), dns_client() as client:
        resolver = RecursiveResolver(client, resolvers())
        problems = await dmarc.report_problems(domain, text, resolver)
        if is_new:
            problems += await dmarc.replaced_policy(domain, text, resolver)
    return [problem.sentence for problem in problems]


COMPUTE = {
    ChangePlan.SETUP: compute,
    ChangePlan.RECORDS: compute_edits,
    ChangePlan.IMPORT: compute_import,
    ChangePlan.EXISTING: compute_import,
    ChangePlan.SPF: flattening_plans.compute_spf,
}
