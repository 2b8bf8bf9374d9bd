"""A domain that lives at another DNS host: a website, Google mail, and what makes moving hard."""

ZONE = """
$TTL 3600
@                       IN MX   1 smtp.google.com.
@                       IN A    192.0.2.10
@                       IN AAAA 2001:db8::10
@                       IN TXT  "v=spf1 include:_spf.google.com a:relay.{zone}. -all"
@                       IN TXT  "google-site-verification=abc123"
@                       IN CAA  0 issue "letsencrypt.org"
www               300   IN CNAME {zone}.
mail                    IN A    192.0.2.11
mail                    IN TXT  "mail only"
relay                   IN A    192.0.2.12
shop            604800  IN CNAME shops.hosting.example.
_dmarc                  IN TXT  "v=DMARC1; p=quarantine; rua=mailto:reports@{zone}"
google._domainkey       IN TXT  "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC"
scph0226._domainkey     IN TXT  "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQD"
_sip._tls               IN SRV  10 60 5061 voice.{zone}.
voice                   IN A    192.0.2.13
dev                     IN NS   ns1.dev.{zone}.
dev                     IN NS   ns.partner.example.
ns1.dev                 IN A    192.0.2.53
*                       IN A    192.0.2.99
*                       IN MX   5 smtp.google.com.
"""


def zone_file(zone: str) -> str:
    """The zone of a domain that is used."""
    return ZONE.replace("{zone}", zone)
