"""A real Chromium before a real mPanel.

The browser lives as long as this package's tests: while Playwright runs, its event loop keeps
Django's database away from the thread, and tests after these need it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from tests.browser import walk
from tests.browser.stack import Stack, running_stack

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
Open = Callable[..., Page]
expect.set_options(timeout=walk.PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        running.calm_internet()
        yield running


@pytest.fixture(scope="package")
def chromium(stack: Stack) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser, stack: Stack) -> Iterator[Open]:
    """Opens a browser window; at the end, nothing may have been complained about in any."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_window(**options: Any) -> Page:
        options = {"reduced_motion": "reduce", "base_url": stack.url, **options}
        context = chromium.new_context(**options)
        context.set_default_timeout(walk.PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{page.url}: {message.text}")
                if message.type in {"error", "warning"}
                and "the server responded with a status of 4" not in message.text
                else None
            ),
        )
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="package")
def ada_session(chromium: Browser, stack: Stack) -> StorageState:
    """The cookies of Ada, who has set up shop.test, with three inboxes at an outreach tool."""
    context = chromium.new_context(base_url=stack.url)
    context.set_default_timeout(walk.PATIENCE)
    page = context.new_page()
    walk.sign_in(page, stack, "ada@people.test")
    walk.whole_setup(page, "shop.test", inboxes=3)
    walk.hand_over(page)
    state = context.storage_state()
    context.close()
    return state
