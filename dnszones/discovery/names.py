"""Names that zones commonly have, and the DKIM selectors of large senders (seen 2026-11)."""

from typing import Final

# Types that the zone's own name is asked for.
APEX_TYPES: Final = ("A", "AAAA", "MX", "TXT", "CAA", "HTTPS", "SSHFP", "NAPTR", "LOC")
# Types that a host which exists is asked for. Whether it exists, its A record tells.
HOST_TYPES: Final = ("AAAA", "MX", "TXT", "CAA", "HTTPS", "SSHFP", "SRV", "DS")
# Types that are tried below a random label: together they tell what a wildcard gives.
WILDCARD_TYPES: Final = ("A", "AAAA", "MX", "TXT")

_HOSTS: Final = """
    www www2 www1 web web1 web2 m mobile wap old new beta alpha
    mail mail1 mail2 mail3 smtp smtp1 smtp2 pop pop3 imap mx mx1 mx2 mx3 relay mailgate
    webmail email exchange owa autodiscover autoconfig lists newsletter news bounce bounces
    mta-sts send sendgrid em mg mailgun postmark pm-bounces click track links go link
    ftp sftp ssh files share cloud nas backup storage download downloads cdn static assets media
    img images video
    api api2 app apps admin portal my account accounts login auth sso id dashboard panel cpanel whm
    plesk webdisk cpcalendars cpcontacts webconf
    shop store blog forum community help support docs wiki kb status jobs careers events
    dev test testing staging stage demo sandbox preview uat qa prod
    git gitlab svn ci jenkins jira confluence grafana monitor monitoring zabbix nagios
    vpn remote gateway gw proxy router firewall rdp citrix
    ns ns1 ns2 ns3 ns4 dns dns1 dns2
    db mysql sql redis server server1 server2 host host1 vps vps1 s1
    sip voip pbx meet chat xmpp matrix lyncdiscover teams enterpriseregistration
    enterpriseenrollment msoid calendar
    crm erp hr intranet local localhost office print radius time ntp
    en de fr es it nl uk us eu
"""
HOSTS: Final = tuple(_HOSTS.split())
SERVICES: Final = (
    ("_dmarc", "TXT"),
    ("_domainkey", "TXT"),
    ("_mta-sts", "TXT"),
    ("_smtp._tls", "TXT"),
    ("default._bimi", "TXT"),
    ("_adsp._domainkey", "TXT"),
    ("_spf", "TXT"),
    ("spf", "TXT"),
    ("_spf1", "TXT"),
    ("_spf2", "TXT"),
    ("_amazonses", "TXT"),
    ("_globalsign-domain-verification", "TXT"),
    ("_github-challenge", "TXT"),
    ("_gitlab-pages-verification-code", "TXT"),
    ("_atproto", "TXT"),
    ("_discord", "TXT"),
    ("_dnslink", "TXT"),
    ("_vercel", "TXT"),
    ("_acme-challenge", "TXT"),
    ("_acme-challenge.www", "TXT"),
    ("_cf-custom-hostname", "TXT"),
    ("_keybase", "TXT"),
    ("_autodiscover._tcp", "SRV"),
    ("_imap._tcp", "SRV"),
    ("_imaps._tcp", "SRV"),
    ("_pop3._tcp", "SRV"),
    ("_pop3s._tcp", "SRV"),
    ("_submission._tcp", "SRV"),
    ("_submissions._tcp", "SRV"),
    ("_sieve._tcp", "SRV"),
    ("_sip._tls", "SRV"),
    ("_sip._tcp", "SRV"),
    ("_sip._udp", "SRV"),
    ("_sips._tcp", "SRV"),
    ("_sipfederationtls._tcp", "SRV"),
    ("_xmpp-client._tcp", "SRV"),
    ("_xmpp-server._tcp", "SRV"),
    ("_caldav._tcp", "SRV"),
    ("_caldavs._tcp", "SRV"),
    ("_carddav._tcp", "SRV"),
    ("_carddavs._tcp", "SRV"),
    ("_ldap._tcp", "SRV"),
    ("_kerberos._udp", "SRV"),
    ("_kerberos._tcp", "SRV"),
    ("_matrix._tcp", "SRV"),
    ("_matrix-fed._tcp", "SRV"),
    ("_minecraft._tcp", "SRV"),
    ("_stun._udp", "SRV"),
    ("_turn._udp", "SRV"),
    ("_jmap._tcp", "SRV"),
    ("_25._tcp", "TLSA"),
    ("_25._tcp.mail", "TLSA"),
    ("_443._tcp", "TLSA"),
    ("_443._tcp.www", "TLSA"),
)
_SELECTORS: Final = """
    google selector1 selector2 default dkim mail email s1 s2 k1 k2 k3 key1 key2 dkim1 dkim2
    fm1 fm2 fm3 protonmail protonmail2 protonmail3 zoho zmail zoho1 mx mxvault smtp smtpapi
    mandrill mte1 mte2 mailjet mailgun mg mailo pic krs everlytickey1 everlytickey2 eversrv
    sendinblue brevo brevo1 brevo2 mailchimp sparkpost scph0226 pm postmark 20161025 20210112
    20230601 amazonses hs1 hs2 hubspot sf salesforce zendesk1 zendesk2 intercom cm cio klaviyo
    kl kl2 ctct1 ctct2 dk turbo-smtp sib sig1 private titan1 titan2 mpanel a1 dkim-shared
    yandex mailru x class sm spop1024 gears
"""
SELECTORS: Final = tuple(_SELECTORS.split())
