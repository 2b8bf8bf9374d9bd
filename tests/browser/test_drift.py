"""What somebody changes behind mPanel's back is on the pages within one interval."""

import re

from playwright.sync_api import Locator, Page, StorageState, expect

from tests.browser.conftest import Open
from tests.browser.stack import Stack

WEST = "127.0.0.14"


def records_page(page: Page) -> None:
    page.goto("/domains/")
    page.get_by_role("link", name="shop.test", exact=True).click()
    page.get_by_role("link", name="Details of the records").click()
    page.wait_for_url("**/records/")


def row(page: Page, kind: str, name: str) -> Locator:
    label = re.compile(rf"^{kind}\s+{re.escape(name)}$")
    return page.locator(".matrix tbody tr").filter(has=page.get_by_role("rowheader", name=label))


def zone_record(stack: Stack, kind: str, part: str) -> dict[str, object]:
    records = stack.control("GET", "dns/records?zone=shop.test")
    return next(r for r in records if r["type"] == kind and part in f"{r['name']} {r['content']}")


def change(stack: Stack, action: str, **fields: object) -> None:
    stack.control("POST", "dns/records", {"zone": "shop.test", "action": action, **fields})


def test_drift_is_shown(opened: Open, stack: Stack, ada_session: StorageState) -> None:
    page = opened(storage_state=ada_session, viewport={"width": 1280, "height": 900})
    records_page(page)
    address = page.url
    dkim = zone_record(stack, "TXT", "_domainkey")
    mx = zone_record(stack, "MX", "")
    lines = {
        "dkim": row(page, "TXT", str(dkim["name"])),
        "spf": row(page, "TXT", "shop.test"),
        "mx": row(page, "MX", "shop.test"),
        "dmarc": row(page, "TXT", "_dmarc.shop.test"),
    }
    for line in lines.values():
        expect(line.get_by_text("Matches")).to_have_count(5)

    foreign = "v=spf1 include:elsewhere.test -all"
    change(stack, "delete", type="TXT", name=dkim["name"])
    change(stack, "add", type="TXT", name="shop.test", content=foreign, ttl=60)
    change(stack, "delete", type="MX", name="shop.test")
    change(stack, "add", type="MX", name="shop.test", content="mx.other.test", priority=5, ttl=60)
    expect(lines["dkim"].get_by_text("Missing")).to_have_count(5)
    expect(lines["dkim"].get_by_text("not published")).to_have_count(4)
    expect(lines["spf"].get_by_text("Conflict")).to_have_count(5)
    expect(lines["spf"].get_by_text(foreign).first).to_be_visible()
    expect(lines["mx"].get_by_text("Conflict")).to_have_count(5)
    expect(lines["mx"].get_by_text("mx.other.test").first).to_be_visible()
    expect(lines["dmarc"].get_by_text("Matches")).to_have_count(5)

    stack.control("POST", "dns/servers", {"address": WEST, "state": "down"})
    try:
        for line in lines.values():
            expect(line.get_by_text("Unknown")).to_have_count(1)
        expect(lines["dmarc"].get_by_text("Matches")).to_have_count(4)
        assert "Missing" not in lines["dmarc"].inner_text()

        page.goto(address.replace("records/", ""))
        card = page.locator(".card", has=page.get_by_role("heading", name="Mail records"))
        verdicts = card.locator("dd .badge")
        expect(verdicts).to_have_text(["Conflict", "Missing", "Matches", "Conflict", "Matches"])
        expect(card.get_by_text(foreign)).to_be_visible()
        expect(card.get_by_text("mx.other.test")).to_be_visible()
    finally:
        stack.control("POST", "dns/servers", {"address": WEST, "state": "up"})
        change(stack, "delete", type="TXT", name="shop.test", content=foreign)
        change(stack, "delete", type="MX", name="shop.test")
        for found in (dkim, mx):
            kept = {
                key: found[key]
                for key in ("type", "name", "content", "ttl", "priority")
                if found.get(key) is not None
            }
            change(stack, "add", **kept)
    page.goto(address)
    for line in lines.values():
        expect(line.get_by_text("Matches")).to_have_count(5)
