"""Where a customer changes the nameservers of a domain, registrar by registrar.

The keys and waiting times are part of the contract. Registrars rename their menus at any time, so
every entry carries the registrar's own help page too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mpanel.core.errors import Invalid


@dataclass(frozen=True)
class Registrar:
    """A registrar as the wizard offers it: its name, its steps, its help page, how long it takes.

    `propagation_time` is a phrase for people, not a limit.
    """

    name: str
    steps: tuple[str, ...]
    documentation_url: str
    propagation_time: str


@dataclass(frozen=True)
class NameserverInstructions:
    """What a person must do so that `nameservers` answer for their domain, step by step."""

    provider: str
    provider_name: str
    nameservers: tuple[str, ...]
    instructions: tuple[str, ...]
    documentation_url: str
    estimated_propagation_time: str


REGISTRARS: dict[str, Registrar] = {
    "godaddy": Registrar(
        name="GoDaddy",
        steps=(
            "Log in to your GoDaddy account",
            'Navigate to "My Products" > "Domains"',
            "Click on the domain you want to connect",
            'Scroll down to "Additional Settings" section',
            'Click "Manage DNS"',
            'Click "Change Nameservers"',
            'Select "I\'ll use my own nameservers"',
            "Enter the {dns_provider} nameservers shown below",
            'Click "Save" and wait for propagation (usually 15-30 minutes)',
        ),
        documentation_url="https://www.godaddy.com/help/change-nameservers-for-my-domains-664",
        propagation_time="15-30 minutes",
    ),
    "namecheap": Registrar(
        name="Namecheap",
        steps=(
            "Log in to your Namecheap account",
            'Choose "Domain List" in the menu on the left',
            'Click "Manage" beside the domain you want to connect',
            'On the "Advanced DNS" tab, switch DNSSEC off if it is on',
            'Go back to the "Domain" tab and find the "Nameservers" section',
            'Choose "Custom DNS" from its list',
            "Enter the nameservers shown below, one per line",
            "Click the green check mark to save (usually 30 minutes to 2 hours)",
        ),
        documentation_url="https://www.namecheap.com/support/knowledgebase/article.aspx/767/10/",
        propagation_time="30 mins - 2 hours",
    ),
    "cloudflare": Registrar(
        name="Cloudflare",
        steps=(
            "Log in to the Cloudflare dashboard with the account that holds the domain",
            "Check that mPanel uses an API token of this same account",
            'Open the domain and choose "DNS" > "Records"',
            'Compare "Cloudflare Nameservers" on that page with the nameservers shown below',
            "If they are the same, there is nothing to change: come back and check now",
            "If they differ, the domain is in another account: a domain registered at Cloudflare "
            "keeps the nameservers of its account, so connect it with a token of that account",
        ),
        documentation_url="https://developers.cloudflare.com/dns/",
        propagation_time="Immediate",
    ),
    "google-domains": Registrar(
        name="Google Domains (now Squarespace)",
        steps=(
            "Log in at account.squarespace.com: Google Domains moved to Squarespace in 2023-24, "
            "and its customers sign in there with the same Google account",
            'Choose "Domains" and click the domain you want to connect',
            'Choose "DNS" and then "Domain Nameservers"',
            "If DNSSEC is on, switch it off first",
            'Click "Use Custom Nameservers"',
            "Enter the nameservers shown below and remove the others",
            'Click "Save" and confirm (usually 24-48 hours)',
        ),
        documentation_url="https://support.google.com/domains/answer/3290309",
        propagation_time="24-48 hours",
    ),
    "name.com": Registrar(
        name="Name.com",
        steps=(
            "Log in to your Name.com account",
            'Click "My Domains" and then the domain you want to connect',
            'Under "DNSSEC", remove the DS records if there are any',
            'Find "Nameservers" and click "Manage Nameservers"',
            "Delete the nameservers that are listed",
            "Add the nameservers shown below, one at a time",
            'Click "Save Changes" (usually 1-2 hours)',
        ),
        documentation_url="https://www.name.com/support/articles/205934547",
        propagation_time="1-2 hours",
    ),
    "hover": Registrar(
        name="Hover",
        steps=(
            "Log in to your Hover control panel",
            "Click the domain you want to connect",
            'On the "Overview" tab, find "Nameservers" and click "Edit"',
            "Replace the nameservers that are listed with those shown below",
            'Click "Save Nameservers" and enter your password or code if you are asked',
            "Wait for propagation (usually 2-4 hours)",
        ),
        documentation_url="https://help.hover.com/hc/en-us/",
        propagation_time="2-4 hours",
    ),
    "other": Registrar(
        name="Other registrar",
        steps=(
            "Log in to the account where you bought the domain (the renewal invoice names it)",
            'Open the settings of the domain and look for "Nameservers" or "DNS"',
            "If DNSSEC is on, switch it off and remove the DS records",
            'Choose custom nameservers, often called "Use my own nameservers"',
            "Remove the nameservers that are listed",
            "Enter the nameservers shown below, each in a field of its own, without IP addresses",
            "Save (usually 1-48 hours)",
        ),
        documentation_url=("https://developers.cloudflare.com/dns/zone-setups/full-setup/setup/"),
        propagation_time="1-48 hours",
    ),
}


# A domain registered at Cloudflare cannot be delegated elsewhere.
NOT_FROM_CLOUDFLARE = (
    "Log in to the Cloudflare dashboard with the account that holds the domain",
    "A domain registered at Cloudflare keeps the nameservers of Cloudflare, so those shown below "
    "cannot be entered there",
    "Either transfer the domain to another registrar, and enter them at that one",
    "Or disconnect it here, and connect it again with a DNS credential of your Cloudflare account",
    "Then come back and check now",
)


def nameserver_instructions(
    provider: str, nameservers: Sequence[str], *, dns_provider: str
) -> NameserverInstructions:
    """The steps at a registrar, by its key in `REGISTRARS`.

    `nameservers` are those that the zone was assigned, in the order in which they are shown;
    `dns_provider` is the name of who runs them.
    Raises `Invalid` for the field `provider` where the key is unknown.
    """
    registrar = REGISTRARS.get(provider)
    if registrar is None:
        raise Invalid.field("provider", f"Choose one of {', '.join(REGISTRARS)}.")
    is_fixed = provider == "cloudflare" and dns_provider != registrar.name
    steps = NOT_FROM_CLOUDFLARE if is_fixed else registrar.steps
    return NameserverInstructions(
        provider=provider,
        provider_name=registrar.name,
        nameservers=tuple(nameservers),
        instructions=tuple(step.format(dns_provider=dns_provider) for step in steps),
        documentation_url=registrar.documentation_url,
        estimated_propagation_time=registrar.propagation_time,
    )
