"""A session that ended while somebody typed: the page and what was typed come back."""

import re

from playwright.sync_api import expect

from tests.browser import walk
from tests.browser.conftest import Open
from tests.browser.stack import Stack

GRACE = "grace@people.test"


def test_what_was_typed_comes_back_after_signing_in_again(opened: Open, stack: Stack) -> None:
    page = opened()
    walk.sign_in(page, stack, GRACE)
    page.goto("/settings/profile/")
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_label("Lightning").check(force=True)
    page.context.clear_cookies(name="mpanel_session")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/sign-in/**")
    expect(page.get_by_text("You were signed out")).to_be_visible()
    known = stack.mail_count(GRACE)
    page.get_by_label("E-mail address").fill(GRACE)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code").fill(stack.code_for(GRACE, known=known))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/settings/profile/")
    expect(page.get_by_text(re.compile("your last action was not carried out"))).to_be_visible()
    expect(page.get_by_label("Your name")).to_have_value("Grace Hopper")
    expect(page.get_by_label("Lightning")).to_be_checked()
    page.reload()
    expect(page.get_by_label("Your name")).to_have_value("")
