"""The whole main job in the browser, from the front page to inboxes that log in."""

import random
import re
import smtplib
import ssl

import pytest
from playwright.sync_api import Page, expect

from tests.browser import walk
from tests.browser.conftest import Open
from tests.browser.stack import Stack

PHONE = {"width": 360, "height": 740}


def test_it_says_where_it_is_on_one_line(stack: Stack) -> None:
    assert stack.line.startswith(f"mPanel runs at http://localhost:{stack.port} ")


def log_in(row: dict[str, str]) -> None:
    """Over STARTTLS with a line of the CSV; raises when refused."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(row["smtp_host"], int(row["smtp_port"]), timeout=60) as smtp:
        smtp.starttls(context=context)
        smtp.login(row["username"], row["password"])


def test_from_the_front_page_to_fifty_inboxes(opened: Open, stack: Stack) -> None:
    page = opened(viewport={"width": 1280, "height": 900})
    page.goto("/")
    page.get_by_role("link", name="Set up a domain").click()
    page.get_by_label("E-mail address").fill("bo@people.test")
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code").fill(stack.code_for("bo@people.test"))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Set up a domain").first.click()
    page.get_by_label("Domain", exact=True).fill("https://Fifty.Test/start")
    page.get_by_role("button", name="Connect the domain").click()
    expect(page.get_by_role("link", name="Next: DNS records")).to_be_visible()
    expect(page.get_by_label("Steps").get_by_role("link", name="DNS records")).to_be_visible()
    expect(page.get_by_label("Steps").get_by_role("listitem")).to_have_count(6)
    walk.follow(page, "Next: DNS records")
    walk.publish(page)
    page.get_by_label("How many inboxes").fill("50")
    expect(page.get_by_text("50 addresses")).to_be_visible()
    walk.provision(page, 50)
    expect(page.get_by_text("50 of 50 verified by logging in.")).to_be_visible()

    rows = walk.download(page)
    assert len({row["email"] for row in rows}) == 50
    assert all(row["email"].endswith("@fifty.test") for row in rows)
    row = random.choice(rows)  # noqa: S311
    log_in(row)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        log_in({**row, "password": "wrong"})

    page.get_by_role("button", name="Show them here").click()
    expect(page.get_by_text(row["password"])).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Inboxes", exact=True)).to_be_visible()


def tab_to(page: Page, label: str) -> None:
    """Press Tab until the focus is on what bears the label."""
    wanted = re.compile(label)
    for _ in range(90):
        page.keyboard.press("Tab")
        text = page.evaluate(
            "(e => (e.getAttribute('aria-label') ?? '') + (e.labels?.[0]?.innerText ?? '')"
            " + e.innerText)(document.activeElement)"
        )
        if wanted.match(text.strip()):
            return
    raise AssertionError(f"Tab never reaches {label}")


def press(page: Page, label: str) -> None:
    tab_to(page, label)
    page.keyboard.press("Enter")


def test_by_keyboard_on_a_phone_in_the_dark(opened: Open, stack: Stack) -> None:
    page = opened(viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    page.goto("/sign-in/")
    page.keyboard.type("cy@people.test\n")
    page.wait_for_url("**/code/")
    page.keyboard.type(stack.code_for("cy@people.test") + "\n")
    page.wait_for_url("**/overview/")
    press(page, "Set up a domain")
    page.wait_for_url("**/setup/")
    page.keyboard.type("keys.test\n")
    page.wait_for_url("**/nameservers/")
    for wait, label in (
        ("Next: DNS records", "Next: DNS records"),
        ("Show the plan", "Show the plan"),
        ("Apply", "Apply"),
        ("Next: propagation", "Next: propagation"),
        ("Next: inboxes", "Next: inboxes"),
    ):
        expect(page.locator(".btn", has_text=wait).last).to_be_visible()
        press(page, label)
    page.wait_for_url("**/inboxes/")
    tab_to(page, "How many inboxes")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("2")
    expect(page.get_by_text("2 addresses")).to_be_visible()
    press(page, "Create the inboxes")
    expect(page.get_by_role("button", name="Download CSV")).to_be_visible()
    with page.expect_download() as found:
        press(page, "Download CSV")
    assert len(walk.rows_of(found.value.path())) == 2


def test_without_javascript(opened: Open, stack: Stack) -> None:
    page = opened(java_script_enabled=False)
    walk.sign_in(page, stack, "ada-plain@people.test")
    walk.connect(page, "plain.test")
    walk.publish(page)
    page.get_by_label("How many inboxes").fill("2")
    page.get_by_role("button", name="Preview the addresses").click()
    expect(page.get_by_text("2 addresses")).to_be_visible()
    page.get_by_role("button", name="Create the inboxes").click()
    expect(page.get_by_role("button", name="Download CSV")).to_be_visible()
    assert len(walk.download(page)) == 2


def test_two_clicks_make_one_batch(opened: Open, stack: Stack) -> None:
    page = opened()
    walk.sign_in(page, stack, "bo-twice@people.test")
    walk.connect(page, "twice.test")
    walk.publish(page)
    page.get_by_label("How many inboxes").fill("2")
    page.get_by_role("button", name="Create the inboxes").dblclick()
    expect(page.get_by_role("button", name="Download CSV")).to_be_visible()
    page.goto("/mailboxes/")
    expect(page.get_by_text("1–2 of 2 mailboxes")).to_be_visible()
