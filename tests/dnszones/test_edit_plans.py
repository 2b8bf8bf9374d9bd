"""Plans of records that a person writes, and of zone files: pure, as in test_changes.py."""

import json
import time
from dataclasses import replace

import pytest

from dnszones.plans import (
    Batch,
    Edit,
    ExistingRecord,
    Plan,
    batch,
    inverse,
    is_current,
    plan_edits,
    plan_import,
    remaining,
)
from dnszones.records import RecordData

APEX = "ada.test"


def data(
    kind: str, content: str, name: str = f"www.{APEX}", ttl: int = 300, priority: int | None = None
) -> RecordData:
    return RecordData(name, kind, content, ttl, priority)


def there(kind: str, content: str, name: str = f"www.{APEX}", **more: int) -> ExistingRecord:
    record = data(kind, content, name, **more)
    return ExistingRecord(f"id of {record}", record)


def carried_out(zone: list[ExistingRecord], written: Batch) -> list[ExistingRecord]:
    """The zone afterwards, as a provider would make it."""
    gone = {record.id for record in written.deletes} | {old.id for old, _ in written.updates}
    new = [*(after for _, after in written.updates), *written.creates]
    left = [record for record in zone if record.remote_id not in gone]
    return left + [ExistingRecord(f"id of {after} {after.ttl}", after) for after in new]


def applied(zone: list[ExistingRecord], plan: Plan) -> list[ExistingRecord]:
    return carried_out(zone, batch(remaining(plan, zone)))


def values(zone: list[ExistingRecord]) -> set[tuple[str, int]]:
    return {(str(record.data), record.data.ttl) for record in zone}


OLD = there("A", "192.0.2.1")
SIBLING = there("A", "192.0.2.2")


# --- Single records -------------------------------------------------------------------------


def test_a_record_is_added_beside_others_of_its_name() -> None:
    plan = plan_edits(APEX, [OLD], [Edit("create", data("A", "192.0.2.9"))])
    assert [change.action for change in plan.changes] == ["create"]
    zone = applied([OLD], plan)
    assert len(zone) == 2
    assert remaining(plan, zone) == []
    assert values(applied(zone, inverse(plan, zone))) == values([OLD])


def test_a_record_is_changed_and_what_stands_beside_it_stays() -> None:
    edit = Edit("update", data("A", "192.0.2.9"), OLD.remote_id, OLD.data)
    zone = applied([OLD, SIBLING], plan := plan_edits(APEX, [OLD, SIBLING], [edit]))
    assert {record.data.content for record in zone} == {"192.0.2.9", "192.0.2.2"}
    assert values(applied(zone, inverse(plan, zone))) == values([OLD, SIBLING])


def test_a_changed_ttl_is_a_change_and_can_be_taken_back() -> None:
    edit = Edit("update", replace(OLD.data, ttl=3600), OLD.remote_id, OLD.data)
    plan = plan_edits(APEX, [OLD], [edit])
    assert [change.action for change in plan.steps] == ["update"]
    zone = applied([OLD], plan)
    assert [record.data.ttl for record in zone] == [3600]
    assert remaining(plan, zone) == []
    assert values(applied(zone, inverse(plan, zone))) == values([OLD])


def test_a_record_gets_another_name() -> None:
    moved = data("A", "192.0.2.1", f"web.{APEX}")
    plan = plan_edits(APEX, [OLD], [Edit("update", moved, OLD.remote_id, OLD.data)])
    assert values(applied([OLD], plan)) == {(str(moved), moved.ttl)}


@pytest.mark.parametrize(
    ("zone", "edit", "said"),
    [
        ([OLD], Edit("create", OLD.data), "already"),
        ([OLD], Edit("create", data("CNAME", "shop.test")), "same name"),
        ([there("CNAME", "shop.test")], Edit("create", data("TXT", "x")), "same name"),
        ([there("CNAME", "shop.test")], Edit("create", data("CNAME", "other.test")), "same name"),
        ([OLD, SIBLING], Edit("update", SIBLING.data, OLD.remote_id, OLD.data), "already"),
        ([SIBLING], Edit("update", data("A", "192.0.2.9"), OLD.remote_id, OLD.data), "not there"),
        (
            [replace(OLD, data=data("A", "192.0.2.8"))],
            Edit("delete", OLD.data, OLD.remote_id, OLD.data),
            "192.0.2.8 now",
        ),
    ],
)
def test_what_cannot_be_had_is_a_conflict(
    zone: list[ExistingRecord], edit: Edit, said: str
) -> None:
    (conflict,) = plan_edits(APEX, zone, [edit]).conflicts
    assert said in conflict.reason


@pytest.mark.parametrize(
    ("wanted", "present", "lone_cname", "action"),
    [
        (data("CNAME", "shop.test"), there("TXT", "x"), True, "conflict"),
        (data("CNAME", "shop.test"), there("TXT", "x"), False, "create"),
        (data("TXT", "x"), there("CNAME", "shop.test"), False, "create"),
        (data("A", "192.0.2.1"), there("CNAME", "shop.test"), False, "conflict"),
        (data("CNAME", "shop.test"), there("AAAA", "2001:db8::1"), False, "conflict"),
        (data("A", "192.0.2.1", APEX), there("CNAME", "shop.test", APEX), False, "conflict"),
    ],
)
def test_a_cname_stands_beside_what_its_provider_allows(
    wanted: RecordData, present: ExistingRecord, lone_cname: bool, action: str
) -> None:
    edited = plan_edits(APEX, [present], [Edit("create", wanted)], lone_cname=lone_cname)
    imported = plan_import(APEX, [present], [wanted], lone_cname=lone_cname)
    for plan in (edited, imported, Plan.from_json(json.loads(json.dumps(edited.to_json())))):
        assert [change.action for change in plan.changes] == [action]
        assert [step.action for step in remaining(plan, [present])] == (
            [action] if action == "create" else []
        )


def test_what_is_so_already_is_kept_and_what_is_gone_is_gone() -> None:
    same = Edit("update", OLD.data, OLD.remote_id, OLD.data)
    assert [change.action for change in plan_edits(APEX, [OLD], [same]).changes] == ["keep"]
    gone = Edit("delete", OLD.data, OLD.remote_id, OLD.data)
    assert plan_edits(APEX, [SIBLING], [gone]).changes == ()


def test_an_id_that_the_provider_made_anew_still_means_the_record() -> None:
    """PowerDNS has no ids, so they are made from what the record says."""
    renamed = replace(OLD, remote_id="another")
    edit = Edit("delete", OLD.data, OLD.remote_id, OLD.data)
    assert [change.before for change in plan_edits(APEX, [renamed], [edit]).steps] == [(renamed,)]


def test_nothing_is_put_beside_what_somebody_else_wrote_meanwhile() -> None:
    edit = Edit("update", data("A", "192.0.2.9"), OLD.remote_id, OLD.data)
    plan = plan_edits(APEX, [OLD], [edit])
    theirs = [there("A", "192.0.2.77")]
    assert not is_current(plan, theirs)
    taken_back = inverse(plan, theirs)
    assert [change.action for change in taken_back.changes] == ["conflict"]


def test_an_edit_survives_a_json_column() -> None:
    for edit in (
        Edit("create", data("MX", "mx.test", priority=10)),
        Edit("update", data("A", "192.0.2.9"), "an id", OLD.data),
    ):
        assert Edit.from_json(json.loads(json.dumps(edit.to_json()))) == edit


# --- Zone files -----------------------------------------------------------------------------


def test_a_file_adds_what_is_missing_and_leaves_the_rest() -> None:
    stays = there("A", "192.0.2.50", f"only-here.{APEX}")
    text = data("TXT", "from the file", APEX)
    zone = [OLD, stays, there("TXT", "another text", APEX)]
    plan = plan_import(APEX, zone, [OLD.data, text, data("A", "192.0.2.9", f"new.{APEX}")])
    assert [change.action for change in plan.changes] == ["create", "create", "keep"]
    assert values(applied(zone, plan)) > values(zone)


def test_what_the_zone_says_otherwise_is_replaced_only_with_consent() -> None:
    zone = [
        OLD,
        there("MX", "old.test", APEX, priority=5),
        there("TXT", "v=spf1 mx -all", APEX),
        there("CNAME", "else.test", f"shop.{APEX}"),
    ]
    wanted = [
        data("A", "192.0.2.9"),
        data("MX", "new.test", APEX, priority=10),
        data("TXT", "v=spf1 a -all", APEX),
        data("A", "192.0.2.3", f"shop.{APEX}"),
        data("AAAA", "2001:db8::3", f"shop.{APEX}"),
    ]
    plan = plan_import(APEX, zone, wanted)
    assert {change.action for change in plan.changes} == {"conflict"}
    assert plan.steps == ()
    shop = [change for change in plan.conflicts if change.after and "shop" in change.after.name]
    one_of_two = plan_import(APEX, zone, wanted, consent=frozenset({shop[0].id}))
    assert one_of_two.steps == (), "half of a name is not replaced"
    agreed = plan_import(APEX, zone, wanted, consent=frozenset(c.id for c in plan.conflicts))
    after = applied(zone, agreed)
    assert {str(record.data) for record in after} == {str(record) for record in wanted}
    assert remaining(agreed, after) == []
    assert values(applied(after, inverse(agreed, after))) == values(zone)


def test_the_ttl_of_the_file_counts_but_automatic_is_five_minutes() -> None:
    zone = [replace(OLD, data=replace(OLD.data, ttl=1)), there("TXT", "x", ttl=300)]
    wanted = [replace(OLD.data, ttl=300), data("TXT", "x", ttl=3600)]
    assert [change.action for change in plan_import(APEX, zone, wanted).changes] == [
        "keep",
        "update",
    ]


def test_a_large_file_is_compared_quickly() -> None:
    wanted = [data("A", f"192.0.{n // 250}.{n % 250}", f"h{n}.{APEX}") for n in range(10_000)]
    started = time.process_time()
    plan = plan_import(APEX, [], wanted)
    zone = applied([], plan)
    assert remaining(plan, zone) == []
    assert is_current(plan_import(APEX, zone, wanted), zone)
    assert time.process_time() - started < 10
