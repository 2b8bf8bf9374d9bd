"""How a domain's mail is handled: by which provider, on which server, with which credential."""

import re
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Count, QuerySet

from billing.services import lock_account
from dnszones.plans.services import DomainIsLeaving, DomainNotVerified
from dnszones.selectors import revertible_plan
from domains.models import Domain
from domains.reserved import check_not_reserved
from domains.selectors import get_domain
from events.services import record
from mailboxes.models import Mailbox
from mailservers.models import MailDomain, MailServer
from mailservers.vendors import default_server
from mpanel.core import registry
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid
from provisioning.models import Job, JobStep
from provisioning.selectors import latest_job
from provisioning.services import cancel_jobs, start_job
from tenants.models import ProviderCredential
from tenants.selectors import chosen_credential, credentials_for

OUR_SERVER = "mailserver"
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,32}")


class InboxesElsewhere(Conflict):
    """This domain has inboxes of another provider or server. Delete them first."""

    code = "INBOXES_ELSEWHERE"


class MailNotAttached(Conflict):
    """The vendor has not verified yet that this domain is yours. Wait, or attach it again."""

    code = "DOMAIN_NOT_VERIFIED"


@transaction.atomic
def attach_mail(
    actor: Actor,
    domain_id: UUID,
    *,
    provider: str = OUR_SERVER,
    credential_id: UUID | None = None,
    region: str = "",
) -> MailDomain:
    """Have a domain's mail handled by a provider: on a server of ours, or at a vendor.

    A vendor with a directory must first believe that the domain is the customer's: the row is
    `pending` until a job has seen to that, and `failed` with the reason where it could not. The
    same again is harmless, and tries a failed one again. Raises `Invalid` (`provider`,
    `credential_id`, `region`), `NameReserved`, `InboxesElsewhere`, `DomainNotVerified`,
    `DomainIsLeaving`.
    """
    actor.require(ADMIN, "mailboxes:write")
    domain = get_domain(actor, domain_id)
    # Whoever attaches or provisions at the same moment waits here.
    lock_account(actor.tenant_id)
    if domain.status == Domain.DELETING:
        raise DomainIsLeaving
    check_not_reserved(domain.name)
    try:
        cls = registry.get("mail", provider)
    except KeyError:
        raise Invalid.field("provider", "Choose one of the mail providers offered.") from None
    mail = MailDomain.objects.filter(domain=domain).first()
    server, credential = None, None
    if cls.credential_fields:
        credential = _credential(actor, credential_id, provider)
    else:
        server = _server(mail, provider, region)
    if mail is not None and _is_the_same(mail, provider, server, credential):
        if mail.status == MailDomain.FAILED:
            attach_again(mail)
            _start(actor, mail)
        return mail
    if (cls.claims_domains or domain.is_revoked) and not domain.is_verified:
        raise DomainNotVerified
    if Mailbox.objects.present().filter(domain=domain).exists():
        raise InboxesElsewhere
    status = MailDomain.PENDING if cls.claims_domains else MailDomain.ACTIVE
    mail = _kept(mail or MailDomain(tenant_id=domain.tenant_id, domain=domain), status)
    mail.provider, mail.server, mail.credential = provider, server, credential
    mail.verification = ""
    mail.save()
    record(
        actor,
        "mail.attached",
        domain,
        f"Asked that {cls.label} handles the mail of {domain}.",
        changes={"provider": provider, "server": server.slug if server else ""},
    )
    if cls.claims_domains:
        _start(actor, mail)
    return mail


def _kept(mail: MailDomain, status: str) -> MailDomain:
    """The row with another status; what an earlier attachment said of it is over."""
    cancel_jobs(mail.pk, "maildomains.attach")
    # Not `move`: the row becomes one about another provider, whose life begins anew.
    mail.status, mail.error_code, mail.error_message = status, "", ""
    return mail


def _is_the_same(
    mail: MailDomain,
    provider: str,
    server: MailServer | None,
    credential: ProviderCredential | None,
) -> bool:
    wanted = (provider, server and server.pk, credential and credential.pk)
    return (mail.provider, mail.server_id, mail.credential_id) == wanted


def _credential(actor: Actor, credential_id: UUID | None, provider: str) -> ProviderCredential:
    label = registry.get("mail", provider).label
    if credential_id is None:
        found = chosen_credentials(actor, provider).first()
    else:
        found = chosen_credential(actor, credential_id, port="mail", of="mail provider")
    if found is None:
        raise Invalid.field("credential_id", f"Add a credential of {label} first.")
    if found.provider != provider:
        raise Invalid.field("credential_id", f"Choose a credential of {label}.")
    return found


def _server(mail: MailDomain | None, provider: str, region: str) -> MailServer:
    """Where a domain goes: where it is, if nothing speaks against it, else the emptiest server."""
    present = mail.server if mail else None
    if present and present.kind == provider and region in {"", present.region}:
        return present
    default = default_server()
    if not region and default.kind == provider:
        return default
    found = open_servers().filter(kind=provider)
    if region:
        # What is no slug is no region, and no text that every database takes.
        found = found.filter(region=region) if _SLUG.fullmatch(region) else found.none()
    emptiest = found.annotate(number=Count("domains")).order_by("number", "slug").first()
    if emptiest is None:
        raise Invalid.field("region", "There is no open mail server in this region.")
    return emptiest


def open_servers() -> QuerySet[MailServer]:
    """The servers on which new domains may be placed."""
    return MailServer.objects.filter(is_open=True)


def place_domain(domain: Domain, *, server: MailServer | None = None) -> MailDomain:
    """How the domain's mail is handled; where nobody chose, by our own mail server."""
    if mail := mail_of(domain):
        return mail
    mail, _ = MailDomain.objects.get_or_create(
        domain=domain,
        defaults={"tenant_id": domain.tenant_id, "server": server or default_server()},
    )
    return mail


def require_attached(mail: MailDomain | None, provider: str = "") -> None:
    """Raise `MailNotAttached` unless inboxes can be made there now, by this provider if named."""
    present = mail.provider if mail else OUR_SERVER
    if provider not in {"", present}:
        label = registry.get("mail", provider).label
        raise MailNotAttached(f"The mail of this domain is not attached to {label}.")
    if mail is not None and mail.status != MailDomain.ACTIVE:
        raise MailNotAttached(mail.error_message)


def check_unit(unit: str, mail: MailDomain | None) -> None:
    """Raise `Invalid` for an organisational unit where the provider has none."""
    cls = registry.get("mail", mail.provider if mail else OUR_SERVER)
    if unit != "/" and not cls.claims_domains:
        raise Invalid.field("organization_unit", "This provider has no organisational units.")


def how_verified(mail: MailDomain | None) -> str:
    """How inboxes of a domain are proved, as texts go on: `by logging in`."""
    return str(registry.get("mail", mail.provider if mail else OUR_SERVER).verified_by)


def platform_of(mail: MailDomain | None) -> str:
    """The platform whose DNS records lead to the provider of a domain's mail."""
    return str(registry.get("mail", mail.provider if mail else OUR_SERVER).platform)


def platform_in_force(domain: Domain) -> str:
    """The platform to which a domain's records lead; "" where we wrote none."""
    applied = revertible_plan(domain)
    return str(applied.setup["platform"]) if applied else ""


def mail_of(domain: Domain) -> MailDomain | None:
    """How a domain's mail is handled, None where nobody chose yet."""
    found = MailDomain.objects.select_related("server", "credential").filter(domain=domain)
    return found.first()


def chosen_credentials(actor: Actor, provider: str) -> QuerySet[ProviderCredential]:
    """The tenant's credentials of one mail provider, by label."""
    return credentials_for(actor, "mail").filter(provider=provider)


def attaching_job(actor: Actor, mail: MailDomain) -> Job | None:
    """The newest job that attaches a domain's mail."""
    return latest_job(actor, workflow="maildomains.attach", subject_id=mail.pk)


def _start(actor: Actor, mail: MailDomain) -> Job:
    return start_job(
        actor,
        "maildomains.attach",
        label="Attach mail",
        subject_id=mail.pk,
        subject_label=str(mail.domain),
        params={"credential": str(mail.credential_id)},
        # It writes a record, so not while a DNS plan of the zone is being written.
        lock=f"zone:{mail.domain.zone.pk}",
    )


# --- Called by states ------------------------------------------------------------------------


@transaction.atomic
def finish_attaching(mail: MailDomain) -> None:
    """The vendor believes that the domain is ours."""
    if mail.status == MailDomain.PENDING:
        mail.move(MailDomain.ACTIVE, error_code="", error_message="")
        domain = mail.domain
        record(system(mail.tenant_id), "mail.active", domain, f"The mail of {domain} is attached.")


@transaction.atomic
def fail_attaching(mail: MailDomain, code: str, message: str) -> None:
    """The job ended without it."""
    if mail.status == MailDomain.PENDING:
        mail.move(MailDomain.FAILED, error_code=code, error_message=message)


def attach_again(mail: MailDomain) -> None:
    """A failed attachment is tried again."""
    if mail.status == MailDomain.FAILED:
        mail.move(MailDomain.PENDING, error_code="", error_message="")


# --- For pages -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attachment:
    """What a page needs so that a domain's mail can be attached to where its records lead.

    `provider`: its key; `label` and `verified_by` as it has them. `mail`: the domain's row if it is
    about this provider. `in_the_way`: how many mailboxes of another stand on the domain.
    """

    provider: str
    label: str
    verified_by: str
    credentials: list[ProviderCredential]
    mail: MailDomain | None
    job: Job | None
    in_the_way: int

    @property
    def is_pending(self) -> bool:
        return self.mail is not None and self.mail.status == MailDomain.PENDING

    @property
    def steps(self) -> list[JobStep]:
        """Of the job that attaches it."""
        return list(self.job.steps.all()) if self.job else []


def attachment_of(
    actor: Actor, domain: Domain, mail: MailDomain | None, platform: str
) -> Attachment | None:
    """Where a domain's records lead to a vendor to which its mail is not attached (yet).

    `platform`: `platform_in_force` of the domain; `mail`: its `mail_of`.
    """
    vendors = (cls for (port, _), cls in registry.all_providers().items() if port == "mail")
    cls = next((one for one in vendors if one.claims_domains and one.platform == platform), None)
    if cls is None:
        return None
    if mail is not None and mail.provider == cls.key and mail.status == MailDomain.ACTIVE:
        return None
    present = Mailbox.objects.present().filter(domain=domain).exclude(provider=cls.key)
    mine = mail if mail is not None and mail.provider == cls.key else None
    return Attachment(
        provider=cls.key,
        label=cls.label,
        verified_by=cls.verified_by,
        credentials=list(chosen_credentials(actor, cls.key)),
        mail=mine,
        job=attaching_job(actor, mine) if mine else None,
        in_the_way=present.count(),
    )
