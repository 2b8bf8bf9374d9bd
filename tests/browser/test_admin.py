"""The operators' admin in Chromium: its pages work under their own policy, without a complaint."""

import re

from playwright.sync_api import expect

from tests.browser import walk
from tests.browser.conftest import Open
from tests.browser.pages import violations
from tests.browser.stack import Stack

WIDE = {"width": 1440, "height": 900}
LANDMARKS = ("landmark-one-main", "region")  # all that screen readers jump between


def test_every_list_opens_in_light_and_dark(opened: Open, stack: Stack) -> None:
    page = opened(viewport=WIDE)
    walk.sign_in(page, stack, "demo@example.test")
    page.goto("/admin/")
    expect(page.locator(".operator-figures strong").first).to_have_text(re.compile(r"[1-9]"))
    sidebar = page.locator("#nav-sidebar-apps a")
    paths = [link.get_attribute("href") or "" for link in sidebar.all()]
    assert len(paths) > 30
    for path in paths[1::6]:  # the same templates; tests/admin opens them all
        page.goto(path)
        expect(page.locator("#changelist")).to_be_visible()
        assert violations(page, *LANDMARKS) == [], path
    page.emulate_media(color_scheme="dark")
    for path in paths[:3]:
        page.goto(path)
        expect(page.locator("html")).to_have_class(re.compile(r"\bdark\b"))


def test_a_tenant_is_suspended_after_a_second_question(opened: Open, stack: Stack) -> None:
    theirs = opened()
    walk.sign_in(theirs, stack, "eve@stopped.test")
    page = opened(viewport=WIDE)
    walk.sign_in(page, stack, "demo@example.test")

    def choose(action: str) -> None:
        page.goto("/admin/tenants/tenant/?q=stopped.test")
        page.get_by_label("Select record").check()
        page.locator("select[name=action]").select_option(label=action)
        page.get_by_role("button", name="Run").click()

    choose("Suspend")
    expect(page.get_by_text("Its people are refused at once")).to_be_visible()
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("Suspend: done for 1.")).to_be_visible()
    theirs.goto("/overview/")
    expect(theirs.get_by_text("Your account is suspended")).to_be_visible()

    choose("Activate")
    expect(page.get_by_text("Activate: done for 1.")).to_be_visible()
    theirs.goto("/overview/")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Overview")
