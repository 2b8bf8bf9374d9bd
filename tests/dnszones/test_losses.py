"""What a plan takes away, told in sentences: mail, senders, websites, delegations."""

import json
from collections.abc import Iterable

import pytest

from dnszones.plans import Edit, ExistingRecord, Plan, plan_edits, takes_more
from dnszones.records import RecordData

ZONE = "ada.test"
OURS = frozenset({"mx.house.test", "mx2.house.test"})


def data(line: str) -> RecordData:
    """`www A 192.0.2.1` or `@ MX 10 mx.test`, in the zone."""
    name, kind, content = line.split(maxsplit=2)
    priority = None
    if kind == "MX":
        number, _, content = content.partition(" ")
        priority = int(number)
    full = ZONE if name == "@" else f"{name}.{ZONE}"
    return RecordData(full, kind, content, priority=priority)


def zone(*lines: str) -> list[ExistingRecord]:
    return [ExistingRecord(f"id{n}", data(line)) for n, line in enumerate(lines)]


def changed(
    here: list[ExistingRecord], *, gone: Iterable[str] = (), new: Iterable[str] = ()
) -> Plan:
    """The plan that deletes and creates these records."""
    ids = {str(one.data): one.remote_id for one in here}
    leaving = [data(line) for line in gone]
    edits = []
    for wanted in map(data, new):
        if old := next((one for one in leaving if one.name == wanted.name), None):
            leaving.remove(old)
            edits.append(Edit("update", wanted, ids[str(old)]))
        else:
            edits.append(Edit("create", wanted))
    edits += [Edit("delete", old, ids[str(old)]) for old in leaving]
    return plan_edits(ZONE, here, edits, own_hosts=OURS)


def told(plan: Plan) -> list[str]:
    return [loss.sentence for loss in plan.losses if loss.kind != "extent"]


GOOGLE = ("@ MX 1 smtp.google.com",)
OFFICE = ("@ MX 0 ada-test.mail.protection.outlook.com",)
NEW_OFFICE = ("@ MX 0 ada-test.p-v1.mx.microsoft",)
SPF = ("@ TXT v=spf1 include:_spf.google.com ip4:192.0.2.0/24 ~all",)


@pytest.mark.parametrize(
    ("before", "gone", "new", "sentence"),
    [
        (
            GOOGLE,
            GOOGLE,
            ["@ MX 10 mx.house.test"],
            "Mail to @ada.test stops arriving at Google Workspace; only addresses made here "
            "receive.",
        ),
        (
            GOOGLE,
            GOOGLE,
            ["@ MX 10 mx.bo.test"],
            "Mail to @ada.test stops arriving at Google Workspace; it goes to mx.bo.test.",
        ),
        (
            GOOGLE,
            GOOGLE,
            [],
            "Mail to @ada.test stops arriving at Google Workspace; nobody receives it.",
        ),
        (
            GOOGLE,
            GOOGLE,
            ["@ MX 0 ."],
            "Mail to @ada.test stops arriving at Google Workspace; nobody receives it.",
        ),
        (
            NEW_OFFICE,
            NEW_OFFICE,
            ["@ MX 5 mx1.zoho.eu"],
            "Mail to @ada.test stops arriving at Microsoft 365; it goes to Zoho Mail.",
        ),
        (
            ["@ MX 10 mx.house.test"],
            ["@ MX 10 mx.house.test"],
            GOOGLE,
            "Mail to @ada.test stops arriving at the inboxes made here; it goes to Google "
            "Workspace.",
        ),
        (
            GOOGLE,
            [],
            ["@ MX 0 mx.house.test"],
            "Mail to @ada.test goes to the inboxes made here first, and to Google Workspace only "
            "where that cannot be reached.",
        ),
        (
            GOOGLE,
            [],
            ["@ MX 1 mx.bo.test"],
            "Mail to @ada.test is shared between Google Workspace and mx.bo.test: each gets a part "
            "of it.",
        ),
        (
            ["sub MX 5 in1-smtp.messagingengine.com"],
            ["sub MX 5 in1-smtp.messagingengine.com"],
            [],
            "Mail to @sub.ada.test stops arriving at Fastmail; nobody receives it.",
        ),
        (
            SPF,
            SPF,
            ["@ TXT v=spf1 include:_spf.house.test ~all"],
            "SPF of ada.test no longer names Google Workspace and ip4:192.0.2.0/24: mail that is "
            "sent from there looks forged.",
        ),
        (
            ["@ TXT v=spf1 inclde:x.test -all"],
            ["@ TXT v=spf1 inclde:x.test -all"],
            [],
            "SPF of ada.test no longer names inclde:x.test: mail that is sent from there looks "
            "forged.",
        ),
        (
            ["@ TXT v=spf1 + ip4:192.0.2.1 -all"],
            ["@ TXT v=spf1 + ip4:192.0.2.1 -all"],
            [],
            "SPF of ada.test no longer names + and ip4:192.0.2.1: mail that is sent from there "
            "looks forged.",
        ),
        (
            ["@ A 192.0.2.1"],
            ["@ A 192.0.2.1"],
            [],
            "The website ada.test goes dark: it leads to 192.0.2.1 now.",
        ),
        (
            ["www CNAME shop.test"],
            ["www CNAME shop.test"],
            ["www A 192.0.2.9"],
            "The website www.ada.test no longer leads to shop.test, but to 192.0.2.9.",
        ),
        (
            ["app AAAA 2001:db8::1"],
            ["app AAAA 2001:db8::1"],
            [],
            "The website app.ada.test goes dark: it leads to 2001:db8::1 now.",
        ),
        (
            ["* A 192.0.2.1"],
            ["* A 192.0.2.1"],
            [],
            "Every name below ada.test without records of its own goes dark: it leads to 192.0.2.1 "
            "now.",
        ),
        (
            ["* A 192.0.2.1"],
            [],
            ["blog TXT hello"],
            "The website blog.ada.test goes dark: it leads to 192.0.2.1 now.",
        ),
        (
            ["* CNAME shop.test", "deep.sub A 192.0.2.2"],
            ["* CNAME shop.test"],
            ["* CNAME other.test"],
            "Every name below ada.test without records of its own no longer leads to shop.test, "
            "but to other.test.",
        ),
        (
            ["sub NS ns1.bo.test", "sub NS ns2.bo.test"],
            ["sub NS ns1.bo.test", "sub NS ns2.bo.test"],
            [],
            "sub.ada.test is no longer delegated to ns1.bo.test and ns2.bo.test.",
        ),
        (
            ["sub NS ns1.bo.test", "sub DS 1 13 2 aa"],
            ["sub DS 1 13 2 aa"],
            [],
            "Answers about sub.ada.test are no longer protected by DNSSEC.",
        ),
        (
            ["www.sub A 192.0.2.1"],
            [],
            ["sub NS ns1.bo.test"],
            "The website www.sub.ada.test is no longer answered here (192.0.2.1): another zone "
            "answers.",
        ),
    ],
)
def test_what_goes_dark_is_told_in_a_sentence(
    before: list[str], gone: list[str], new: list[str], sentence: str
) -> None:
    plan = changed(zone(*before), gone=gone, new=new)
    assert told(plan) == [sentence]
    assert plan.requires_confirmation
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("before", "gone", "new"),
    [
        ((), (), ["www A 192.0.2.1", "@ MX 1 mx.bo.test", "sub NS ns1.bo.test"]),
        (OFFICE, OFFICE, NEW_OFFICE),
        (["@ MX 10 mx.house.test"], ["@ MX 10 mx.house.test"], ["@ MX 10 mx2.house.test"]),
        (["@ MX 0 ."], ["@ MX 0 ."], GOOGLE),
        (GOOGLE, (), ["@ MX 20 backup.bo.test"]),
        ([*GOOGLE, "@ MX 20 backup.bo.test"], ["@ MX 20 backup.bo.test"], ()),
        (
            SPF,
            SPF,
            ["@ TXT v=spf1 include:_spf.house.test +ip4:192.0.2.0/24 include:_spf.google.com -all"],
        ),
        (["@ TXT hello", "_dmarc TXT v=DMARC1; p=none"], ["@ TXT hello"], ()),
        (["app A 192.0.2.1"], ["app A 192.0.2.1"], ["app CNAME shop.test"]),
        (["* A 192.0.2.1"], (), ["x._domainkey TXT v=DKIM1; p=aa", "blog A 192.0.2.2"]),
        (["* A 192.0.2.1", "blog TXT hello"], (), ["blog MX 1 mx.bo.test"]),
        (["k1._domainkey CNAME dkim.bo.test"], ["k1._domainkey CNAME dkim.bo.test"], ()),
    ],
)
def test_what_loses_nothing_asks_for_nothing(
    before: list[str], gone: list[str], new: list[str]
) -> None:
    plan = changed(zone(*before), gone=gone, new=new)
    assert told(plan) == []


def test_another_plan_has_another_digest() -> None:
    here = zone(*GOOGLE, "www A 192.0.2.1", "mail A 192.0.2.2")
    first = changed(here, gone=GOOGLE)
    assert first.digest == changed(list(reversed(here)), gone=GOOGLE).digest
    others = {
        changed(here, gone=[*GOOGLE, "www A 192.0.2.1"]).digest,
        changed(here, gone=GOOGLE, new=["@ MX 5 mx.bo.test"]).digest,
        changed(here, gone=GOOGLE, new=["@ MX 6 mx.bo.test"]).digest,
        changed(zone(*OFFICE), gone=OFFICE).digest,
    }
    assert len(others) == 4
    assert first.digest not in others


def test_the_last_of_several_is_noticed_when_the_others_have_gone() -> None:
    here = zone("@ MX 1 mx.bo.test", "@ MX 1 smtp.google.com")
    plan = changed(here, gone=["@ MX 1 mx.bo.test"])
    assert not takes_more(plan, here)
    two = zone("www.sub A 192.0.2.1", "www.sub A 192.0.2.2")
    one_goes = changed(two, gone=["www.sub A 192.0.2.1"])
    assert told(one_goes) == []
    assert takes_more(one_goes, two[:1])


def test_a_loss_that_is_worse_under_the_same_name_is_noticed() -> None:
    here = zone("@ MX 1 smtp.google.com", "@ MX 5 mx.bo.test", "@ MX 9 mx.cy.test")
    plan = changed(here, gone=["@ MX 1 smtp.google.com"])
    assert not takes_more(plan, here)
    # What the customer agreed to left two servers; now the same step leaves nobody.
    left = changed(here[:1], gone=["@ MX 1 smtp.google.com"])
    assert {one.name for one in left.losses} >= {one.name for one in plan.losses}
    assert takes_more(plan, here[:1])


def test_a_plan_that_was_stored_before_proxies_were_known_is_read_as_not_proxied() -> None:
    here = zone("www A 192.0.2.1")
    plan = changed(here, gone=["www A 192.0.2.1"], new=["www A 192.0.2.2"])
    stored = json.loads(json.dumps(plan.to_json()).replace(', "proxied": false', ""))
    assert "proxied" not in json.dumps(stored)
    read = Plan.from_json(stored)
    assert read == plan
    assert not any(change.after.proxied for change in read.changes if change.after)


def test_a_zone_of_ten_thousand_names_is_compared_at_once() -> None:
    here = zone(*(f"h{n} A 192.0.2.1" for n in range(10_000)))
    plan = changed(here, gone=[f"h{n} A 192.0.2.1" for n in range(0, 10_000, 2)])
    assert len(told(plan)) == 5_000
