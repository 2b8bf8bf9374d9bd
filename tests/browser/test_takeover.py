"""A domain with a website, mail, a wildcard and a zone below moves here, and nobody notices."""

import re
import threading

import dns.message
import dns.query
import dns.rcode
import pytest
from playwright.sync_api import Page, expect

from tests.browser import walk
from tests.browser.conftest import Open
from tests.browser.stack import Stack
from tests.elsewhere import zone_file
from tests.sandboxes import RESOLVERS

PHONE = {"width": 360, "height": 740}
PAUSE = 0.3  # seconds between two rounds: each name is asked more than twice a second
NAMES = [
    *((name, kind) for name in ("", "www", "mail", "relay", "voice")
      for kind in ("A", "TXT", "MX")),
    *((name, "AAAA") for name in ("", "www", "mail", "voice")),
    *((f"{name}", "A") for name in ("shop", "never-made", "a.b.c", "ftp", "blog", "x-1")),
    *((f"{name}", "MX") for name in ("never-made", "ftp", "blog")),
    *((f"{name}._domainkey", "TXT") for name in ("google", "scph0226", "nobody")),
    ("_dmarc", "TXT"),
    ("_sip._tls", "SRV"),
    ("", "CAA"),
    ("dev", "NS"),
    ("dev", "DS"),
    ("shop", "CNAME"),
    ("www", "CNAME"),
    ("ftp", "TXT"),
    ("mail", "CAA"),
]  # fmt: skip


class Prober(threading.Thread):
    """Asks a resolver that keeps nothing for all names, round after round, until it is stopped."""

    def __init__(self, stack: Stack, zone: str) -> None:
        super().__init__(daemon=True)
        self.port, self.zone = stack.port + 2, zone
        self.expected = {pair: self.ask(*pair) for pair in NAMES}
        self.rounds = self.answers = 0
        self.wrong: list[str] = []
        self.failures: list[Exception] = []
        self._over = threading.Event()

    def ask(self, name: str, kind: str) -> tuple[int, tuple[str, ...]]:
        """The rcode and the records that a resolver gives, without TTLs."""
        owner = f"{name}.{self.zone}.".lstrip(".")
        query = dns.message.make_query(owner, kind)
        reply, _ = dns.query.udp_with_fallback(query, RESOLVERS[0], timeout=60, port=self.port)
        said = sorted(f"{r.name} {rdata}" for r in reply.answer for rdata in r)
        return reply.rcode(), tuple(said)

    def run(self) -> None:
        try:
            while not self._over.wait(PAUSE):
                for (name, kind), expected in self.expected.items():
                    said = self.ask(name, kind)
                    self.answers += 1
                    if said != expected:
                        self.wrong.append(f"{name} {kind}: {said}, was {expected}")
                self.rounds += 1
        except Exception as error:  # noqa: BLE001 - told by the test
            self.failures.append(error)

    def wait_for_rounds(self, count: int, page: Page) -> None:
        """Until it has asked for everything so many more times."""
        wanted = self.rounds + count
        while self.rounds < wanted and self.is_alive():
            page.wait_for_timeout(100)

    def stop(self) -> None:
        self._over.set()
        self.join()
        assert self.failures == []


def moving(page: Page, stack: Stack, domain: str, *, email: str) -> None:
    """Somebody connects a domain that is in use at another DNS host."""
    stack.control("POST", "registrar/elsewhere", {"domain": domain, "zone_file": zone_file(domain)})
    walk.sign_in(page, stack, email)
    page.goto("/setup/")
    page.get_by_label("Domain", exact=True).fill(domain)
    page.get_by_role("button", name="Connect the domain").click()
    heading = page.get_by_role("heading", name="What the domain publishes now")
    expect(heading).to_be_visible()


def test_the_probe_has_forty_names() -> None:
    assert len(set(NAMES)) == 40


@pytest.mark.parametrize("script", [True, False], ids=["with a script", "without"])
def test_a_domain_in_use_moves_without_a_wrong_answer(
    opened: Open, stack: Stack, script: bool
) -> None:
    domain = "moves.test" if script else "moves-plainly.test"
    page = opened(java_script_enabled=script)
    moving(page, stack, domain, email=f"ada-{'moves' if script else 'plainly'}@people.test")
    expect(page.get_by_role("row", name=re.compile("smtp.google.com")).first).to_be_visible()
    expect(page.get_by_text("cloudflare-sandbox.test")).to_have_count(0)

    prober = Prober(stack, domain)
    assert prober.expected["", "A"][1] == (f"{domain}. 192.0.2.10",)
    assert prober.expected["never-made", "A"][1] == (f"never-made.{domain}. 192.0.2.99",)
    prober.start()
    page.get_by_role("button", name="Take over these records").click()
    told = page.get_by_text(re.compile(r"\d+ answers are equal"))
    expect(told).to_be_visible()
    nameservers = page.locator(".copy code").all_inner_texts()
    assert len(nameservers) == 2
    prober.wait_for_rounds(2, page)

    stack.control("POST", "registrar", {"domain": domain, "nameservers": nameservers})
    expect(page.get_by_text("The nameservers point here", exact=True)).to_be_visible()
    prober.wait_for_rounds(4, page)
    prober.stop()
    assert prober.wrong == []
    assert prober.rounds >= 6
    assert prober.answers >= 6 * 40


def test_who_wants_to_skip_is_asked(opened: Open, stack: Stack) -> None:
    page = opened(viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    moving(page, stack, "skips.test", email="cy-skips@people.test")
    page.get_by_role("link", name="Continue without them").click()
    expect(page.get_by_text("The website skips.test goes dark")).to_be_visible()
    expect(page.get_by_text("Mail to @skips.test stops arriving")).to_be_visible()
    page.get_by_label("Type skips.test").fill("yes")
    page.get_by_role("button", name="Continue without them").click()
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("button", name="Take over these records")).to_be_visible()
    expect(page.get_by_text("cloudflare-sandbox.test")).to_have_count(0)

    page.get_by_role("link", name="Continue without them").click()
    page.get_by_label("Type skips.test").fill("Skips.Test")
    page.get_by_role("button", name="Continue without them").click()
    expect(page.get_by_text("The zone is not complete")).to_be_visible()
    expect(page.locator(".copy code")).to_have_count(2)
