"""Which DNS records a domain needs for mail, and why, for each platform."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from dnszones import dmarc, mail_tls, spf
from dnszones.dkim import records as dkim
from dnszones.lint import findings
from dnszones.microsoft import microsoft_mx_host
from dnszones.records import Purpose, RecordData, check_name, check_record
from dnszones.validation import check_target
from mpanel.core.errors import Invalid

Level = Literal["required", "recommended", "optional"]

PLATFORMS: Final = ("mailserver", "google-workspace", "microsoft-365", "custom")
TRACKING_HOSTS: Final = {"smartlead": "open.sleadtrack.com", "instantly": "prox.itrackly.com"}
TRACKING_TTL: Final = 3600
# Submission with STARTTLS, and beside it with TLS from the first byte (RFC 8314 §3.3).
STARTTLS_PORT, TLS_PORT = 587, 465

# The vendor's name, its SPF include, and where its administrators find the DKIM key.
_VENDORS: Final = {
    "google-workspace": (
        "Google Workspace",
        "_spf.google.com",
        "Google's admin console under Apps, Google Workspace, Gmail, Authenticate email",
    ),
    "microsoft-365": (
        "Microsoft 365",
        "spf.protection.outlook.com",
        "the Microsoft Defender portal under Email authentication settings, DKIM",
    ),
}


@dataclass(frozen=True)
class MailSetup:
    """How a domain shall handle mail; `desired_records` checks it.

    `platform`: one of `PLATFORMS`. `tracking_provider`: a key of `TRACKING_HOSTS`, or "none".
    `custom_mx`: (preference, host) pairs. `microsoft_mx`: the mail host that Microsoft shows, which
    cannot be derived from the domain. `dkim_value`: the key as TXT value, PEM or base64.
    `dkim_targets`: the two CNAME targets that Microsoft names for selector1 and selector2.
    `dmarc_rua` and `dmarc_ruf`: addresses for reports; without `dmarc_rua`, dmarc@ the domain.
    `mailserver_mx` and `mailserver_spf`: our own mail host, and the name its senders' SPF record
    has. `mail_host` and its ports: where mail programs reach that server (`sieve_port`: their
    filters, 0 where it has none); `panel_host`: the name at which mPanel itself is reached, ""
    where it has none. `mta_sts`: one of `mail_tls.MODES`;
    `tls_rpt`: the address for reports on TLS, "" for none; `autoconfig`: whether mail programs find
    the server by themselves; all three for our own server only. `spf_existing`: an SPF record that
    the domain has elsewhere, whose senders and `all` are kept. `flatten`: flatten SPF even when it
    needs no more than ten lookups; `flatten_ipv6`: with IPv6 ranges. An empty `dkim_selector` is
    the platform's usual one.
    """

    domain: str
    platform: str
    custom_mx: tuple[tuple[int, str], ...] = ()
    microsoft_mx: str = ""
    spf_includes: tuple[str, ...] = ()
    dkim_selector: str = ""
    dkim_value: str = ""
    dkim_targets: tuple[str, ...] = ()
    dmarc_policy: str = "none"
    dmarc_rua: str = ""
    dmarc_ruf: str = ""
    tracking_subdomain: str = ""
    tracking_provider: str = "none"
    mailserver_mx: str = ""
    mailserver_spf: str = ""
    flatten: bool = False
    flatten_ipv6: bool = True
    spf_existing: str = ""
    mail_host: str = ""
    submission_port: int = 587
    imaps_port: int = 993
    sieve_port: int = 0
    panel_host: str = ""
    mta_sts: str = "none"
    tls_rpt: str = ""
    autoconfig: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain strings, numbers and lists, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "MailSetup":
        """The setup that `to_json` wrote, also after it went through a JSON column."""
        lists = {
            "custom_mx": tuple((preference, host) for preference, host in stored["custom_mx"]),
            "spf_includes": tuple(stored["spf_includes"]),
            "dkim_targets": tuple(stored["dkim_targets"]),
        }
        return cls(**{**stored, **lists})


@dataclass(frozen=True)
class DesiredRecord:
    """A record that the domain needs. `reason` is a sentence for its owner."""

    data: RecordData
    purpose: Purpose
    level: Level
    reason: str


def desired_records(setup: MailSetup) -> list[DesiredRecord]:
    """Every record of the setup: MX, SPF, DKIM, DMARC, tracking, TLS, and how clients find us.

    A vendor's DKIM key that was not given is left out, see `setup_warnings`. Raises `Invalid`
    naming the field of `MailSetup`.
    """
    domain = check_name(setup.domain, field="domain", host=True)
    if "." not in domain:
        raise Invalid.field("domain", "This is no complete domain name.")
    if setup.platform not in PLATFORMS:
        raise Invalid.field("platform", f"The platform is one of {', '.join(PLATFORMS)}.")
    return [
        *_mx(setup, domain),
        _spf(setup, domain),
        *_dkim(setup, domain),
        _dmarc(setup, domain),
        *_tracking(setup, domain),
        *_transport(setup, domain),
        *_autoconfig(setup, domain),
    ]


def setup_warnings(setup: MailSetup) -> list[str]:
    """What the owner must still do outside mPanel, in sentences. The setup must be valid."""
    warnings = []
    domain = check_name(setup.domain, field="domain", host=True)
    vendor = _VENDORS.get(setup.platform)
    if vendor and not setup.dkim_targets and not setup.dkim_value:
        warnings.append(
            f"Mail from {vendor[0]} is not DKIM-signed yet: take the DKIM key of {domain} "
            f"from {vendor[2]}, and enter it here."
        )
    if setup.mta_sts != "none":
        warnings.append(
            f"Other mail servers fetch the MTA-STS policy from https://mta-sts.{domain}. It counts "
            "once the panel's web server has a certificate for that name."
        )
    if setup.platform != "mailserver":
        warnings.append(_addresses_to_make(setup, domain, vendor[0] if vendor else "your server"))
    return warnings


def _addresses_to_make(setup: MailSetup, domain: str, where: str) -> str:
    """Which addresses only the customer can make, where their mail is not on our servers."""
    reports = [setup.dmarc_rua or f"dmarc@{domain}", setup.dmarc_ruf]
    names = [one.lower() for one in reports if one.lower().endswith(f"@{domain}")]
    every = [*dict.fromkeys(names), f"postmaster@{domain}", f"abuse@{domain}"]
    return (
        f"Make {', '.join(every[:-1])} and {every[-1]} at {where}, as aliases or groups: DMARC "
        "reports and complaints go there, and are refused until then."
    )


def selector_of(setup: MailSetup) -> str:
    """The DKIM selector in use. Raises `Invalid` for `dkim_selector`."""
    usual = "google" if setup.platform == "google-workspace" else "mpanel"
    return dkim.check_selector(setup.dkim_selector or usual)


async def settled_spf(
    setup: MailSetup, *, existing: str | None, resolver: spf.Resolver
) -> spf.Flattening:
    """The SPF text that the domain should publish: merged with the one it has, and flattened
    where it needs over ten lookups or the setup asks for it.

    Its `flattened` is the `spf_text` of a change plan. Keep its `original`: that, and not the
    flattened text, is the `existing` of the next time, or includes come back beside their own
    addresses. Raises `Invalid`, `SPFSyntaxError` and `MergeConflict` for the existing text, and
    what `spf.flatten` raises.
    """
    domain = check_name(setup.domain, field="domain", host=True)
    text = _spf(setup, domain).data.content
    if existing is not None:
        present = spf.parse(existing)
        merged = await spf.merge_by_evaluation(
            present, spf.parse(text), domain=domain, resolver=resolver
        )
        text = existing if merged == present else str(merged)
    return await spf.flatten(
        text, domain=domain, resolver=resolver, force=setup.flatten, ipv6=setup.flatten_ipv6
    )


def _mx(setup: MailSetup, domain: str) -> list[DesiredRecord]:
    reason = "Tells other mail servers where to deliver mail for the domain."
    return [
        DesiredRecord(_mx_record(domain, preference, host), "mx", "required", reason)
        for preference, host in _mail_hosts(setup, domain)
    ]


def _mail_hosts(setup: MailSetup, domain: str) -> tuple[tuple[int, str], ...]:
    match setup.platform:
        case "google-workspace":
            return ((1, "smtp.google.com"),)
        case "microsoft-365":
            return ((0, microsoft_mx_host(setup.microsoft_mx)),)
        case "mailserver":
            return ((10, check_name(setup.mailserver_mx, field="mailserver_mx", host=True)),)
        case _:
            hosts = tuple((preference, host.lower()) for preference, host in setup.custom_mx)
            if not hosts or len(set(hosts)) != len(hosts):
                raise Invalid.field("custom_mx", "Give at least one mail host, each once.")
            return hosts


def _mx_record(domain: str, preference: int, host: str) -> RecordData:
    record = RecordData(domain, "MX", host, priority=preference)
    try:
        check_target(record, domain)
        return check_record(record)
    except Invalid as error:
        raise Invalid.field("custom_mx", error.message) from error


def _spf(setup: MailSetup, domain: str) -> DesiredRecord:
    names = [name.removeprefix("include:") for name in setup.spf_includes]
    if setup.platform == "mailserver":
        names.insert(0, check_name(setup.mailserver_spf, field="mailserver_spf"))
    elif setup.platform in _VENDORS:
        names.insert(0, _VENDORS[setup.platform][1])
    try:
        includes = [f"include:{check_name(name, field='spf_includes')}" for name in names]
        # A custom platform without includes sends from its own mail hosts.
        text = " ".join(["v=spf1", *dict.fromkeys(includes or ["mx"]), "~all"])
        spf.parse(text)
    except spf.SPFSyntaxError as error:
        raise Invalid.field("spf_includes", str(error)) from error
    if setup.spf_existing:
        text = _extended_spf(setup.spf_existing, text)
    return DesiredRecord(
        RecordData(domain, "TXT", text),
        "spf",
        "required",
        "Names the servers that may send mail for the domain; others look forged.",
    )


def _extended_spf(existing: str, text: str) -> str:
    """A record that was given, with our senders added."""
    for found in findings("", existing.strip()):
        if found.is_fatal:
            hint = f" Did you mean “{found.proposal}”?" if found.proposal else ""
            raise Invalid.field("spf_existing", f"{found.sentence}{hint}")
    try:
        return str(spf.merge(spf.parse(existing.strip()), spf.parse(text)))
    except (spf.SPFSyntaxError, spf.MergeConflict) as error:
        raise Invalid.field("spf_existing", str(error)) from error


def _dkim(setup: MailSetup, domain: str) -> list[DesiredRecord]:
    reason = "Lets receivers verify the signature of every mail that the domain sends."
    if setup.dkim_targets:
        if setup.platform != "microsoft-365":
            raise Invalid.field("dkim_targets", "Only Microsoft 365 has DKIM targets.")
        if len(setup.dkim_targets) != 2:
            raise Invalid.field("dkim_targets", "Microsoft 365 has two DKIM targets.")
        targets = [check_name(target, field="dkim_targets") for target in setup.dkim_targets]
        names = [f"selector{number}._domainkey.{domain}" for number in (1, 2)]
        return [
            DesiredRecord(RecordData(name, "CNAME", target), "dkim", "required", reason)
            for name, target in zip(names, targets, strict=True)
        ]
    selector = selector_of(setup)
    if not setup.dkim_value:
        if setup.platform in _VENDORS:
            return []
        raise Invalid.field("dkim_value", "A DKIM key is needed.")
    name = check_name(f"{selector}._domainkey.{domain}", field="dkim_selector")
    value = dkim.public_key_value(setup.dkim_value)
    return [DesiredRecord(RecordData(name, "TXT", value), "dkim", "required", reason)]


def _dmarc(setup: MailSetup, domain: str) -> DesiredRecord:
    text = dmarc.build(
        setup.dmarc_policy,
        rua=[setup.dmarc_rua or f"dmarc@{domain}"],
        ruf=[setup.dmarc_ruf] if setup.dmarc_ruf else [],
    )
    return DesiredRecord(
        RecordData(f"_dmarc.{domain}", "TXT", text),
        "dmarc",
        "recommended",
        "Tells receivers what to do with forged mail, and asks them for reports.",
    )


def _tracking(setup: MailSetup, domain: str) -> list[DesiredRecord]:
    if setup.tracking_provider == "none":
        return []
    if setup.tracking_provider not in TRACKING_HOSTS:
        raise Invalid.field("tracking_provider", "This tracking provider is not known.")
    label = setup.tracking_subdomain.strip().lower().removesuffix(f".{domain}")
    if not label or label.startswith("_"):
        raise Invalid.field("tracking_subdomain", "Give a subdomain, for example track.")
    name = check_name(f"{label}.{domain}", field="tracking_subdomain", host=True)
    target = TRACKING_HOSTS[setup.tracking_provider]
    return [
        DesiredRecord(
            RecordData(name, "CNAME", target, ttl=TRACKING_TTL),
            "tracking",
            "optional",
            "Links in campaign mails lead through your own domain, not through a shared one.",
        )
    ]


def _transport(setup: MailSetup, domain: str) -> list[DesiredRecord]:
    """MTA-STS and reports on TLS."""
    if setup.mta_sts not in mail_tls.MODES:
        raise Invalid.field("mta_sts", f"MTA-STS is one of {', '.join(mail_tls.MODES)}.")
    records = []
    if setup.mta_sts != "none":
        _only_here(setup, "mta_sts", "MTA-STS")
        if not setup.panel_host:
            raise Invalid.field("mta_sts", "MTA-STS needs a panel that is reached by a name.")
        text = mail_tls.sts_record(setup.mta_sts, setup.mailserver_mx)
        records = [
            DesiredRecord(
                RecordData(f"_mta-sts.{domain}", "TXT", text),
                "mta-sts",
                "recommended",
                "Asks other mail servers to deliver over TLS only (MTA-STS).",
            ),
            DesiredRecord(
                RecordData(f"mta-sts.{domain}", "CNAME", setup.panel_host),
                "mta-sts",
                "recommended",
                "Leads to the MTA-STS policy, which mPanel serves.",
            ),
        ]
    if setup.tls_rpt:
        _only_here(setup, "tls_rpt", "This")
        text = mail_tls.tls_rpt_record(setup.tls_rpt)
        reason = "Asks other mail servers for daily reports on deliveries over TLS."
        record = RecordData(f"_smtp._tls.{domain}", "TXT", text)
        records.append(DesiredRecord(record, "tls-rpt", "optional", reason))
    return records


def _autoconfig(setup: MailSetup, domain: str) -> list[DesiredRecord]:
    """Where mail programs look for the server and its settings.

    RFC 6186, RFC 8314 §5.1 and, for filters, RFC 5804 §1.8.
    """
    if not setup.autoconfig:
        return []
    _only_here(setup, "autoconfig", "This")
    host = check_name(setup.mail_host, field="mail_host", host=True)
    ports = {"_imaps": setup.imaps_port, "_submission": setup.submission_port}
    if setup.submission_port == STARTTLS_PORT:
        ports["_submissions"] = TLS_PORT
    if setup.sieve_port:
        ports["_sieve"] = setup.sieve_port
    records = [
        RecordData(f"{service}._tcp.{domain}", "SRV", f"1 {port} {host}", priority=0)
        for service, port in ports.items()
    ]
    if setup.panel_host:
        https = f"1 443 {setup.panel_host}"
        records += [
            RecordData(f"_autodiscover._tcp.{domain}", "SRV", https, priority=0),
            RecordData(f"autodiscover.{domain}", "CNAME", setup.panel_host),
            RecordData(f"autoconfig.{domain}", "CNAME", setup.panel_host),
        ]
    reason = "Lets mail programs find the server and its settings by themselves."
    return [DesiredRecord(record, "autoconfig", "optional", reason) for record in records]


def _only_here(setup: MailSetup, field: str, what: str) -> None:
    if setup.platform != "mailserver":
        raise Invalid.field(field, f"{what} is for mail on the mPanel mail server.")
