import json
from dataclasses import replace
from itertools import count

import pytest

from dnszones.dkim import records as dkim
from dnszones.mail_records import MailSetup, desired_records
from dnszones.plans import (
    ExistingRecord,
    Plan,
    batch,
    fingerprint,
    inverse,
    is_current,
    plan_changes,
    remaining,
    spf_to_extend,
)
from dnszones.records import RecordData, same_value

APEX = "ada.test"
KEY, OTHER_KEY = dkim.make_key().value, dkim.make_key().value
SETUP = MailSetup(
    domain=APEX,
    platform="mailserver",
    dkim_value=KEY,
    mailserver_mx="mx.mail.test",
    mailserver_spf="_spf.mail.test",
    tracking_subdomain="track",
    tracking_provider="smartlead",
)
DESIRED = desired_records(SETUP)
WITH_TWO_MX = desired_records(
    replace(SETUP, platform="custom", custom_mx=((10, "mx1.bo.test"), (20, "mx2.bo.test")))
)
OUR_SPF = "v=spf1 include:_spf.mail.test ~all"

ids = count(1)


def there(kind, content, *, name=APEX, priority=None, ours=False):
    data = RecordData(name, kind, content, 300, priority)
    return ExistingRecord(f"id{next(ids)}", data, ours)


def plan(existing, desired=DESIRED, **options):
    return plan_changes(APEX, existing, desired, **options)


def of(the_plan, purpose):
    """The changes of a purpose as (action, values before, value after)."""
    return [
        (
            change.action,
            [record.data.content for record in change.before],
            change.after.content if change.after else None,
        )
        for change in the_plan.changes
        if change.purpose == purpose
    ]


def carry_out(zone, changes):
    """What a provider does with a batch, in memory."""
    work = batch(changes)
    gone = {record.id for record in work.deletes}
    updated = {record.id: data for record, data in work.updates}
    assert gone | set(updated) <= {record.remote_id for record in zone}
    kept = [
        replace(record, data=updated.get(record.remote_id, record.data))
        for record in zone
        if record.remote_id not in gone
    ]
    return kept + [ExistingRecord(f"id{next(ids)}", data, ours=True) for data in work.creates]


def values(zone):
    return sorted(str(record.data) for record in zone)


# --- What is planned ----------------------------------------------------------------------------


def test_an_empty_zone_gets_everything():
    the_plan = plan([])
    assert {change.action for change in the_plan.changes} == {"create"}
    assert [change.after for change in the_plan.changes] == [wanted.data for wanted in DESIRED]
    assert the_plan.confirmations == ()


def test_a_finished_zone_is_kept_and_others_are_counted_only():
    zone = [ExistingRecord(f"z{n}", wanted.data) for n, wanted in enumerate(DESIRED)]
    zone += [there("A", "192.0.2.1"), there("TXT", "google-site-verification=x")]
    the_plan = plan(zone)
    assert {change.action for change in the_plan.changes} == {"keep"}
    assert the_plan.untouched == 2
    assert [data for _, data in the_plan.outcome] == [wanted.data for wanted in DESIRED]


def test_ours_that_differ_are_updated_and_unwanted_ones_deleted():
    zone = [
        there("TXT", "v=spf1 include:_spf.google.com ~all", ours=True),
        there("MX", "smtp.google.com", priority=1, ours=True),
        there("TXT", OTHER_KEY, name="google._domainkey.ada.test", ours=True),
    ]
    the_plan = plan(zone)
    assert of(the_plan, "spf") == [("update", ["v=spf1 include:_spf.google.com ~all"], OUR_SPF)]
    assert of(the_plan, "mx") == [("update", ["smtp.google.com"], "mx.mail.test")]
    assert of(the_plan, "dkim") == [("create", [], KEY), ("delete", [OTHER_KEY], None)]


def test_a_foreign_spf_record_is_extended_and_nothing_of_it_lost():
    the_plan = plan([there("TXT", "v=spf1 include:bo.test -all"), there("TXT", "other")])
    merged = "v=spf1 include:_spf.mail.test include:bo.test -all"
    assert of(the_plan, "spf") == [("update", ["v=spf1 include:bo.test -all"], merged)]
    change = next(change for change in the_plan.changes if change.purpose == "spf")
    assert "Adds include:_spf.mail.test" in change.reason


def test_a_foreign_spf_record_that_names_us_already_is_kept():
    text = "v=spf1 mx include:_spf.mail.test -all"
    assert of(plan([there("TXT", text)], spf_text=text), "spf") == [("keep", [text], text)]


def test_the_caller_may_bring_a_flattened_spf_record():
    flat = "v=spf1 ip4:192.0.2.0/24 ~all"
    the_plan = plan([there("TXT", "v=spf1 include:bo.test ~all")], spf_text=flat)
    assert of(the_plan, "spf") == [("update", ["v=spf1 include:bo.test ~all"], flat)]
    change = next(change for change in the_plan.changes if change.purpose == "spf")
    assert "Rewrites" in change.reason
    assert of(plan([], spf_text=flat), "spf") == [("create", [], flat)]


@pytest.mark.parametrize(
    ("broken", "agreed"),
    [
        ("v=spf1 nonsense ~all", OUR_SPF),
        (
            "v=spf1 mx -include:_spf.mail.test ~all",
            "v=spf1 include:_spf.mail.test mx -include:_spf.mail.test ~all",
        ),
    ],
)
def test_an_spf_record_that_cannot_be_extended_is_a_conflict(broken, agreed):
    for text in (None, "v=spf1 ip4:192.0.2.0/24 ~all"):
        the_plan = plan([there("TXT", broken)], spf_text=text)
        assert of(the_plan, "spf") == [("conflict", [broken], agreed)]


def test_why_senders_cannot_be_added_is_told_as_a_conflict():
    [conflict] = plan([there("TXT", "v=spf1 mx -all")], spf_objection="It is broken.").blocked
    assert conflict.reason == "The domain's SPF record cannot be extended. It is broken."


def test_two_spf_records_are_a_conflict_and_consent_loses_no_sender():
    zone = [there("TXT", "v=spf1 mx -all"), there("TXT", "v=spf1 include:bo.test ~all")]
    the_plan = plan(zone)
    assert [change[0] for change in of(the_plan, "spf")] == ["conflict"]
    agreed = plan(zone, replace=frozenset(change.id for change in the_plan.conflicts))
    assert of(agreed, "spf") == [
        ("update", ["v=spf1 mx -all"], "v=spf1 include:_spf.mail.test include:bo.test mx -all"),
        ("delete", ["v=spf1 include:bo.test ~all"], None),
    ]


def test_our_spf_record_beside_a_foreign_one_is_a_conflict_too():
    zone = [there("TXT", OUR_SPF, ours=True), there("TXT", "v=spf1 a -all")]
    assert of(plan(zone), "spf")[0][:2] == ("conflict", ["v=spf1 a -all"])


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("v=DMARC1; p=reject; rua=mailto:a@ada.test", "keep"),
        ("v=DMARC1; p=none", "conflict"),
        ("v=DMARC1; p=junk", "conflict"),
    ],
)
def test_a_foreign_dmarc_record_stays_if_it_is_strict_enough(text, action):
    wanted = desired_records(replace(SETUP, dmarc_policy="quarantine"))
    zone = [there("TXT", text, name="_dmarc.ada.test")]
    assert of(plan(zone, wanted), "dmarc")[0][:2] == (action, [text])


def test_two_dmarc_records_are_a_conflict():
    strict = "v=DMARC1; p=reject"
    zone = [there("TXT", strict, name="_dmarc.ada.test") for _ in range(2)]
    assert of(plan(zone), "dmarc")[0][0] == "conflict"


def test_foreign_mail_hosts_hold_the_whole_set_back():
    zone = [
        there("MX", "mx1.bo.test", priority=10),
        there("MX", "old1.test", priority=5),
        there("MX", "old2.test", priority=7),
    ]
    the_plan = plan(zone, WITH_TWO_MX)
    assert of(the_plan, "mx") == [
        ("keep", ["mx1.bo.test"], "mx1.bo.test"),
        ("conflict", ["old1.test", "old2.test"], "mx2.bo.test"),
    ]
    assert "5 old1.test" in the_plan.conflicts[0].reason
    agreed = plan(zone, WITH_TWO_MX, replace=frozenset({the_plan.conflicts[0].id}))
    assert of(agreed, "mx") == [
        ("keep", ["mx1.bo.test"], "mx1.bo.test"),
        ("update", ["old1.test"], "mx2.bo.test"),
        ("delete", ["old2.test"], None),
    ]


def test_consent_to_a_part_of_a_set_is_no_consent():
    zone = [there("MX", "old.test", priority=5)]
    the_plan = plan(zone, WITH_TWO_MX)
    assert len(the_plan.conflicts) == 2
    half = plan(zone, WITH_TWO_MX, replace=frozenset({the_plan.conflicts[0].id}))
    assert half == the_plan
    both = frozenset(change.id for change in the_plan.conflicts)
    assert [change[0] for change in of(plan(zone, WITH_TWO_MX, replace=both), "mx")] == [
        "update",
        "create",
    ]


def test_consent_is_to_what_was_shown():
    consent = frozenset(
        change.id for change in plan([there("MX", "old.test", priority=5)]).conflicts
    )
    changed = plan([there("MX", "other.test", priority=5)], replace=consent)
    assert of(changed, "mx")[0][0] == "conflict"


def test_one_mail_host_too_many_is_a_conflict():
    zone = [there("MX", "mx.mail.test", priority=10), there("MX", "spy.test", priority=20)]
    the_plan = plan(zone)
    assert of(the_plan, "mx") == [
        ("keep", ["mx.mail.test"], "mx.mail.test"),
        ("conflict", ["spy.test"], None),
    ]
    agreed = plan(zone, replace=frozenset({the_plan.conflicts[0].id}))
    assert of(agreed, "mx")[1] == ("delete", ["spy.test"], None)


@pytest.mark.parametrize(
    ("record", "purpose"),
    [
        (there("TXT", OTHER_KEY, name="mpanel._domainkey.ada.test"), "dkim"),
        (there("CNAME", "key.bo.test", name="mpanel._domainkey.ada.test"), "dkim"),
        (there("CNAME", "dmarc.bo.test", name="_dmarc.ada.test"), "dmarc"),
        (there("A", "192.0.2.1", name="track.ada.test"), "tracking"),
        (there("CNAME", "else.test", name="track.ada.test"), "tracking"),
    ],
)
def test_what_stands_at_the_name_is_a_conflict(record, purpose):
    the_plan = plan([record])
    assert [change.purpose for change in the_plan.conflicts] == [purpose]
    agreed = plan([record], replace=frozenset({the_plan.conflicts[0].id}))
    zone = carry_out([record], agreed.steps)
    assert values(zone) == values(ExistingRecord("", wanted.data) for wanted in DESIRED)


def test_a_flattened_cname_at_the_apex_is_no_conflict():
    assert not plan([there("CNAME", "shop.test")]).conflicts


# --- Confirmation, fingerprints -------------------------------------------------------------------


def test_rewriting_much_of_a_zone_must_be_confirmed():
    small = [there("TXT", "v=spf1 a -all")]
    assert not plan(small).requires_confirmation
    ours = [there("TXT", f"{n}", name=f"h{n}.ada.test", ours=True) for n in range(4)]
    others = [there("A", f"192.0.2.{n}", name=f"o{n}.ada.test") for n in range(6)]
    assert "4 of the zone's 10 records" in plan(ours + others).confirmations[0]
    apex_ns = [there("NS", f"ns{n}.test") for n in range(5)]
    assert plan(ours + others + apex_ns).requires_confirmation
    assert not plan([*ours[:3], *others, others[0]]).requires_confirmation


def test_touching_the_apex_nameservers_must_be_confirmed():
    the_plan = plan([there("NS", "ns1.old.test", ours=True)])
    assert "nameservers" in the_plan.confirmations[0]
    below = there("NS", "ns1.old.test", name="sub.ada.test", ours=True)
    assert [loss.kind for loss in plan([below]).losses] == ["delegation"]


def test_a_plan_is_current_while_what_it_looked_at_is_unchanged():
    foreign = there("TXT", "v=spf1 a -all")
    zone = [foreign, there("A", "192.0.2.1")]
    the_plan = plan(zone)
    assert is_current(the_plan, [*reversed(zone), there("A", "192.0.2.9", name="new.ada.test")])
    assert is_current(the_plan, [replace(foreign, remote_id="x")])
    assert not is_current(the_plan, [there("TXT", "v=spf1 mx -all")])
    assert not is_current(the_plan, [])
    assert not is_current(the_plan, [*zone, there("TXT", "v=spf1 mx -all")])
    assert not is_current(the_plan, [*zone, there("MX", "mx.bo.test", priority=1)])


def test_the_fingerprint_is_of_values():
    zone = [there("A", "192.0.2.1"), there("MX", "mx.test", priority=1)]
    assert fingerprint(zone) == fingerprint([replace(record, ours=True) for record in zone[::-1]])
    assert fingerprint(zone) != fingerprint(zone[:1])


def test_a_plan_survives_a_json_column():
    zone = [there("MX", "old.test", priority=5), there("TXT", "v=spf1 a -all")]
    the_plan = plan(zone)
    assert Plan.from_json(json.loads(json.dumps(the_plan.to_json()))) == the_plan


# --- Carrying out, crashing, taking back ----------------------------------------------------------

ZONE = [
    there("A", "192.0.2.1"),
    there("TXT", "v=spf1 mx -all"),
    there("TXT", "v=spf1 include:bo.test ~all"),
    there("MX", "old1.test", priority=5),
    there("MX", "old2.test", priority=7),
    there("A", "192.0.2.1", name="track.ada.test"),
    there("TXT", OTHER_KEY, name="old._domainkey.ada.test", ours=True),
]


def agreed_plan():
    return plan(ZONE, replace=frozenset(change.id for change in plan(ZONE).conflicts))


def test_a_plan_that_was_carried_out_leaves_nothing_to_do():
    the_plan = agreed_plan()
    assert remaining(the_plan, ZONE) == list(the_plan.steps)
    zone = carry_out(ZONE, the_plan.steps)
    assert remaining(the_plan, zone) == []
    again = plan(zone)
    assert {change.action for change in again.changes} == {"keep"}


def test_a_crash_after_any_step_is_picked_up():
    the_plan = agreed_plan()
    whole = values(carry_out(ZONE, the_plan.steps))
    for done in range(len(the_plan.steps) + 1):
        zone = carry_out(ZONE, the_plan.steps[:done])
        assert values(carry_out(zone, remaining(the_plan, zone))) == whole


def test_an_update_that_was_written_beside_the_old_record_is_finished():
    foreign = there("MX", "old.test", priority=5, ours=True)
    the_plan = plan([foreign])
    step = next(change for change in the_plan.steps if change.purpose == "mx")
    zone = [foreign, there("MX", "mx.mail.test", priority=10)]
    left = [change for change in remaining(the_plan, zone) if change.purpose == "mx"]
    assert [(change.action, change.before) for change in left] == [("delete", (foreign,))]
    assert step.action == "update"


def test_a_stranger_in_the_way_is_reported_and_not_touched():
    the_plan = agreed_plan()
    stranger = there("TXT", "v=spf1 include:spy.test ~all")
    left = remaining(the_plan, [*ZONE, stranger])
    conflicts = [change for change in left if change.action == "conflict"]
    assert [change.before for change in conflicts] == [(stranger,)]
    assert stranger.remote_id not in {record.id for record in batch(left).deletes}


def test_a_record_to_delete_that_was_changed_is_a_conflict():
    old = there("TXT", OTHER_KEY, name="old._domainkey.ada.test", ours=True)
    the_plan = plan([old])
    changed = replace(old, data=replace(old.data, content="v=DKIM1; p="))
    left = [change for change in remaining(the_plan, [changed]) if change.purpose == "dkim"]
    assert [change.action for change in left] == ["create", "conflict"]
    assert [change.action for change in remaining(the_plan, []) if change.after is None] == []


def test_taking_back_restores_the_zone():
    the_plan = agreed_plan()
    zone = carry_out(ZONE, the_plan.steps)
    back = inverse(the_plan, zone)
    assert not back.conflicts
    assert values(carry_out(zone, back.steps)) == values(ZONE)


def test_taking_back_after_a_crash_restores_the_zone_too():
    the_plan = agreed_plan()
    for done in range(len(the_plan.steps) + 1):
        zone = carry_out(ZONE, the_plan.steps[:done])
        assert values(carry_out(zone, inverse(the_plan, zone).steps)) == values(ZONE)


def test_taking_back_leaves_what_others_changed_since():
    the_plan = agreed_plan()
    zone = carry_out(ZONE, the_plan.steps)
    mine = next(record for record in zone if record.data.type == "MX")
    theirs = replace(mine, data=replace(mine.data, content="theirs.test"))
    zone = [theirs if record is mine else record for record in zone]
    back = inverse(the_plan, zone)
    assert {change.purpose for change in back.conflicts} == {"mx"}
    after = carry_out(zone, back.steps)
    assert any(same_value(record.data, theirs.data) for record in after)


def test_a_stored_plan_can_be_finished_elsewhere():
    the_plan = Plan.from_json(json.loads(json.dumps(agreed_plan().to_json())))
    assert remaining(the_plan, carry_out(ZONE, the_plan.steps)) == []


def test_which_spf_record_is_to_be_extended():
    foreign, second = there("TXT", "v=spf1 a -all"), there("TXT", "v=spf1 mx -all")
    assert spf_to_extend(APEX, [foreign, there("TXT", "other")]) == "v=spf1 a -all"
    assert spf_to_extend(APEX, [foreign, second]) is None
    assert spf_to_extend(APEX, [replace(foreign, ours=True)]) is None
