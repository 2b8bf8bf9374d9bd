"""The control room: its JSON, its pages and its forms."""

import re

import httpx
import pytest

from tests.sandboxes import NAMESERVERS, RESOLVERS

from .conftest import cloudflare_client, make_zone

PAGES = (
    "/",
    "/mail",
    "/registrar",
    "/zones",
    "/outreach",
    "/workspace",
    "/servers",
    "/faults",
    "/requests",
)


@pytest.fixture
def browser(sandbox):
    with httpx.Client(base_url=sandbox.base_url, follow_redirects=True) as client:
        yield client


def test_health_says_where_everything_is(sandbox):
    health = sandbox.control("GET", "health")
    assert health["status"] == "ok"
    assert health["ports"] == {
        "http": sandbox.port,
        "dns": sandbox.dns_port,
        "submission": sandbox.submission_port,
        "system_mail": sandbox.system_mail_port,
        "imaps": sandbox.imaps_port,
    }
    client = cloudflare_client(sandbox, health["cloudflare"]["token"])
    assert [account.id for account in client.accounts.list()] == [
        health["cloudflare"]["account_id"]
    ]


def test_requests_are_counted(cloudflare, sandbox):
    make_zone(cloudflare)
    zone_id = make_zone(cloudflare, "another.test")
    cloudflare.zones.get(zone_id=zone_id)
    assert sandbox.request_count("cloudflare", "POST", "/zones", 200) == 2
    assert sandbox.request_count("cloudflare", "GET", "/zones/{id}") == 1
    sandbox.fault("cloudflare", "drop_before", method="GET")
    with pytest.raises(Exception, match="Connection error"):
        cloudflare.zones.get(zone_id=zone_id)
    recent = sandbox.control("GET", "requests")["recent"]
    assert (recent[0]["path"], recent[0]["status"]) == (f"/zones/{zone_id}", None)
    sandbox.forget_requests()
    assert sandbox.request_count("cloudflare", "POST", "/zones") == 0


def test_record_behind_the_panels_back_is_like_any_other(cloudflare, sandbox):
    zone_id = make_zone(cloudflare)
    sandbox.change_record("example.test", "add", type="TXT", name="@", content="one")
    sandbox.change_record("example.test", "add", type="TXT", name="@", content="two")
    (found, _) = cloudflare.dns.records.list(zone_id=zone_id)
    assert (found.name, found.content) == ("example.test", '"one"')
    sandbox.change_record("example.test", "delete", type="TXT", name="@", content="one")
    sandbox.change_record(
        "example.test", "replace", type="MX", name="@", content="mx.test", priority=5
    )
    assert [(row["type"], row["content"]) for row in sandbox.records("example.test")] == [
        ("TXT", '"two"'),
        ("MX", "mx.test"),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("registrar", {}),
        ("registrar", {"domain": "example.test"}),
        ("registrar", {"domain": "example.test", "nameservers": ["not a name"]}),
        ("registrar", {"domain": "example.test", "nameservers": 7}),
        ("auto-delegate", {"seconds": -1}),
        ("auto-delegate", {"seconds": "soon"}),
        ("faults", {"service": "cloudflare", "kind": "refuse"}),
        ("faults", {"service": "cloudflare", "kind": "status", "status": "500"}),
        ("faults", {"service": "cloudflare", "kind": "status", "path": "("}),
        ("faults", {"service": "cloudflare", "kind": "status", "other": 1}),
        ("dns/servers", {"address": "127.0.0.9", "state": "up"}),
        ("dns/servers", {"address": NAMESERVERS[0], "state": "sideways"}),
        ("dns/resolvers", {"address": NAMESERVERS[0], "delay": 1}),
        ("dns/resolvers", {"address": RESOLVERS[0]}),
        ("dns/records", {"zone": "nowhere.test", "action": "add"}),
    ],
)
def test_nonsense_is_refused_with_a_sentence(browser, path, body):
    response = browser.post(f"/control/{path}", json=body)
    assert response.status_code in (400, 404)
    assert response.json()["error"]


def test_other_sites_may_not_use_it(browser):
    response = browser.post("/control/reset", headers={"origin": "http://example.test"})
    assert response.status_code == 403
    assert browser.post("/control/reset", headers={"origin": str(browser.base_url)}).is_success


def test_every_page_shows_the_state(cloudflare, sandbox, browser):
    make_zone(cloudflare)
    sandbox.change_record("example.test", "add", type="TXT", name="@", content="<b>text</b>")
    sandbox.fault("imap", "refuse")
    shown = {path: browser.get(path) for path in (*PAGES, "/zones/example.test")}
    assert {response.status_code for response in shown.values()} == {200}
    assert "example.test" in shown["/registrar"].text
    assert "&lt;b&gt;text&lt;/b&gt;" in shown["/zones/example.test"].text
    assert "refuse" in shown["/faults"].text
    for response in shown.values():
        assert re.search("<title>.+</title>", response.text)
    assert browser.get("/zones/nowhere.test").status_code == 404
    assert browser.get("/mail/999").status_code == 404
    assert "no such page" in browser.get("/nowhere").text


def test_forms_do_what_the_json_does(cloudflare, sandbox, browser):
    zone = cloudflare.zones.get(zone_id=make_zone(cloudflare))
    page = browser.post(
        "/control/registrar",
        data={"domain": "example.test", "account_id": zone.account.id, "next": "/registrar"},
    )
    assert (page.status_code, page.url.path) == (200, "/registrar")
    assert sandbox.delegations()["example.test"] == zone.name_servers

    record = {"zone": "example.test", "action": "add", "type": "MX", "name": "@"}
    browser.post("/control/dns/records", data={**record, "content": "mx.test", "priority": "10"})
    (row,) = sandbox.records("example.test")
    assert (row["content"], row["priority"], row["ttl"]) == ("mx.test", 10, 1)
    browser.post(
        "/control/dns/records", data={"zone": "example.test", "action": "delete", "id": row["id"]}
    )
    assert sandbox.records("example.test") == []

    fault = {"service": "cloudflare", "kind": "status", "status": "500", "times": "", "path": ""}
    browser.post("/control/faults", data={**fault, "next": "/faults"})
    (planned,) = sandbox.faults()
    assert (planned["status"], planned["times"], planned["path"]) == (500, None, None)
    browser.post("/control/faults", data={"_method": "delete", "id": str(planned["id"])})
    assert sandbox.faults() == []

    browser.post("/control/auto-delegate", data={"seconds": ""})
    assert sandbox.control("GET", "auto-delegate") == {"seconds": None}
    browser.post("/control/dns/servers", data={"address": RESOLVERS[0], "state": "servfail"})
    states = {row["address"]: row["state"] for row in sandbox.control("GET", "dns/servers")}
    assert states[RESOLVERS[0]] == "servfail"


@pytest.mark.parametrize("elsewhere", ["//example.test/", "https://example.test/", "/\\x.test"])
def test_form_leads_nowhere_else(sandbox, elsewhere):
    response = httpx.post(
        f"{sandbox.base_url}/control/auto-delegate", data={"seconds": "", "next": elsewhere}
    )
    assert (response.status_code, response.headers["location"]) == (303, "/")
