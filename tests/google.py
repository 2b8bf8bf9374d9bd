"""Google Workspace at the sandbox, as tests drive it."""

import json
from typing import Any

from django_q.models import OrmQ

from dnszones.models import ChangePlan, Record
from dnszones.plans.services import apply_plan
from domains.models import Domain
from mailboxes.maildomains import attach_mail
from mailboxes.providers.google_workspace import GoogleWorkspace
from mailservers.models import MailDomain
from provisioning.models import Job
from tenants.models import ProviderCredential
from tenants.services import add_credential
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import planned, verified
from tests.wizard.rows import estate
from tests.work import sure, until, work_off

PROVIDER = "google-workspace"


def google_values(sandbox: RunningSandbox, admin: str = "") -> dict[str, str]:
    """What a customer enters: the sandbox's service account, and an administrator."""
    shown = sandbox.control("GET", "google")
    return {
        "service_account_json": json.dumps(shown["service_account"]),
        "admin_email": admin or shown["admin_email"],
    }


def google_provider(sandbox: RunningSandbox, admin: str = "", **changes: Any) -> GoogleWorkspace:
    """The provider over the sandbox, without a database."""
    base = f"{sandbox.base_url}/google/"
    given: dict[str, Any] = {
        "directory_url": base,
        "verification_url": f"{base}siteVerification/v1/",
        "token_url": f"{base}token",
        "timeout": 3.0,
    }
    return GoogleWorkspace(google_values(sandbox, admin), **given | changes)


def google_credential(person: Person, sandbox: RunningSandbox) -> ProviderCredential:
    """A person's credential for the sandbox's Google Workspace; the same one at every call."""
    known = ProviderCredential.objects.filter(tenant_id=person.actor.tenant_id, provider=PROVIDER)
    return known.first() or add_credential(
        person.actor, port="mail", provider=PROVIDER, label="Ours", values=google_values(sandbox)
    )


def published_for_google(person: Person, name: str, sandbox: RunningSandbox) -> Domain:
    """A domain whose records lead to Google and have spread; its mail is attached nowhere yet."""
    domain = verified(person, name, sandbox)
    sure(apply_plan, person.actor, planned(person, domain, platform=PROVIDER).pk)
    work_off()

    def is_ready() -> bool:
        Record.objects.filter(zone__domain=domain).update(next_check_at="2000-01-01T00:00Z")
        domain.refresh_from_db()
        return domain.status == Domain.READY

    until(is_ready, sweep="dnszones.propagation")
    return domain


def at_google(person: Person, name: str, sandbox: RunningSandbox) -> Domain:
    """A domain whose mail is attached to Google, with its records published."""
    domain = published_for_google(person, name, sandbox)
    credential = google_credential(person, sandbox)
    mail = attach_mail(person.actor, domain.pk, provider=PROVIDER, credential_id=credential.pk)

    def is_attached() -> bool:
        mail.refresh_from_db()
        return mail.status != MailDomain.PENDING

    until(is_attached)
    assert mail.status == MailDomain.ACTIVE, mail.error_message
    return domain


def ready_at_google(person: Person, name: str, sandbox: RunningSandbox) -> Domain:
    """`at_google` by rows only, without the minutes before; its zone exists nowhere."""
    domain = estate(person, name, inboxes=0).domain
    ChangePlan.objects.filter(zone__domain=domain).delete()
    Job.objects.filter(subject_label=name).delete()
    OrmQ.objects.all().delete()
    sandbox.control("POST", "google/domains", {"domain": name})
    MailDomain.objects.create(
        tenant_id=domain.tenant_id,
        domain=domain,
        provider=PROVIDER,
        credential=google_credential(person, sandbox),
        status=MailDomain.ACTIVE,
    )
    return domain


def google_users(sandbox: RunningSandbox) -> dict[str, dict[str, Any]]:
    """The accounts at Google, by address."""
    return {user["primaryEmail"]: user for user in sandbox.control("GET", "google")["users"]}


def google_does(sandbox: RunningSandbox, action: str, email: str, **how: str) -> None:
    """Do something to an account behind mPanel's back."""
    sandbox.control("POST", "google/users", {"action": action, "email": email, **how})
