"""Dialogs, menus, the theme, copying, forms with errors; and polling that disturbs nobody."""

from playwright.sync_api import StorageState, expect

from tests.browser.conftest import Open
from tests.browser.stack import Stack


def test_a_dialog_asks_and_gives_the_focus_back(opened: Open, ada_session: StorageState) -> None:
    page = opened(storage_state=ada_session)
    page.goto("/credentials/add/outreach/smartlead/")
    page.get_by_label("Name").fill("Our Smartlead")
    page.get_by_label("API key").fill("sandbox-shop")
    page.get_by_role("button", name="Save and test").click()
    page.goto("/credentials/")
    link = page.get_by_role("link", name="Remove Our Smartlead")
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Remove “Our Smartlead”?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    link.click()
    dialog.get_by_text("Cancel").click()
    expect(dialog).to_be_hidden()
    assert page.url.endswith("/credentials/")


def test_the_tab_of_the_present_page_is_in_sight_on_a_phone(
    opened: Open, ada_session: StorageState
) -> None:
    page = opened(storage_state=ada_session, viewport={"width": 360, "height": 740})
    for tab in ("profile", "webhooks", "webhooks/add", "notifications", "audit"):
        page.goto(f"/settings/{tab}/")
        box = page.locator(".tabs [aria-current]").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 360, tab


def test_the_theme_is_kept(opened: Open) -> None:
    page = opened(color_scheme="light")
    page.goto("/")
    toggle = page.get_by_role("button", name="Dark theme")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    toggle.click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(toggle).to_have_attribute("aria-pressed", "true")


def test_an_open_menu_survives_polling(opened: Open, ada_session: StorageState) -> None:
    page = opened(storage_state=ada_session)
    page.goto("/domains/")
    page.get_by_role("link", name="shop.test", exact=True).click()
    menu = page.get_by_label("More for shop.test")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="DNS changes")).to_be_visible()
    with page.expect_response(lambda answer: "hx-request" in answer.request.headers):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Zone", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="DNS changes")).to_be_hidden()
    expect(menu).to_be_focused()


def test_polling_keeps_the_focus(opened: Open, stack: Stack, ada_session: StorageState) -> None:
    page = opened(storage_state=ada_session)
    page.goto("/domains/")
    page.get_by_role("link", name="shop.test", exact=True).click()
    page.get_by_role("link", name="Details of the records").click()
    button = page.get_by_role("button", name="Watch closely")
    button.focus()
    with page.expect_response(lambda answer: "hx-request" in answer.request.headers):
        pass
    expect(page.locator(".htmx-request, .htmx-settling")).to_have_count(0)
    expect(button).to_be_focused()


def test_copying_says_so(opened: Open, ada_session: StorageState) -> None:
    page = opened(storage_state=ada_session, permissions=["clipboard-read", "clipboard-write"])
    page.goto("/domains/")
    page.get_by_role("link", name="Open the setup").click()
    page.get_by_role("link", name="Nameservers").click()
    button = page.get_by_role("button", name="Copy nameserver").first
    button.click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    value = page.locator(".copy code").first.inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == value


def test_errors_get_the_focus(opened: Open, stack: Stack, ada_session: StorageState) -> None:
    page = opened()
    page.goto("/sign-in/")
    page.get_by_label("E-mail address").fill("cy-errs@people.test")
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    field = page.get_by_label("Code")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    described = field.get_attribute("aria-describedby") or ""
    reasons = [page.locator(f"#{name}").inner_text() for name in described.split()]
    assert any(reason.strip() for reason in reasons)

    setup = opened(storage_state=ada_session)
    setup.goto("/setup/")
    setup.get_by_label("Domain", exact=True).fill("not a domain")
    setup.get_by_role("button", name="Connect the domain").click()
    expect(setup.get_by_label("Domain", exact=True)).to_be_focused()
    expect(setup.get_by_label("Domain", exact=True)).to_have_attribute("aria-invalid", "true")


def test_rows_are_deleted_after_a_second_question(opened: Open, ada_session: StorageState) -> None:
    page = opened(storage_state=ada_session)
    page.goto("/mailboxes/")
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    page.get_by_label("Select all on this page").check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 3 mailboxes?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url("**/mailboxes/")
    expect(page.get_by_label("Select all on this page")).not_to_be_checked()
