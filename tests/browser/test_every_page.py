"""Every page: nothing that axe finds wrong, nothing wider than the window, titles and headings."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, StorageState

from tests.browser.conftest import Open
from tests.browser.pages import pages_of

WINDOWS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].map(e => Number(e.tagName[1]))"


def violations(page: Page) -> list[Any]:
    found = Axe().run(page).response["violations"]
    return [(item["id"], [node["html"][:160] for node in item["nodes"]]) for item in found]


@pytest.mark.parametrize("window", WINDOWS)
def test_axe_finds_nothing(opened: Open, ada_session: StorageState, window: str) -> None:
    page = opened(storage_state=ada_session, viewport=WINDOWS[window])
    wrong = {}
    for name, path in pages_of(page, "shop.test").items():
        page.emulate_media(color_scheme="light")
        page.goto(path)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            assert page.evaluate("document.documentElement.dataset.theme") == theme
            if found := violations(page):
                wrong[name, theme] = found
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong[name, "width"] = ["scrolls sideways"]
    assert wrong == {}


def test_titles_are_unique_and_headings_in_order(opened: Open, ada_session: StorageState) -> None:
    page = opened(storage_state=ada_session)
    titles: dict[str, str] = {}
    again = {
        "setup-dns-again",
        "setup-more-inboxes",
        "no-domains",
    }  # the same page in another state
    for name, path in pages_of(page, "shop.test").items():
        page.goto(path)
        levels = page.evaluate(HEADINGS)
        assert levels[0] == 1, name
        assert levels.count(1) == 1, name
        steps = zip(levels, levels[1:], strict=False)
        assert all(lower - upper <= 1 for upper, lower in steps), (name, levels)
        if name not in again:
            assert page.title() not in titles, (name, titles.get(page.title()))
            titles[page.title()] = name
