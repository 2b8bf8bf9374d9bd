"""Cloudflare's API as its own client meets it."""

import time
from typing import Any

import cloudflare as cf
import httpx
import pytest

from tests.sandboxes import RunningSandbox, wait_until

from .conftest import account_id, cloudflare_client, make_zone


def codes(error: Any) -> tuple[int, int]:
    """Status and first code of a refusal."""
    return error.status_code, error.errors[0].code


def txt(name: str, content: str) -> dict[str, Any]:
    return {"type": "TXT", "name": name, "content": content, "ttl": 1}


def test_zone_is_assigned_nameservers_and_waits_for_its_delegation(cloudflare, sandbox):
    zone = cloudflare.zones.get(zone_id=make_zone(cloudflare))
    assert (zone.name, zone.status, zone.type) == ("example.test", "pending", "full")
    assert len(zone.name_servers) == 2
    assert zone.original_name_servers == sandbox.delegations()["example.test"]

    sandbox.set_nameservers("example.test")
    zone = cloudflare.zones.get(zone_id=zone.id)
    assert zone.status == "active"
    assert zone.activated_on is not None

    sandbox.set_nameservers("example.test", ["ns1.elsewhere.test", "ns2.elsewhere.test"])
    assert cloudflare.zones.get(zone_id=zone.id).status == "moved"


def test_domain_is_delegated_by_itself_unless_somebody_chose(cloudflare, sandbox):
    sandbox.set_nameservers("chosen.test", ["ns1.elsewhere.test"])
    make_zone(cloudflare, "chosen.test")
    waiting = cloudflare.zones.get(zone_id=make_zone(cloudflare, "waiting.test"))
    sandbox.set_auto_delegate(0.5)
    wait_until(lambda: sandbox.delegations()["waiting.test"] == waiting.name_servers)
    sandbox.set_auto_delegate(None)
    assert sandbox.delegations()["chosen.test"] == ["ns1.elsewhere.test"]


def test_same_zone_twice_is_refused(cloudflare):
    make_zone(cloudflare)
    with pytest.raises(cf.BadRequestError) as refused:
        make_zone(cloudflare)
    assert codes(refused.value) == (400, 1061)


def test_two_accounts_get_different_nameservers_until_one_is_active(cloudflare, sandbox):
    other = cloudflare_client(sandbox, "sandbox-cy")
    ours = cloudflare.zones.get(zone_id=make_zone(cloudflare))
    theirs = other.zones.get(zone_id=make_zone(other))
    assert ours.name_servers != theirs.name_servers

    sandbox.set_nameservers("example.test", theirs.name_servers)
    assert cloudflare.zones.get(zone_id=ours.id).status == "pending"
    assert other.zones.get(zone_id=theirs.id).status == "active"
    cloudflare.zones.delete(zone_id=ours.id)
    with pytest.raises(cf.BadRequestError) as refused:
        make_zone(cloudflare)
    assert codes(refused.value) == (400, 1061)


@pytest.mark.parametrize("name", ["test", "a.example.test", "not a name", "", "ex_ample.test"])
def test_only_registrable_domains_become_zones(cloudflare, name):
    with pytest.raises(cf.BadRequestError):
        make_zone(cloudflare, name)


def test_token_opens_its_own_account_only(cloudflare, sandbox):
    zone_id = make_zone(cloudflare)
    stranger = cloudflare_client(sandbox, "sandbox-cy")
    with pytest.raises(cf.PermissionDeniedError) as refused:
        stranger.zones.get(zone_id=zone_id)
    assert codes(refused.value) == (403, 9109)
    with pytest.raises(cf.PermissionDeniedError):
        stranger.zones.create(account={"id": account_id(cloudflare)}, name="cy.test")
    assert list(stranger.zones.list()) == []

    with pytest.raises(cf.AuthenticationError) as unknown:
        cloudflare_client(sandbox, "somebody else's").zones.get(zone_id=zone_id)
    assert codes(unknown.value) == (401, 10000)
    assert cloudflare.user.tokens.verify().status == "active"


def test_unknown_ids_are_errors(cloudflare):
    with pytest.raises(cf.NotFoundError) as refused:
        cloudflare.zones.get(zone_id="0" * 32)
    assert codes(refused.value) == (404, 7003)
    with pytest.raises(cf.NotFoundError) as refused:
        cloudflare.dns.records.delete("0" * 32, zone_id=make_zone(cloudflare))
    assert codes(refused.value) == (404, 81044)


def test_zone_list_filters_and_ends(cloudflare):
    for number in range(7):
        make_zone(cloudflare, f"example{number}.test")
    assert len(list(cloudflare.zones.list(per_page=5))) == 7
    assert [zone.name for zone in cloudflare.zones.list(name="example3.test")] == ["example3.test"]
    assert list(cloudflare.zones.list(status="active")) == []


def test_record_list_filters_and_ends(cloudflare):
    zone_id = make_zone(cloudflare)
    for number in range(5):
        cloudflare.dns.records.create(zone_id=zone_id, **txt(f"t{number}", f"text {number}"))
    cloudflare.dns.records.create(
        zone_id=zone_id, type="A", name="t1", content="192.0.2.1", ttl=300
    )
    listed = cloudflare.dns.records.list
    assert len(list(listed(zone_id=zone_id, per_page=2))) == 6
    assert len(list(listed(zone_id=zone_id, type="TXT"))) == 5
    assert len(list(listed(zone_id=zone_id, name={"exact": "t1.example.test"}))) == 2
    assert len(list(listed(zone_id=zone_id, name={"startswith": "t1"}, type="A"))) == 1
    either = listed(zone_id=zone_id, name={"startswith": "t2"}, type="A", match="any")
    assert len(list(either)) == 2
    info = listed(zone_id=zone_id, per_page=4).result_info
    assert (info.page, info.count, info.total_count, info.total_pages) == (1, 4, 6, 2)


def test_records_are_stored_as_cloudflare_stores_them(cloudflare):
    zone_id = make_zone(cloudflare)

    def created(**fields):
        return cloudflare.dns.records.create(zone_id=zone_id, **{"ttl": 1, **fields})

    assert created(type="TXT", name="@", content="bare text").content == '"bare text"'
    assert created(type="TXT", name="q", content='"a" "b"').content == '"a" "b"'
    long = created(type="TXT", name="long", content='"' + "x" * 300 + '"').content
    assert long == f'"{"x" * 255}" "{"x" * 45}"'
    mx = created(type="MX", name="example.test", content="MX.Example.test.", priority=10)
    assert (mx.content, mx.priority, mx.name) == ("mx.example.test", 10, "example.test")
    srv = created(
        type="SRV",
        name="_imaps._tcp",
        data={"priority": 1, "weight": 2, "port": 993, "target": "mail.example.test"},
    )
    assert (srv.content, srv.priority) == ("2 993 mail.example.test", 1)
    caa = created(type="CAA", name="@", data={"flags": 0, "tag": "issue", "value": "ca.test"})
    assert caa.content == '0 issue "ca.test"'
    assert created(type="AAAA", name="six", content="2001:DB8:0::1").content == "2001:db8::1"
    assert created(type="A", name="p", content="192.0.2.1", proxied=True).proxied is True


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "A", "content": "192.0.2.300"}, 9005),
        ({"type": "A", "content": "example.test"}, 9005),
        ({"type": "AAAA", "content": "192.0.2.1"}, 9006),
        ({"type": "CNAME", "content": "bad name"}, 9007),
        ({"type": "MX", "content": "mx.example.test"}, 9009),
        ({"type": "TXT", "content": ""}, 9026),
        ({"type": "TXT", "content": '"open'}, 9026),
        ({"type": "TXT", "content": "x", "ttl": 30}, 9021),
        ({"type": "TXT", "content": "x", "proxied": True}, 9004),
        ({"type": "TXT", "content": "x", "name": "a" * 64}, 9000),
        ({"type": "SRV", "data": {"priority": 1, "weight": 1, "port": 70000, "target": "a"}}, 9101),
        ({"type": "CAA", "content": "nonsense"}, 9102),
        ({"type": "NOPE", "content": "x"}, 9003),
    ],
)
def test_bad_records_name_their_reason(cloudflare, fields, reason):
    zone_id = make_zone(cloudflare)
    with pytest.raises(cf.BadRequestError) as refused:
        cloudflare.dns.records.create(zone_id=zone_id, **{"name": "www", "ttl": 1, **fields})
    assert codes(refused.value) == (400, 1004)
    body: Any = refused.value.body
    assert body["errors"][0]["error_chain"][0]["code"] == reason


def test_records_that_cannot_stand_together_are_refused(cloudflare):
    zone_id = make_zone(cloudflare)

    def refusal(**fields):
        with pytest.raises(cf.BadRequestError) as refused:
            cloudflare.dns.records.create(zone_id=zone_id, **{"name": "www", "ttl": 1, **fields})
        return refused.value.errors[0].code

    cloudflare.dns.records.create(zone_id=zone_id, **txt("www", "one"))
    assert refusal(type="TXT", content='"one"') == 81058
    assert refusal(type="TXT", content="one", ttl=300) == 81057
    cloudflare.dns.records.create(
        zone_id=zone_id, type="CNAME", name="alias", content="other.test", ttl=1
    )
    cloudflare.dns.records.create(zone_id=zone_id, type="A", name="h", content="192.0.2.1", ttl=1)
    assert refusal(type="A", name="alias", content="192.0.2.1") == 81054
    assert refusal(type="AAAA", name="alias", content="2001:db8::1") == 81054
    assert refusal(type="CNAME", name="alias", content="another.test") == 81053
    assert refusal(type="CNAME", name="h", content="other.test") == 81053


def test_a_cname_may_stand_beside_all_but_addresses_and_cnames(cloudflare):
    zone_id = make_zone(cloudflare)
    for name in ("alias", "@"):
        for fields in (
            {"type": "TXT", "content": "one"},
            {"type": "CNAME", "content": "other.test"},
            {"type": "MX", "content": "mx.test", "priority": 10},
        ):
            cloudflare.dns.records.create(zone_id=zone_id, name=name, ttl=1, **fields)
    found = cloudflare.dns.records.list(zone_id=zone_id)
    assert sorted(record.type for record in found) == ["CNAME", "CNAME", "MX", "MX", "TXT", "TXT"]


def test_put_replaces_and_patch_merges(cloudflare):
    zone_id = make_zone(cloudflare)
    records = cloudflare.dns.records
    record = records.create(zone_id=zone_id, **txt("t", "one"), comment="kept")
    edited = records.edit(record.id, zone_id=zone_id, type="TXT", name="t", content="two", ttl=300)
    assert (edited.content, edited.ttl, edited.comment) == ('"two"', 300, "kept")
    replaced = records.update(record.id, zone_id=zone_id, **txt("t", "three"))
    assert (replaced.content, replaced.ttl, replaced.comment) == ('"three"', 1, None)
    assert records.get(record.id, zone_id=zone_id).content == '"three"'
    assert records.delete(record.id, zone_id=zone_id).id == record.id
    assert list(records.list(zone_id=zone_id)) == []


def test_batch_runs_in_its_own_order(cloudflare):
    zone_id = make_zone(cloudflare)
    records = cloudflare.dns.records
    old, kept = (records.create(zone_id=zone_id, **txt(name, name)) for name in ("old", "kept"))
    # The same name, as an alias, is only free once the delete has run.
    result = records.batch(
        zone_id=zone_id,
        posts=[{"type": "CNAME", "name": "old", "content": "new.test", "ttl": 1}],
        patches=[{"id": kept.id, "content": '"changed"'}],
        deletes=[{"id": old.id}],
    )
    assert [record.id for record in result.deletes] == [old.id]
    assert [record.content for record in result.patches] == ['"changed"']
    assert [record.type for record in result.posts] == ["CNAME"]


def test_batch_takes_effect_wholly_or_not_at_all(cloudflare, sandbox):
    zone_id = make_zone(cloudflare)
    record = cloudflare.dns.records.create(zone_id=zone_id, **txt("t", "one"))
    with pytest.raises(cf.BadRequestError):
        cloudflare.dns.records.batch(
            zone_id=zone_id,
            deletes=[{"id": record.id}],
            posts=[txt("u", "two"), {"type": "A", "name": "v", "content": "none", "ttl": 1}],
        )
    assert [row["content"] for row in sandbox.records("example.test")] == ['"one"']
    with pytest.raises(cf.BadRequestError):
        cloudflare.dns.records.batch(
            zone_id=zone_id, posts=[txt(f"t{number}", "x") for number in range(201)]
        )
    made = cloudflare.dns.records.batch(
        zone_id=zone_id, posts=[txt(f"t{number}", "x") for number in range(200)]
    )
    assert len(made.posts) == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"text"', b"[" * 20_000])
def test_malformed_bodies_are_refused(sandbox, body):
    response = httpx.post(
        f"{sandbox.cloudflare_url}/zones",
        content=body,
        headers={"authorization": "Bearer sandbox-token"},
    )
    assert response.status_code == 400
    assert response.json()["success"] is False


def test_unknown_route_answers_in_the_envelope(sandbox):
    response = httpx.get(f"{sandbox.cloudflare_url}/nowhere")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (404, 7000)


def test_rate_limit_blocks_the_account(tmp_path):
    with RunningSandbox(tmp_path, rate_limit=3) as sandbox:
        client = cloudflare_client(sandbox)
        answers = [
            httpx.get(
                f"{sandbox.cloudflare_url}/zones",
                headers={"authorization": "Bearer sandbox-token"},
            )
            for _ in range(4)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit"].startswith('"default";r=2;t=')
        assert answers[3].headers["retry-after"] == "300"
        with pytest.raises(cf.RateLimitError) as refused:
            client.user.tokens.verify()
        assert codes(refused.value) == (429, 971)
        # Another account has its own budget.
        assert cloudflare_client(sandbox, "sandbox-cy").user.tokens.verify().status == "active"


class TestFaults:
    """Failures on purpose, as the client sees them."""

    @pytest.fixture
    def patient(self, sandbox):
        return cloudflare_client(sandbox, timeout=0.5)

    def test_status_and_rate_limit(self, patient, sandbox):
        sandbox.fault("cloudflare", "status", status=503, times=2)
        for _ in range(2):
            with pytest.raises(cf.InternalServerError):
                patient.user.tokens.verify()
        sandbox.fault("cloudflare", "rate_limit", retry_after=7)
        with pytest.raises(cf.RateLimitError) as refused:
            patient.user.tokens.verify()
        assert refused.value.response.headers["retry-after"] == "7"
        assert patient.user.tokens.verify().status == "active"

    def test_only_the_named_requests_fail(self, patient, sandbox):
        sandbox.fault("cloudflare", "status", status=500, method="POST", path="/zones$", times=None)
        assert list(patient.zones.list()) == []
        for _ in range(2):
            with pytest.raises(cf.InternalServerError):
                make_zone(patient)
        sandbox.clear_faults()
        make_zone(patient)

    @pytest.mark.parametrize("kind", ["drop_before", "timeout"])
    def test_no_answer_and_nothing_done(self, patient, sandbox, kind):
        sandbox.fault("cloudflare", kind, method="POST")
        with pytest.raises(cf.APIConnectionError):
            make_zone(patient)
        assert list(patient.zones.list()) == []
        assert sandbox.faults() == []

    @pytest.mark.parametrize("kind", ["drop_after_commit", "timeout_after_commit"])
    def test_no_answer_but_done(self, patient, sandbox, kind):
        sandbox.fault("cloudflare", kind, method="POST")
        with pytest.raises(cf.APIConnectionError):
            make_zone(patient)
        assert [zone.name for zone in patient.zones.list()] == ["example.test"]

    def test_delay(self, patient, sandbox):
        sandbox.fault("cloudflare", "delay", delay=0.3)
        began = time.monotonic()
        assert patient.user.tokens.verify().status == "active"
        assert time.monotonic() - began >= 0.3
        sandbox.fault("cloudflare", "delay", delay=2)
        with pytest.raises(cf.APITimeoutError):
            patient.user.tokens.verify()


def test_state_outlives_sigkill(tmp_path):
    sandbox = RunningSandbox(tmp_path)
    with sandbox:
        client = cloudflare_client(sandbox)
        zone_id = make_zone(client)
        sandbox.set_nameservers("example.test")
        client.dns.records.create(zone_id=zone_id, **txt("t", "kept"))
        sandbox.fault("cloudflare", "status", status=500, path="/nowhere")
        authority = sandbox.ca_file.read_bytes()
        sandbox.kill()
        sandbox.start()
        assert client.zones.get(zone_id=zone_id).status == "active"
        assert [row["content"] for row in sandbox.records("example.test")] == ['"kept"']
        assert sandbox.texts("127.0.0.11", "t.example.test", "TXT") == ['"kept"']
        assert len(sandbox.faults()) == 1
        assert sandbox.ca_file.read_bytes() == authority
        assert sandbox.stop() == 0
