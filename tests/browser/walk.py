"""Steps that people take through the pages, with the mouse or by touch."""

import csv
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.stack import Stack

PATIENCE = 240_000  # ms until something must be there; it only ends a test that hangs


def sign_in(page: Page, stack: Stack, email: str) -> None:
    """Sign in, or sign up with a new address, by the code that comes by e-mail."""
    known = stack.mail_count(email)
    page.goto("/sign-in/")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code").fill(stack.code_for(email, known=known))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/(overview|setup)/$"))


def connect(page: Page, domain: str) -> None:
    """Step 1 and 2: the domain, until its nameservers point here."""
    page.goto("/setup/")
    page.get_by_label("Domain", exact=True).fill(domain)
    page.get_by_role("button", name="Connect the domain").click()
    page.wait_for_url("**/nameservers/")
    follow(page, "Next: DNS records")


def publish(page: Page) -> None:
    """Step 3 and 4: the plan, applied, until the resolvers show it."""
    page.get_by_role("button", name="Show the plan").click()
    page.get_by_role("button", name=re.compile("^Apply")).click()
    follow(page, "Next: propagation")
    follow(page, "Next: inboxes")


def provision(page: Page, count: int) -> None:
    """Step 5: inboxes, until each is proved."""
    page.get_by_label("How many inboxes").fill(str(count))
    page.get_by_role("button", name="Create the inboxes").click()
    expect(page.get_by_role("button", name="Download CSV")).to_be_visible()


def hand_over(page: Page) -> None:
    """Step 6: every inbox at an outreach tool, and in a campaign."""
    page.get_by_role("link", name="Next: outreach").click()
    _add_own_account(page)
    page.get_by_text("Our Smartlead").click()
    page.get_by_role("button", name=re.compile("^Connect ")).click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    page.get_by_role("link", name="Show Smartlead’s campaigns").click()
    page.get_by_label("Campaign", exact=True).select_option(index=0)
    page.get_by_role("button", name=re.compile("^Join with")).click()
    expect(page.get_by_text("(joining)")).to_have_count(0)
    expect(page.get_by_role("cell", name="Founders in Europe").first).to_be_visible()


def _add_own_account(page: Page) -> None:
    """Campaigns are joined through an account of one's own, not through the included one."""
    step = page.url
    page.goto(f"{step.partition('/setup/')[0]}/credentials/add/outreach/smartlead/")
    page.get_by_label("Name").fill("Our Smartlead")
    page.get_by_label("API key").fill("sandbox-shop")
    page.get_by_role("button", name="Save and test").click()
    page.goto(step)


def whole_setup(page: Page, domain: str, *, inboxes: int) -> None:
    connect(page, domain)
    publish(page)
    provision(page, inboxes)


def download(page: Page) -> list[dict[str, str]]:
    """Take the CSV away: its rows."""
    with page.expect_download() as found:
        page.get_by_role("button", name="Download CSV").click()
    return rows_of(Path(found.value.path()))


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines))


def follow(page: Page, label: str) -> None:
    page.get_by_role("link", name=label).click()
