"""Where providers meet settings and rows: the mail provider of a domain, the house's server."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import UUID

from django.conf import settings

from dnszones.vendors import MailHosts, register_mail_hosts, register_own_mail_hosts
from domains.models import Domain
from mailservers.models import MailDomain, MailServer
from mailservers.providers.base import DomainDirectory, LoginSettings, MailProvider
from mailservers.providers.kumomta import KumoMTA
from mailservers.providers.mailserver import MailServer as MailServerProvider
from mpanel.core.errors import Conflict

# How a provider is built for a domain's mail; None: the house's.
Build = Callable[[MailDomain | None], MailProvider]


def house_server() -> MailServer:
    """The mail server that the settings describe; its row follows them."""
    wanted = {
        "label": "mPanel mail server",
        "kind": "mailserver",
        "region": settings.MAILSERVER_REGION,
        "region_label": settings.MAILSERVER_REGION_LABEL,
        "host": settings.MAILSERVER_HOST,
        "submission_port": settings.MAILSERVER_SUBMISSION_PORT,
        "imaps_port": settings.MAILSERVER_IMAPS_PORT,
        "mx_host": settings.MAILSERVER_MX,
        "spf_name": settings.MAILSERVER_SPF,
        "ca_file": settings.MAILSERVER_CA_FILE,
        "addresses": settings.MAILSERVER_ADDRESSES,
        "admin_url": settings.MAILSERVER_ADMIN_URL,
    }
    server, _ = MailServer.objects.get_or_create(slug=MailServer.HOUSE, defaults=wanted)
    changed = [name for name, value in wanted.items() if getattr(server, name) != value]
    if not server.has_admin_key(settings.MAILSERVER_ADMIN_KEY):
        server.set_admin_key(settings.MAILSERVER_ADMIN_KEY)
        changed.append("sealed_admin_key")
    if changed:
        for name in set(changed) & set(wanted):
            setattr(server, name, wanted[name])
        server.save(update_fields=[*changed, "updated_at"])
    return server


def host_names() -> Iterator[str]:
    """Names under which the host's mail servers run: nobody connects those."""
    for names in MailServer.objects.values_list("host", "mx_host", "spf_name"):
        yield from names


def default_server() -> MailServer:
    """Where a domain goes whose place nobody chose: the house's server, unless it is closed."""
    house = house_server()
    if house.is_open:
        return house
    others = MailServer.objects.filter(kind=house.kind, is_open=True).order_by("slug")
    return others.first() or house


def provider_of_domain_id(domain_id: UUID) -> MailProvider:
    """The provider of a domain's mail, ready to be asked."""
    found = MailDomain.objects.select_related("server", "credential", "domain")
    mail = found.filter(domain_id=domain_id).first()
    provider = provider_of_domain(mail)
    if isinstance(provider, MailServerProvider):
        domain = mail.domain if mail else Domain.objects.filter(pk=domain_id).first()
        if domain is not None and _is_anothers_now(domain):
            provider.leave_addresses_alone()
    return provider


def _is_anothers_now(domain: Domain) -> bool:
    """Whether somebody else has shown since that a domain is theirs: its addresses, too."""
    if domain.is_verified:
        return False
    return Domain.objects.filter(name=domain.name, verified_at__isnull=False).exists()


def provider_of_domain(mail: MailDomain | None) -> MailProvider:
    """The provider of a domain's mail; the house's server where none was chosen."""
    key = mail.provider if mail else MailServerProvider.key
    return _BUILDERS[key](mail)


def directory_of(mail: MailDomain) -> DomainDirectory:
    """The directory that a domain's mail was attached to. Raises `Conflict` where there is none."""
    provider = provider_of_domain(mail)
    if isinstance(provider, DomainDirectory):
        return provider
    raise Conflict(f"{provider.label} has no directory of domains.")


def logins_of(domain_ids: Iterable[UUID]) -> dict[UUID, LoginSettings]:
    """Where the mailboxes of each of these domains log in; one query for all."""
    wanted = set(domain_ids)
    found = MailDomain.objects.select_related("server", "credential").filter(domain_id__in=wanted)
    known = {mail.domain_id: provider_of_domain(mail).login_settings() for mail in found}
    if missing := wanted - set(known):
        known |= dict.fromkeys(missing, provider_of_domain(None).login_settings())
    return known


def _mail_server(mail: MailDomain | None) -> MailServerProvider:
    server = (mail and mail.server) or house_server()
    return MailServerProvider(
        {},
        smtp_host=server.host,
        smtp_port=server.submission_port,
        imap_host=server.host,
        imap_port=server.imaps_port,
        ca_file=server.ca_file,
        timeout=settings.VENDOR_TIMEOUT,
        admin_url=server.admin_url,
        admin_key=server.admin_key(),
        has_sieve=bool(settings.MAILSERVER_SIEVE_PORT),
    )


def _kumomta_of(mail: MailDomain | None) -> KumoMTA:
    assert mail is not None
    assert mail.server is not None
    return kumomta(mail.server)


def kumomta(server: MailServer) -> KumoMTA:
    """A KumoMTA server of ours, whose files lie on this machine."""
    return KumoMTA(
        {},
        directory=Path(server.directory or "/nonexistent"),
        smtp_host=server.host,
        smtp_port=server.submission_port,
        ca_file=server.ca_file,
        timeout=settings.VENDOR_TIMEOUT,
        admin_url=server.admin_url,
    )


# By the key of the provider.
_BUILDERS: dict[str, Build] = {
    MailServerProvider.key: _mail_server,
    KumoMTA.key: _kumomta_of,
}


def register_mail_provider(key: str, build: Build) -> None:
    """Make known how a provider of an app above is built."""
    _BUILDERS[key] = build


def mail_hosts(domain: Domain) -> MailHosts:
    """The names of the server that a domain is placed on."""
    mail = MailDomain.objects.select_related("server").filter(domain=domain).first()
    server = (mail and mail.server) or house_server()
    return MailHosts(
        mx=server.mx_host,
        spf=server.spf_name,
        host=server.host,
        submission_port=server.submission_port,
        imaps_port=server.imaps_port,
        sieve_port=settings.MAILSERVER_SIEVE_PORT if _runs_filters(server) else 0,
    )


def _runs_filters(server: MailServer) -> bool:
    """Whether mailboxes on a server of ours can have filters, as `MailProvider.scripts` says."""
    is_dovecot = server.kind == MailServerProvider.key
    return bool(is_dovecot and server.admin_url and settings.MAILSERVER_SIEVE_PORT)


def own_mail_hosts() -> frozenset[str]:
    """The MX hosts of all our mail servers."""
    known = MailServer.objects.exclude(slug=MailServer.HOUSE).values_list("mx_host", flat=True)
    return frozenset({settings.MAILSERVER_MX, *known})


register_mail_hosts(mail_hosts)
register_own_mail_hosts(own_mail_hosts)
