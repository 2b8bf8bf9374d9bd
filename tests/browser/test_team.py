"""Teammates in the browser: invited, joining, changed and removed; by keyboard, without JavaScript.

The pages of errors that nobody meets on such a way are looked at here, too.
"""

import re

from playwright.sync_api import Page, expect

from tests.browser import walk
from tests.browser.conftest import Open
from tests.browser.stack import Stack
from tests.browser.test_access import check
from tests.browser.test_wizard import press, tab_to


def link_to(stack: Stack, email: str, *, known: int = 0) -> str:
    """The path of the newest invitation that was sent to an address after `known` mails."""
    return stack.text_for(email, r"https?://[^/\s]+(/join/\S+)", known=known)


def answer_code(page: Page, stack: Stack, email: str, *, known: int) -> None:
    page.wait_for_url("**/code/")
    page.get_by_label("Code").fill(stack.code_for(email, known=known))
    page.get_by_role("button", name="Sign in").click()


def test_a_teammate_is_invited_and_joins_by_keyboard(opened: Open, stack: Stack) -> None:
    owner, new = "owner-keys@people.test", "new-keys@people.test"
    page = opened()
    walk.sign_in(page, stack, owner)
    page.goto("/settings/team/")
    check(page)
    press(page, "Invite a teammate")
    page.wait_for_url("**/invite/")
    check(page)
    tab_to(page, "E-mail address")
    page.keyboard.type(new + "\n")
    page.wait_for_url("**/team/")
    expect(page.get_by_role("heading", name="Open invitations")).to_be_visible()
    check(page)

    # Signed in as somebody else: said, and left with one press.
    other = opened()
    walk.sign_in(other, stack, "other-keys@people.test")
    other.goto(link_to(stack, new))
    expect(other.get_by_text("other-keys@people.test")).to_be_visible()
    check(other)
    known = stack.mail_count(new)
    press(other, "Sign out and continue")
    expect(other.get_by_role("button", name="Send me a code and join")).to_be_visible()
    check(other)
    press(other, "Send me a code and join")
    answer_code(other, stack, new, known=known)
    other.wait_for_url("**/overview/")
    # Now a member, who sees the team and may leave it.
    other.goto("/settings/team/")
    expect(other.get_by_role("link", name="Leave")).to_be_visible()
    check(other)
    other.goto("/settings/team/invite/")
    expect(other.get_by_text("Only admins invite people")).to_be_visible()
    check(other)

    page.goto("/settings/team/")
    press(page, f"Change {re.escape(new)}")
    expect(page.get_by_role("heading", name=new)).to_be_visible()
    check(page)
    press(page, "Remove")
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_team_works_without_javascript(opened: Open, stack: Stack) -> None:
    owner, new = "owner-noscript@people.test", "new-noscript@people.test"
    page, theirs = opened(java_script_enabled=False), opened(java_script_enabled=False)
    walk.sign_in(page, stack, owner)
    page.goto("/settings/team/")
    page.get_by_role("link", name="Invite a teammate").click()
    page.get_by_label("E-mail address").fill(new)
    page.get_by_role("button", name="Send the invitation").click()
    first = link_to(stack, new)
    # Revoked after a second question: the link says so.
    page.get_by_role("link", name="Revoke the invitation").click()
    page.get_by_role("button", name="Revoke").click()
    theirs.goto(first)
    expect(theirs.get_by_role("heading", name="This invitation does not work")).to_be_visible()

    known = stack.mail_count(new)
    page.get_by_role("link", name="Invite a teammate").click()
    page.get_by_label("E-mail address").fill(new)
    page.get_by_label("Admin: changes").check()
    page.get_by_role("button", name="Send the invitation").click()
    theirs.goto(link_to(stack, new, known=known))
    known = stack.mail_count(new)
    theirs.get_by_role("button", name="Send me a code and join").click()
    answer_code(theirs, stack, new, known=known)
    theirs.wait_for_url("**/overview/")
    page.goto("/settings/team/")
    page.get_by_role("link", name=f"Change {new}").click()
    page.get_by_label("Member: sees").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name=f"Change {new}").click()
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("link", name=f"Change {new}")).to_have_count(0)
    theirs.goto("/settings/team/")
    theirs.wait_for_url("**/sign-in/**")
