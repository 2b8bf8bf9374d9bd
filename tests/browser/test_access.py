"""Accounts and access in the browser: second factor by keyboard, keys made and revoked."""

import re
import time
from pathlib import Path
from typing import Literal

import pyotp
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser import walk
from tests.browser.conftest import Open
from tests.browser.pages import violations
from tests.browser.stack import Stack
from tests.browser.test_wizard import press, tab_to

PASSWORD = "a long and good one"
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
SCENES: tuple[tuple[ViewportSize, Literal["light", "dark"]], ...] = (
    (DESK, "light"),
    (PHONE, "dark"),
)


def check(page: Page) -> None:
    """Nothing that axe finds wrong, on a desk in the light nor on a phone in the dark."""
    before = page.viewport_size
    for size, theme in SCENES:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=theme)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert violations(page) == [], (page.url, theme)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), page.url
    if before:
        page.set_viewport_size(before)


def enrol(page: Page) -> tuple[pyotp.TOTP, list[str]]:
    """Turn the second factor on, by keyboard: the authenticator and the recovery codes."""
    page.goto("/settings/security/")
    press(page, "Turn it on")
    page.wait_for_url("**/second-factor/")
    totp = pyotp.TOTP(page.locator(".copy code").first.inner_text())
    tab_to(page, "Code")
    page.keyboard.type(totp.now() + "\n")
    expect(page.get_by_role("heading", name="The second factor is on")).to_be_visible()
    check(page)
    with page.expect_download() as found:
        press(page, "Download")
    codes = Path(found.value.path()).read_text().split()
    assert codes == page.locator(".code-list code").all_inner_texts()
    assert len(codes) == 10
    return totp, codes


def next_code(totp: pyotp.TOTP, used: str) -> str:
    """A code that was not used yet; the window takes the step that comes, too."""
    code = totp.now()
    return code if code != used else totp.at(int(time.time()) + 30)


def test_two_factors_by_keyboard_on_a_phone(opened: Open, stack: Stack) -> None:
    email = "ada-twice@people.test"
    page = opened(viewport=PHONE, has_touch=True, is_mobile=True)
    walk.sign_in(page, stack, email)
    page.goto("/settings/security/")
    press(page, "Set a password")
    page.wait_for_url("**/password/")
    known = stack.mail_count(email)
    press(page, "Send me a code")
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(stack.code_for(email, known=known))
    tab_to(page, "New password")
    page.keyboard.type(PASSWORD + "\n")
    page.wait_for_url("**/security/")
    totp, codes = enrol(page)

    # Elsewhere: password, then the authenticator. The address has the focus, the code too.
    other = opened(viewport=PHONE)
    other.goto("/sign-in/")
    press(other, "Use a password instead")
    other.wait_for_url("**/password/")
    other.keyboard.type(email)
    tab_to(other, "Password")
    other.keyboard.type(PASSWORD + "\n")
    other.wait_for_url("**/second-factor/")
    check(other)
    other.keyboard.type("000000\n")
    expect(other.get_by_text("wrong or was used already")).to_be_visible()
    expect(other.get_by_label("Code")).to_be_focused()
    other.keyboard.press("ControlOrMeta+a")
    other.keyboard.type(next_code(totp, totp.now()) + "\n")
    other.wait_for_url("**/overview/")

    # By e-mail, with a recovery code.
    third = opened()
    known = stack.mail_count(email)
    third.goto("/sign-in/")
    third.keyboard.type(f"{email}\n")
    third.wait_for_url("**/code/")
    third.keyboard.type(stack.code_for(email, known=known) + "\n")
    third.wait_for_url("**/second-factor/")
    third.keyboard.type(codes[3] + "\n")
    third.wait_for_url("**/overview/")
    third.goto("/settings/security/")
    expect(third.get_by_text("9 recovery codes left")).to_be_visible()

    # All others end, after the second question in a dialog.
    press(third, "End all others")
    dialog = third.get_by_role("dialog", name="End all other sessions?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="End them").click()
    expect(third.get_by_text("Ended 2 other sessions.")).to_be_visible()
    other.goto("/overview/")
    other.wait_for_url("**/sign-in/**")


def test_a_key_is_made_and_revoked(opened: Open, stack: Stack) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    walk.sign_in(page, stack, "bo-keys@people.test")
    page.goto("/settings/keys/")
    expect(page.get_by_role("heading", name="No API keys yet")).to_be_visible()
    page.get_by_role("link", name="New API key").click()
    page.get_by_label("Name").fill("Nightly export")
    expect(page.get_by_label("Last day")).to_be_hidden()
    page.get_by_label("On a date of your choice").check()
    expect(page.get_by_label("Last day")).to_be_visible()
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("Choose at least one.")).to_be_visible()
    expect(page.get_by_text("Choose a day.")).to_be_visible()
    check(page)
    page.get_by_label("See domains").check()
    page.get_by_label("In 30 days").check()
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Copy the key").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    key = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"mpk_\w{10}_\w{40}", key)
    domains = page.request.get("/api/v1/domains", headers={"Authorization": f"Bearer {key}"})
    assert domains.ok
    page.get_by_role("link", name="I have kept it").click()
    expect(page.locator("body")).not_to_contain_text(key)
    check(page)
    page.get_by_role("link", name="Revoke Nightly export").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("heading", name="No API keys yet")).to_be_visible()
    refused = page.request.get("/api/v1/domains", headers={"Authorization": f"Bearer {key}"})
    assert refused.status == 401


def test_a_link_signs_another_device_in(opened: Open, stack: Stack) -> None:
    page = opened()
    walk.sign_in(page, stack, "cy-link@people.test")
    page.goto("/settings/security/")
    page.get_by_role("button", name="Make a one-time link").click()
    expect(page.get_by_role("img", name="QR code of the address below")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Expires in (8\d|90) seconds"))).to_be_visible()
    check(page)
    link = page.locator(".copy code").first.inner_text()
    other = opened()
    sent: list[tuple[str, str]] = []
    other.on("request", lambda asked: sent.append((asked.url, asked.headers.get("referer", ""))))
    other.goto(link)
    check(other)
    other.get_by_role("button", name="Sign in").click()
    other.wait_for_url("**/overview/")
    # No request named the address, and its token, as where it came from.
    assert len(sent) > 5
    assert not any("/login/session/" in referer for _, referer in sent)
    other.goto(link)
    expect(other.get_by_role("heading", name="This link no longer works")).to_be_visible()
    check(other)


def test_all_of_it_without_javascript(opened: Open, stack: Stack) -> None:
    email = "ada-noscript@people.test"
    page = opened(java_script_enabled=False)
    walk.sign_in(page, stack, email)
    page.goto("/settings/security/")
    page.get_by_role("link", name="Turn it on").click()
    totp = pyotp.TOTP(page.locator(".copy code").first.inner_text())
    page.get_by_label("Code", exact=True).fill(totp.now())
    page.get_by_role("button", name="Turn on the second factor").click()
    expect(page.locator(".code-list li")).to_have_count(10)
    with page.expect_download() as found:
        page.get_by_role("link", name="Download").click()
    codes = Path(found.value.path()).read_text().split()
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("link", name="New recovery codes").click()
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Make new codes").click()
    expect(page.locator(".code-list li")).to_have_count(10)
    codes = page.locator(".code-list code").all_inner_texts()

    other = opened(java_script_enabled=False)
    known = stack.mail_count(email)
    other.goto("/sign-in/forgot/")
    other.get_by_label("E-mail address").fill(email)
    other.get_by_role("button", name="Send me a code").click()
    other.get_by_label("Code").fill(stack.code_for(email, known=known))
    other.get_by_label("New password").fill(PASSWORD)
    other.get_by_role("button", name="Set the password").click()
    other.get_by_role("link", name="Sign in").click()
    other.get_by_label("E-mail address").fill(email)
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    other.get_by_label("Code").fill(codes[0])
    other.get_by_role("button", name="Sign in").click()
    other.wait_for_url("**/overview/")
    # The reset ended what was open before.
    page.goto("/settings/security/")
    page.wait_for_url("**/sign-in/**")

    other.goto("/settings/keys/new/")
    other.get_by_label("Name").fill("Plain")
    other.get_by_label("See jobs").check()
    other.get_by_role("button", name="Make the key").click()
    other.get_by_role("link", name="I have kept it").click()
    other.get_by_role("link", name="Revoke Plain").click()
    other.get_by_role("button", name="Revoke").click()
    expect(other.get_by_role("heading", name="No API keys yet")).to_be_visible()
    other.goto("/settings/profile/")
    other.get_by_label("Lightning").check(force=True)
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("Saved.")).to_be_visible()
