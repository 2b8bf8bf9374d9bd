"""The rest of the internet, as far as the sandbox needs it: names that are always there.

SPF trees have the shape (includes, depth, number of networks) that their owners publish, so that
merging and flattening meet the ten-lookup limit as they do outside (seen 2026-11).
"""

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL = 300
REGISTRY_ADDRESS = "127.0.0.2"
HOSTING_ADDRESSES = ("127.0.0.3", "127.0.0.4")
RESOLVER_ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14")

REGISTRY_NAME = "a.registry-sandbox.test"
POOL_SUFFIX = "ns.cloudflare-sandbox.test"
FIRST_NAMES = ("alder", "birch", "cedar", "elm", "hazel", "larch", "maple", "rowan")
SECOND_NAMES = ("agate", "basalt", "coral", "flint", "garnet", "jade", "opal", "slate")
# Every pair that an account can be assigned: one server from each half, so one on each address.
NAMESERVER_PAIRS = tuple(
    (f"{first}.{POOL_SUFFIX}", f"{second}.{POOL_SUFFIX}")
    for first in FIRST_NAMES
    for second in SECOND_NAMES
)
PARKING = ("ns1.parking-sandbox.test", "ns2.parking-sandbox.test")
# Another DNS host, where domains are before they come here; it parks those that have no zone.
ELSEWHERE = ("ns1.elsewhere-sandbox.test", "ns2.elsewhere-sandbox.test")
OTHER_NAMES = (*PARKING, *ELSEWHERE)
OTHER_ADDRESS = "127.0.0.6"
# What visitors of a proxied name are given instead of its content (TEST-NET-1, RFC 5737).
PROXY_ADDRESS = {"A": "192.0.2.80", "AAAA": "2001:db8::80"}

SPF = {
    "_spf.mail-sandbox.test": "ip4:127.0.0.1 -all",
    # Google
    "_spf.google.com": (
        "include:_netblocks.google.com include:_netblocks2.google.com "
        "include:_netblocks3.google.com ~all"
    ),
    "_netblocks.google.com": (
        "ip4:35.190.247.0/24 ip4:64.233.160.0/19 ip4:66.102.0.0/20 ip4:66.249.80.0/20 "
        "ip4:72.14.192.0/18 ip4:74.125.0.0/16 ip4:108.177.8.0/21 ip4:173.194.0.0/16 "
        "ip4:209.85.128.0/17 ip4:216.58.192.0/19 ip4:216.239.32.0/19 ~all"
    ),
    "_netblocks2.google.com": (
        "ip6:2001:4860:4000::/36 ip6:2404:6800:4000::/36 ip6:2607:f8b0:4000::/36 "
        "ip6:2800:3f0:4000::/36 ip6:2a00:1450:4000::/36 ip6:2c0f:fb50:4000::/36 ~all"
    ),
    "_netblocks3.google.com": (
        "ip4:172.217.0.0/19 ip4:172.217.32.0/20 ip4:172.217.128.0/19 ip4:172.217.160.0/20 "
        "ip4:172.217.192.0/19 ip4:172.253.56.0/21 ip4:172.253.112.0/20 ip4:108.177.96.0/19 "
        "ip4:35.191.0.0/16 ip4:130.211.0.0/22 ~all"
    ),
    # Microsoft 365
    "spf.protection.outlook.com": (
        "ip4:40.92.0.0/15 ip4:40.107.0.0/16 ip4:52.100.0.0/15 ip4:52.102.0.0/16 "
        "ip4:52.103.0.0/17 ip4:104.47.0.0/17 ip6:2a01:111:f400::/48 ip6:2a01:111:f403::/49 "
        "ip6:2a01:111:f403:8000::/51 ip6:2a01:111:f403:c000::/51 ip6:2a01:111:f403:f000::/52 -all"
    ),
    # Senders that customers already use
    "sendgrid.net": (
        "ip4:167.89.0.0/17 ip4:208.117.48.0/20 ip4:50.31.32.0/19 ip4:198.37.144.0/20 "
        "ip4:198.21.0.0/21 ip4:192.254.112.0/20 ip4:168.245.0.0/17 ip4:149.72.0.0/16 "
        "ip4:159.183.0.0/16 include:ab.sendgrid.net ~all"
    ),
    "ab.sendgrid.net": "ip4:223.165.113.0/24 ip4:223.165.115.0/24 ip4:223.165.118.0/23 ~all",
    "mailgun.org": "include:_spf.mailgun.org include:_spf.eu.mailgun.org ~all",
    "_spf.mailgun.org": "include:_spf1.mailgun.org include:_spf2.mailgun.org ~all",
    "_spf1.mailgun.org": (
        "ip4:209.61.151.0/24 ip4:166.78.68.0/22 ip4:198.61.254.0/23 ip4:192.237.158.0/23 "
        "ip4:23.253.182.0/23 ip4:104.130.96.0/28 ip4:146.20.113.0/24 ip4:146.20.191.0/24 ~all"
    ),
    "_spf2.mailgun.org": (
        "ip4:104.130.122.0/23 ip4:146.20.112.0/26 ip4:161.38.192.0/20 ip4:143.55.224.0/21 "
        "ip4:159.135.224.0/20 ip4:69.72.32.0/20 ~all"
    ),
    "_spf.eu.mailgun.org": "ip4:185.189.236.0/22 ip4:185.211.120.0/22 ip4:185.250.236.0/22 ~all",
    "amazonses.com": (
        "ip4:199.255.192.0/22 ip4:199.127.232.0/22 ip4:54.240.0.0/18 ip4:69.169.224.0/20 "
        "ip4:23.249.208.0/20 ip4:23.251.224.0/19 ip4:76.223.176.0/20 ip4:52.82.172.0/22 -all"
    ),
    "servers.mcsv.net": ("ip4:205.201.128.0/20 ip4:198.2.128.0/18 ip4:148.105.8.0/21 ?all"),
    "spf.mandrillapp.com": "ip4:198.2.128.0/24 ip4:198.2.132.0/22 ip4:198.2.136.0/23 ?all",
    "_spf.salesforce.com": "exists:%{i}._spf.mta.salesforce.com -all",
    "mail.zendesk.com": (
        "ip4:103.151.192.0/23 ip4:185.12.80.0/22 ip4:188.172.128.0/20 ip4:192.161.144.0/20 ~all"
    ),
    "spf.mtasv.net": "ip4:50.31.156.96/27 ip4:104.245.209.192/26 ip4:50.31.205.0/24 ~all",
    "zoho.com": "include:spf.zoho.com ~all",
    "spf.zoho.com": "include:_spf.zoho.com include:_zspf1.zoho.com ~all",
    "_spf.zoho.com": "ip4:136.143.160.0/24 ip4:136.143.182.0/23 ip4:204.141.32.0/23 ~all",
    "_zspf1.zoho.com": "ip4:135.84.80.0/24 ip4:135.84.82.0/24 ip4:135.84.83.0/24 ~all",
    "spf.sendinblue.com": "ip4:185.41.28.0/22 ip4:94.143.16.0/21 ip4:185.24.144.0/22 ~all",
    "spf.brevo.com": "include:spf.sendinblue.com -all",
    "helpscoutemail.com": "ip4:54.240.6.0/23 include:amazonses.com ~all",
    "_spf.atlassian.net": "ip4:167.89.0.0/17 ip4:192.174.80.0/21 include:mailgun.org ~all",
    "mktomail.com": "ip4:199.15.212.0/22 ip4:192.28.144.0/20 ip4:103.237.104.0/22 -all",
}
# Where a real PowerDNS may listen, on the sandbox's DNS port; nobody else does.
POWERDNS_ADDRESS = "127.0.0.5"
POWERDNS_NAMES = ("ns1.powerdns-sandbox.test", "ns2.powerdns-sandbox.test")
# A leading "*" stands for any one label (each Microsoft 365 domain has its own MX name).
ADDRESSES = {
    REGISTRY_NAME: REGISTRY_ADDRESS,
    "mx.mail-sandbox.test": "127.0.0.1",
    **dict.fromkeys(POWERDNS_NAMES, POWERDNS_ADDRESS),
    **dict.fromkeys(OTHER_NAMES, OTHER_ADDRESS),
    "smtp.google.com": "192.0.2.25",
    "aspmx.l.google.com": "192.0.2.26",
    "alt1.aspmx.l.google.com": "192.0.2.27",
    "alt2.aspmx.l.google.com": "192.0.2.28",
    "alt3.aspmx.l.google.com": "192.0.2.29",
    "alt4.aspmx.l.google.com": "192.0.2.30",
    "*.mail.protection.outlook.com": "192.0.2.31",
    "open.sleadtrack.com": "192.0.2.40",
    # A DNS blocklist of addresses and one of names, with their test entries (RFC 5782, 5).
    "2.0.0.127.bl.mail-sandbox.test": "127.0.0.2",
    "test.dbl.mail-sandbox.test": "127.0.1.2",
    "listed.test.dbl.mail-sandbox.test": "127.0.1.2",
}

Records = dict[dns.rdatatype.RdataType, dns.rrset.RRset]


def _spf_strings(text: str) -> str:
    """One SPF record as quoted strings of at most 255 bytes."""
    record = f"v=spf1 {text}"
    return " ".join(f'"{record[start : start + 255]}"' for start in range(0, len(record), 255))


def _fixed_names() -> dict[str, Records]:
    texts: list[tuple[str, str, str]] = [
        *((name, "TXT", _spf_strings(text)) for name, text in SPF.items()),
        *((name, "A", address) for name, address in ADDRESSES.items()),
        *((f"{name}.{POOL_SUFFIX}", "A", HOSTING_ADDRESSES[0]) for name in FIRST_NAMES),
        *((f"{name}.{POOL_SUFFIX}", "A", HOSTING_ADDRESSES[1]) for name in SECOND_NAMES),
    ]
    names: dict[str, Records] = {}
    for name, kind, text in texts:
        rrset = dns.rrset.from_text(f"{name}.", TTL, "IN", kind, text)
        names.setdefault(name, {})[rrset.rdtype] = rrset
    return names


FIXED_NAMES = _fixed_names()


def ancestors(name: str) -> list[str]:
    """The names above this one, nearest first, without the root."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(1, len(labels))]


# Names without records of their own, but with names below them.
FIXED_PARENTS = frozenset(parent for name in FIXED_NAMES for parent in ancestors(name))


def fixed_records(name: str) -> Records | None:
    """The records of a name that is always there; `None` if it does not exist."""
    found = FIXED_NAMES.get(name)
    if found is None and "." in name:
        found = FIXED_NAMES.get(f"*.{name.split('.', 1)[1]}")
    if found is None and name in FIXED_PARENTS:
        return {}
    return found
