"""How far a story has come when a test begins: domains and inboxes made as customers make them."""

from django.conf import settings

from dnszones.models import ChangePlan, Record
from dnszones.plans.services import apply_plan, make_plan
from domains.models import Domain
from domains.services import connect_domain
from mailboxes.models import Batch
from mailboxes.services import provision_mailboxes
from sandbox.accounts import account_of
from tenants.models import ProviderCredential
from tenants.services import add_credential, include_accounts
from tests.cast import Person
from tests.powerdns import PrivatePowerDNS
from tests.sandboxes import RunningSandbox
from tests.work import sure, until, work_off

OWN_SERVER = {"platform": "mailserver"}


def use_powerdns(person: Person, server: PrivatePowerDNS) -> None:
    """Have the domains of somebody who has none yet at the host's PowerDNS."""
    assert server.url == settings.POWERDNS_BASE_URL
    include_accounts([person.actor.tenant_id])
    dns = ProviderCredential.objects.filter(tenant_id=person.actor.tenant_id, port="dns")
    dns.exclude(provider="powerdns").delete()


def use_own_account(person: Person) -> ProviderCredential:
    """Have the domains of somebody who has none yet in an account of their own at Cloudflare."""
    ProviderCredential.objects.filter(tenant_id=person.actor.tenant_id, port="dns").delete()
    return own_account(person)


def own_account(person: Person, *, label: str = "Mine") -> ProviderCredential:
    """An account of the person's own at Cloudflare, beside those that they have."""
    token = f"sandbox-{person.user.email.partition('@')[0]}"
    account = account_of(token)
    assert account is not None
    values = {"api_token": token, "account_id": account.id}
    return add_credential(
        person.actor, port="dns", provider="cloudflare", label=label, values=values
    )


def connected(person: Person, name: str) -> Domain:
    """A domain with its zone, waiting for the nameservers."""
    domain = connect_domain(person.actor, name, credential_id=person.credential.pk)
    work_off()
    domain.refresh_from_db()
    return domain


def verified(person: Person, name: str, sandbox: RunningSandbox) -> Domain:
    """A domain whose nameservers point here."""
    domain = connected(person, name)
    sandbox.set_nameservers(domain.name, domain.nameservers)

    def done() -> bool:
        domain.refresh_from_db()
        return domain.is_verified

    until(done)
    return domain


def planned(person: Person, domain: Domain, **choices: object) -> ChangePlan:
    """A plan that is ready to be applied."""
    plan = make_plan(person.actor, domain.pk, choices={**OWN_SERVER, **choices})

    def done() -> bool:
        plan.refresh_from_db()
        return plan.status != ChangePlan.COMPUTING

    until(done)
    return plan


def published(person: Person, name: str, sandbox: RunningSandbox) -> Domain:
    """A domain whose mail records have spread to every resolver."""
    domain = verified(person, name, sandbox)
    sure(apply_plan, person.actor, planned(person, domain).pk)
    work_off()

    def done() -> bool:
        Record.objects.filter(zone__domain=domain).update(next_check_at="2000-01-01T00:00Z")
        domain.refresh_from_db()
        return domain.status == Domain.READY

    until(done, sweep="dnszones.propagation")
    return domain


def provisioned(
    person: Person, name: str, sandbox: RunningSandbox, *, count: int = 3
) -> tuple[Domain, Batch]:
    """A domain with proved inboxes. Needs a test whose transactions are real."""
    domain = published(person, name, sandbox)
    batch = provision_mailboxes(
        person.actor, domain.pk, count=count, convention="firstname.lastname"
    )
    until(lambda: not batch.mailboxes.unverified().exists())
    domain.refresh_from_db()
    return domain, batch
