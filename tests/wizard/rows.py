"""Rows of every kind, written without anything outside: for tests of who may see which page."""

from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from dnszones.dkim.keys import with_own_key
from dnszones.mail_records import MailSetup, desired_records
from dnszones.models import (
    SESSION_LASTS,
    ChangePlan,
    PropagationSession,
    Record,
    Zone,
    ZoneDiscovery,
)
from dnszones.plans import plan_changes
from domains.models import Domain
from events.models import WebhookDelivery, WebhookEndpoint, new_secret
from events.services import record
from mailboxes.models import Alias, Batch, Mailbox
from mpanel.core.actor import MEMBER
from outreach.models import OutreachLink, WarmupDay
from provisioning.models import Job
from provisioning.services import start_job
from tenants.models import ApiKey, Session
from tenants.services import create_api_key, start_session
from tenants.team.invitations import invite
from tenants.team.models import Invitation
from tests.cast import Person
from tests.stories import own_account

NAMESERVERS = ["alder.ns.cloudflare-sandbox.test", "agate.ns.cloudflare-sandbox.test"]


@dataclass(frozen=True)
class Estate:
    """One of everything that a tenant can have."""

    domain: Domain
    zone: Zone
    plan: ChangePlan
    session: PropagationSession
    job: Job
    batch: Batch
    mailboxes: tuple[Mailbox, ...]
    credential_id: UUID
    aliases: tuple[Alias, ...]
    links: tuple[OutreachLink, ...]
    delivery: WebhookDelivery
    sign_in: Session
    key: ApiKey
    invitation: Invitation

    @property
    def alias(self) -> Alias:
        """The alias of the first mailbox."""
        return self.aliases[0]

    def ids(self) -> dict[str, UUID]:
        """By the names that URLs give their parts."""
        return {
            "domain_id": self.domain.pk,
            "zone_id": self.zone.pk,
            "record_id": self.zone.pk,  # a record has the id that its provider gave it
            "plan_id": self.plan.pk,
            "session_id": self.session.pk,
            "job_id": self.job.pk,
            "batch_id": self.batch.pk,
            "mailbox_id": self.mailboxes[0].pk,
            "alias_id": self.alias.pk,
            "link_id": self.links[0].pk,
            "credential_id": self.credential_id,
            "webhook_id": self.delivery.endpoint_id,
            "delivery_id": self.delivery.pk,
            "sign_in_id": self.sign_in.pk,
            "key_id": self.key.pk,
            "invitation_id": self.invitation.pk,
            "user_id": self.sign_in.membership.user_id,
            "tenant_id": self.domain.tenant_id,
        }


def estate(person: Person, name: str = "example.test", *, inboxes: int = 2) -> Estate:
    """A provisioned domain with all that belongs to it."""
    now = timezone.now()
    domain = Domain.objects.create(
        tenant=person.tenant,
        name=name,
        unicode_name=name,
        status=Domain.PROVISIONED,
        dns_credential=person.credential,
        nameservers=NAMESERVERS,
        verified_at=now,
    )
    zone = Zone.objects.create(
        domain=domain, provider="cloudflare", remote_id=name, creation_asked_at=now
    )
    ZoneDiscovery.objects.create(zone=zone, status=ZoneDiscovery.HERE, looked_at=now)
    setup = with_own_key(
        zone,
        MailSetup(
            domain=name,
            platform="mailserver",
            mailserver_mx="mx.mail-sandbox.test",
            mailserver_spf="_spf.mail-sandbox.test",
        ),
    )
    desired = desired_records(setup)
    plan = ChangePlan.objects.create(
        zone=zone,
        status=ChangePlan.APPLIED,
        setup=setup.to_json(),
        plan=plan_changes(name, [], desired).to_json(),
        snapshot=[],
        applied_at=now,
    )
    Record.objects.bulk_create(
        Record(
            zone=zone,
            purpose=wanted.purpose,
            level=wanted.level,
            reason=wanted.reason,
            name=wanted.data.name,
            type=wanted.data.type,
            content=wanted.data.content,
            ttl=wanted.data.ttl,
            priority=wanted.data.priority,
            ours=True,
        )
        for wanted in desired
    )
    session = PropagationSession.objects.create(zone=zone, timeout_at=now + SESSION_LASTS)
    batch = Batch.objects.create(
        tenant=person.tenant, domain=domain, convention="firstname", count=inboxes
    )
    mailboxes = []
    for number in range(inboxes):
        mailbox = Mailbox(
            tenant=person.tenant,
            domain=domain,
            batch=batch,
            local_part=f"box{number}",
            address=f"box{number}@{name}",
            status=Mailbox.ACTIVE,
        )
        mailbox.set_password(f"Secret-{number}-{name}")
        mailboxes.append(mailbox)
    Mailbox.objects.bulk_create(mailboxes)
    aliases = Alias.objects.bulk_create(
        Alias(
            tenant=person.tenant,
            domain=domain,
            mailbox=mailbox,
            local_part="box.alias",
            address=f"box.alias@{name}",
        )
        for mailbox in mailboxes[:1]
    )
    job = start_job(
        person.actor, "mailboxes.provision", subject_id=batch.pk, subject_label=domain.name
    )
    return Estate(
        domain,
        zone,
        plan,
        session,
        job,
        batch,
        tuple(mailboxes),
        own_account(person, label=f"Own for {name}").pk,
        tuple(aliases),
        tuple(_past_link(mailbox) for mailbox in mailboxes[:1]),
        delivery(person, domain),
        start_session(person.user, kind=Session.BROWSER, address="192.0.2.7"),
        create_api_key(person.actor, name=f"Key of {name}", scopes=["domains:read"]).key,
        invite(person.actor, email=f"invited@{name}", role=MEMBER),
    )


def _past_link(mailbox: Mailbox) -> OutreachLink:
    """A mailbox that was at an outreach tool, with a day of warm-up."""
    link = OutreachLink.objects.create(
        tenant_id=mailbox.tenant_id,
        mailbox=mailbox,
        provider="smartlead",
        status=OutreachLink.DISCONNECTED,
    )
    WarmupDay.objects.create(link=link, date=timezone.now().date(), sent=5, delivered=4)
    return link


def delivery(person: Person, domain: Domain) -> WebhookDelivery:
    """A webhook, and what was sent to it."""
    endpoint = WebhookEndpoint(
        tenant=person.tenant, url=f"https://hooks.{domain}/", actions=["domain.*"]
    )
    endpoint.set_secret(new_secret())
    endpoint.save()
    event = record(person.actor, "webhook.created", endpoint, f"Added a webhook for {domain}.")
    return WebhookDelivery.objects.create(
        endpoint=endpoint, event=event, status=WebhookDelivery.DELIVERED, attempts=1
    )
