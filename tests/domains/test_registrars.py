"""What a customer is told to do at their registrar."""

from urllib.parse import urlsplit

import pytest

from domains.registrars import REGISTRARS, NameserverInstructions, nameserver_instructions
from mpanel.core.errors import Invalid

NAMESERVERS = ["ada.ns.example.test", "bo.ns.example.test"]


def test_the_seven_registrars_of_the_contract() -> None:
    assert list(REGISTRARS) == [
        "godaddy",
        "namecheap",
        "cloudflare",
        "google-domains",
        "name.com",
        "hover",
        "other",
    ]


def test_godaddy_reads_as_the_contract_says() -> None:
    assert nameserver_instructions(
        "godaddy", NAMESERVERS, dns_provider="Cloudflare"
    ) == NameserverInstructions(
        provider="godaddy",
        provider_name="GoDaddy",
        nameservers=("ada.ns.example.test", "bo.ns.example.test"),
        instructions=(
            "Log in to your GoDaddy account",
            'Navigate to "My Products" > "Domains"',
            "Click on the domain you want to connect",
            'Scroll down to "Additional Settings" section',
            'Click "Manage DNS"',
            'Click "Change Nameservers"',
            'Select "I\'ll use my own nameservers"',
            "Enter the Cloudflare nameservers shown below",
            'Click "Save" and wait for propagation (usually 15-30 minutes)',
        ),
        documentation_url="https://www.godaddy.com/help/change-nameservers-for-my-domains-664",
        estimated_propagation_time="15-30 minutes",
    )


@pytest.mark.parametrize("key", REGISTRARS)
def test_every_registrar_has_steps_a_page_and_a_time(key: str) -> None:
    told = nameserver_instructions(key, NAMESERVERS, dns_provider="PowerDNS")
    assert told.nameservers == tuple(NAMESERVERS)
    assert len(told.instructions) >= 5
    assert len(set(told.instructions)) == len(told.instructions)
    assert told.instructions[0].startswith("Log in")
    assert any("shown below" in step for step in told.instructions)
    assert urlsplit(told.documentation_url).scheme == "https"
    assert told.estimated_propagation_time


def test_google_domains_customers_are_sent_to_squarespace() -> None:
    told = nameserver_instructions("google-domains", NAMESERVERS, dns_provider="PowerDNS")
    assert "Squarespace" in told.provider_name
    assert "account.squarespace.com" in told.instructions[0]


@pytest.mark.parametrize("key", ["", "GoDaddy", "nobody"])
def test_an_unknown_registrar_is_told_which_there_are(key: str) -> None:
    with pytest.raises(Invalid, match="name\\.com") as refused:
        nameserver_instructions(key, NAMESERVERS, dns_provider="PowerDNS")
    assert list(refused.value.details) == ["provider"]


@pytest.mark.parametrize("key", REGISTRARS)
def test_no_step_names_another_dns_provider_than_the_zones(key: str) -> None:
    told = nameserver_instructions(key, NAMESERVERS, dns_provider="PowerDNS")
    text = " ".join(told.instructions)
    assert "{" not in text
    if key != "cloudflare":
        assert "Cloudflare" not in text
    else:
        assert "transfer the domain to another registrar" in text
    if key == "godaddy":
        assert "Enter the PowerDNS nameservers shown below" in told.instructions
