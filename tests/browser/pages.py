"""Every page, in one place: what the tests that look at all of them visit."""

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

PUBLIC = {
    "home": "/",
    "sign-in": "/sign-in/",
    "sign-in-password": "/sign-in/password/",
    "not-found": "/nothing-here/",
    "invitation-gone": "/join/",
}

LISTS = {
    "overview": "/overview/",
    "setup": "/setup/",
    "setup-register": "/setup/register/",
    "domains": "/domains/",
    "zones": "/dns/",
    "no-domains": "/domains/?q=none-like-this",
    "mailboxes": "/mailboxes/",
    "mailbox-new": "/mailboxes/new/",
    "mailbox-import": "/mailboxes/import/",
    "jobs": "/jobs/",
    "credentials": "/credentials/",
    "credential-new": "/credentials/add/dns/cloudflare/",
    "profile": "/settings/profile/",
    "security": "/settings/security/",
    "second-factor": "/settings/security/second-factor/",
    "plan": "/settings/plan/",
    "team": "/settings/team/",
    "invite": "/settings/team/invite/",
    "keys": "/settings/keys/",
    "key-new": "/settings/keys/new/",
    "notifications": "/settings/notifications/",
    "notification-preferences": "/settings/notifications/preferences/",
    "webhooks": "/settings/webhooks/",
    "webhook-add": "/settings/webhooks/add/",
    "audit": "/settings/audit/",
    "not-found-inside": "/nothing-here/",
    "no-page": "/mailboxes/bulk/",
}


def pages_of(page: Page, domain: str) -> dict[str, str]:
    """Name and path of all pages for people who are signed in, with the things of one domain."""

    def first(path: str, name: str = "") -> str:
        page.goto(path)
        links = page.locator("a.row-link", has_text=name)
        return links.first.get_attribute("href") or ""

    of_domain, zone = first("/domains/", domain), first("/dns/", domain)
    setup = of_domain.replace("/domains/", "/setup/")
    mailbox, job = first("/mailboxes/", domain), first("/jobs/")
    credential = first("/credentials/")
    page.goto(f"{setup}outreach/")
    page.locator("#live table a").first.click()
    disconnect = page.get_by_role("link", name="Disconnect from").get_attribute("href") or ""
    return {
        **LISTS,
        **{f"setup-{step}": f"{setup}{step}/" for step in STEPS},
        "setup-dns-again": f"{setup}dns/?edit=1",
        "setup-more-inboxes": f"{setup}inboxes/?add=1",
        "domain": of_domain,
        "domain-edit": f"{of_domain}edit/",
        "domain-disconnect": f"{of_domain}disconnect/",
        "records": f"{of_domain}records/",
        "zone": zone,
        "record-add": f"{zone}add/?type=SRV",
        "zone-import": f"{zone}import/",
        "dkim-rotate": f"{of_domain}dkim/rotate/",
        "dnssec": f"{of_domain}dnssec/",
        "dnssec-off": f"{of_domain}dnssec/off/",
        "plans": f"{of_domain}plans/",
        "plan": first(f"{of_domain}plans/"),
        "mailbox": mailbox,
        "mailbox-reveal": f"{mailbox}reveal/",
        "outreach-connect": f"/mailboxes/outreach/connect/?mailbox={mailbox.split('/')[2]}",
        "outreach-disconnect": disconnect,
        "mailbox-delete": f"{mailbox}delete/",
        "mailbox-password": f"{mailbox}password/",
        "domain-mail": of_domain.replace("/domains/", "/mailboxes/domains/"),
        "mailbox-rules": f"{mailbox}rules/",
        "mailbox-sending": f"{mailbox}sending/",
        "domain-sending": of_domain.replace("/domains/", "/mailboxes/domains/") + "sending/",
        "job": job,
        "credential": credential,
        "credential-delete": f"{credential}delete/",
    }


STEPS = ("domain", "nameservers", "dns", "propagation", "inboxes", "outreach")


def violations(page: Page, *rules: str) -> list[Any]:
    """What axe finds by all its rules, or by some."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("async options => (await axe.run(options)).violations", options)
    return [
        (item["id"], [(node["html"][:160], node["failureSummary"]) for node in item["nodes"]])
        for item in found
    ]
