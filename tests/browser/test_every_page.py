"""Every page: nothing that axe finds wrong, nothing wider than the window, titles and headings."""

import itertools
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, StorageState, ViewportSize, expect

from tests.browser.conftest import Open
from tests.browser.pages import PUBLIC, pages_of, violations

WINDOWS: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 360, "height": 740},
}
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].map(e => Number(e.tagName[1]))"


def every_page(opened: Open, session: StorageState, **options: Any) -> Iterator[tuple[str, Page]]:
    """Each page, open: the public ones as a visitor sees them, the others as Ada does."""
    visitor, ada = opened(**options), opened(storage_state=session, **options)
    for name, path in {**PUBLIC, **pages_of(ada, "shop.test")}.items():
        page = visitor if name in PUBLIC else ada
        page.emulate_media(color_scheme="light")
        page.goto(path)
        yield name, page


def test_axe_finds_nothing(opened: Open, ada_session: StorageState) -> None:
    wrong: dict[tuple[str, str, str], list[Any]] = {}
    for name, page in every_page(opened, ada_session):
        for window, size in WINDOWS.items():
            page.set_viewport_size(size)
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                expect(page.locator("html")).to_have_attribute("data-theme", theme)
                if found := violations(page):
                    wrong[name, window, theme] = found
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong[name, window, "width"] = ["scrolls sideways"]
    assert wrong == {}


def test_titles_are_unique_and_headings_in_order(opened: Open, ada_session: StorageState) -> None:
    titles: dict[str, str] = {}
    # The same page in another state.
    again = {"setup-dns-again", "setup-more-inboxes", "no-domains", "not-found-inside"}
    for name, page in every_page(opened, ada_session):
        levels = page.evaluate(HEADINGS)
        assert levels[0] == 1, name
        assert levels.count(1) == 1, name
        steps = itertools.pairwise(levels)
        assert all(lower - upper <= 1 for upper, lower in steps), (name, levels)
        if name not in again:
            assert page.title() not in titles, (name, titles.get(page.title()))
            titles[page.title()] = name
