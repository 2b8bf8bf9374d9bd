"""DNSSEC by hand: turned on, given to the registrar, and not simply turned off."""

import re

from playwright.sync_api import StorageState, expect

from tests.browser.conftest import Open
from tests.browser.pages import violations
from tests.browser.stack import Stack
from tests.browser.test_every_page import WINDOWS


def test_dnssec_is_turned_on_and_asks_twice_before_it_is_turned_off(
    opened: Open, ada_session: StorageState, stack: Stack
) -> None:
    page = opened(storage_state=ada_session)
    page.goto("/domains/")
    page.locator("a.row-link", has_text="shop.test").click()
    page.get_by_label("More for shop.test").click()
    page.get_by_role("link", name="DNSSEC").click()
    page.get_by_role("button", name="Turn on DNSSEC").click()
    expect(page.get_by_text("Signed", exact=True)).to_be_visible()
    record = page.locator(".copy code").first.inner_text()
    assert re.fullmatch(r"shop\.test\. IN DS \d+ 13 2 [0-9A-F]{64}", record)

    ds = record.partition(" DS ")[2]
    stack.control("POST", "registrar/ds", {"domain": "shop.test", "records": [ds]})
    page.get_by_role("button", name="Check the parent zone now").click()
    expect(page.get_by_text("Seen there")).to_be_visible()
    phone = opened(storage_state=ada_session, viewport=WINDOWS["phone"])
    for window in (page, phone):
        window.goto(page.url)
        assert violations(window) == []
        assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.get_by_role("link", name="Turn off DNSSEC").click()
    page.get_by_role("button", name="Turn off").click()
    box = page.get_by_label("Type shop.test to confirm")
    expect(box).to_be_visible()
    expect(page.get_by_text("still has DS records")).to_be_visible()
    box.fill("shop.test")
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("Resolvers that validate refuse this domain")).to_be_visible()
    stack.control("POST", "registrar/ds", {"domain": "shop.test", "records": []})
