"""Mailboxes in the browser: made, imported, changed many at once, given further addresses."""

import re

from playwright.sync_api import StorageState, expect

from tests.browser.conftest import Open
from tests.browser.stack import Stack
from tests.browser.test_access import check

ADA = "ada@people.test"


def test_mailboxes_are_made_and_changed(
    opened: Open, ada_session: StorageState, stack: Stack
) -> None:
    page = opened(storage_state=ada_session)
    page.goto("/mailboxes/new/")
    page.get_by_label("Before the @").fill("zoe")
    page.get_by_role("button", name="Create the mailbox").click()
    expect(page.get_by_text("Shown only once")).to_be_visible()
    check(page)

    page.goto("/mailboxes/import/")
    page.get_by_label("Or paste it").fill("email,first_name\nyan@shop.test,Yan\nzoe@shop.test,\n")
    page.get_by_role("button", name="Check the rows").click()
    expect(page.get_by_role("heading", name="1 mailbox would be made")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Create 1 mailbox").click()
    expect(page.get_by_role("heading", name="1 mailbox made")).to_be_visible()
    check(page)

    page.goto("/mailboxes/?q=zoe")
    expect(page.locator("#mailbox-rows")).to_contain_text("Active")
    page.get_by_label("Select zoe@shop.test").check()
    check(page)
    page.get_by_role("button", name="Reset passwords").click()
    expect(page.get_by_role("heading", name="New passwords for 1 mailbox?")).to_be_visible()
    check(page)
    known = stack.mail_count(ADA)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code from the e-mail").fill(stack.code_for(ADA, known=known))
    page.get_by_role("button", name="Reset passwords").click()
    expect(page.get_by_role("heading", name="New passwords", exact=True)).to_be_visible()
    check(page)

    page.get_by_role("link", name=re.compile("zoe@")).click()
    page.get_by_role("textbox", name="Alias").fill("sales")
    page.get_by_role("button", name="Add alias").click()
    expect(page.get_by_text("Mail for sales@shop.test arrives in zoe@shop.test")).to_be_visible()
    check(page)
    page.get_by_role("link", name="All of shop.test").click()
    page.get_by_role("textbox", name="Alias").fill("*")
    page.get_by_label("Arrives in").fill("zoe")
    page.get_by_role("button", name="Add alias").click()
    expect(page.get_by_text("Mail for all other addresses arrives in")).to_be_visible()
    check(page)
    page.get_by_role("link", name="Remove sales@shop.test from zoe@shop.test").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Take sales@shop.test away from zoe@shop.test?")
    dialog.get_by_role("button", name="Remove").click()
    expect(
        page.get_by_text("Mail for sales@shop.test no longer arrives in zoe@shop.test")
    ).to_be_visible()
