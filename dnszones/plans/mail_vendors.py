"""Who receives or sends mail for a domain, by the host names in its MX and SPF records."""

from typing import Final

# Each vendor's name, the ends of its mail hosts' names, and the names that it has in SPF records.
# From the vendors' own setup pages (seen 2026-11).
VENDORS: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("Google Workspace", ("google.com", "googlemail.com"), ("_spf.google.com",)),
    (
        "Microsoft 365",
        ("mail.protection.outlook.com", "mx.microsoft"),
        ("spf.protection.outlook.com",),
    ),
    (
        "Zoho Mail",
        ("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.jp", "zohocloud.ca"),
        ("zoho.com", "zoho.eu", "zoho.in", "zohomail.com", "one.zoho.com", "transmail.net"),
    ),
    ("Fastmail", ("messagingengine.com",), ("spf.messagingengine.com",)),
    ("Proton Mail", ("protonmail.ch",), ("_spf.protonmail.ch",)),
    ("iCloud Mail", ("mail.icloud.com",), ("icloud.com",)),
    ("Yandex 360", ("mx.yandex.net", "mx.yandex.ru"), ("_spf.yandex.net", "_spf.yandex.ru")),
    ("Rackspace Email", ("emailsrvr.com",), ("emailsrvr.com",)),
    ("Mimecast", ("mimecast.com", "mimecast.co.za", "mimecast-offshore.com"), ("mimecast.com",)),
    ("Proofpoint", ("pphosted.com", "ppe-hosted.com"), ("pphosted.com", "ppe-hosted.com")),
    ("Barracuda", ("barracudanetworks.com",), ("barracudanetworks.com",)),
    ("Cisco Secure Email", ("iphmx.com",), ("iphmx.com",)),
    ("GoDaddy Email", ("secureserver.net",), ("secureserver.net",)),
    ("Namecheap Private Email", ("privateemail.com",), ("spf.privateemail.com",)),
    (
        "Namecheap Email Forwarding",
        ("registrar-servers.com",),
        ("spf.efwd.registrar-servers.com",),
    ),
    (
        "IONOS Mail",
        ("ionos.com", "ionos.co.uk", "ionos.de", "ionos.fr", "ionos.es", "kundenserver.de"),
        ("_spf-us.ionos.com", "_spf-eu.ionos.com", "_spf.kundenserver.de"),
    ),
    ("Strato Mail", ("rzone.de",), ("smtp.rzone.de",)),
    ("OVHcloud Mail", ("mail.ovh.net", "mail.ovh.ca"), ("mx.ovh.com", "mx.ovh.ca")),
    ("Gandi Mail", ("mail.gandi.net",), ("_mailcust.gandi.net",)),
    ("Hostinger Email", ("hostinger.com",), ("_spf.mail.hostinger.com",)),
    ("Titan Mail", ("titan.email",), ("spf.titan.email",)),
    ("Migadu", ("migadu.com",), ("spf.migadu.com",)),
    ("mailbox.org", ("mailbox.org",), ("mailbox.org",)),
    ("Tuta", ("tutanota.de",), ("spf.tutanota.de",)),
    ("Amazon WorkMail", ("amazonaws.com",), ("amazonses.com",)),
    ("Cloudflare Email Routing", ("mx.cloudflare.net",), ("_spf.mx.cloudflare.net",)),
    ("ImprovMX", ("improvmx.com",), ("spf.improvmx.com",)),
    ("Forward Email", ("forwardemail.net",), ("spf.forwardemail.net",)),
    ("Mailgun", ("mailgun.org",), ("mailgun.org",)),
    ("SendGrid", ("sendgrid.net",), ("sendgrid.net",)),
    ("Postmark", ("postmarkapp.com",), ("spf.mtasv.net",)),
    ("SparkPost", ("sparkpostmail.com",), ("sparkpostmail.com",)),
    ("Mailjet", (), ("spf.mailjet.com",)),
    ("Mailchimp", (), ("spf.mandrillapp.com", "servers.mcsv.net")),
    ("Brevo", (), ("spf.brevo.com", "spf.sendinblue.com")),
    ("HubSpot", (), ("hubspotemail.net",)),
    ("Salesforce", (), ("_spf.salesforce.com",)),
    ("Zendesk", ("mail.zendesk.com",), ("mail.zendesk.com",)),
    ("Freshdesk", (), ("email.freshdesk.com", "fdspfus.freshemail.io")),
)


def receiving_vendor(host: str) -> str:
    """Whose mail host this is; the host itself where the vendor is not known."""
    ends = ((name, hosts) for name, hosts, _ in VENDORS)
    return next((name for name, hosts in ends if _is_below(host, hosts)), host)


def sending_vendor(name: str) -> str:
    """Whose name in an SPF record this is; "" where the vendor is not known."""
    names = ((vendor, includes) for vendor, _, includes in VENDORS)
    return next((vendor for vendor, includes in names if _is_below(name, includes)), "")


def _is_below(host: str, ends: tuple[str, ...]) -> bool:
    return any(host == end or host.endswith(f".{end}") for end in ends)
