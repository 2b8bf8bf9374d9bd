"""What is wrong is said in one vocabulary: at its row in the list, and counted on the overview."""

from collections.abc import Callable

import pytest
from django.db.models import Model
from django.utils import timezone

from dnszones.models import PropagationSession, Record, SpfFlattening, ZoneDiscovery
from domains.models import Domain, Registration
from events.models import WebhookEndpoint
from mailboxes.models import Mailbox
from mailservers.models import MailDomain
from mpanel.core import troubles
from outreach.models import OutreachLink
from provisioning.models import Job
from provisioning.services import start_job
from tenants.models import ProviderCredential
from tests.cast import Person
from tests.stories import own_account
from tests.wizard.rows import Estate, estate


def change(row: Model, **values: object) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**values)


def link(mailbox: Mailbox, status: str) -> None:
    OutreachLink.objects.create(
        tenant_id=mailbox.tenant_id, mailbox=mailbox, provider="instantly", status=status
    )


def unregistered(of: Estate) -> None:
    change(of.domain, status=Domain.PENDING, verified_at=None)
    Registration.objects.create(
        tenant=of.domain.tenant,
        domain=of.domain,
        name=of.domain.name,
        provider="namecheap",
        status=Registration.FAILED,
        cost=1000,
        max_cost=1000,
        currency="USD",
    )


def flattened(of: Estate, **values: object) -> None:
    SpfFlattening.objects.create(zone=of.zone, source="v=spf1 -all", **values)


def drifted(of: Estate) -> None:
    change(of.session, status=PropagationSession.COMPLETED)
    Record.objects.filter(zone=of.zone).update(own={"verdict": "missing", "found": []})


def not_spread(of: Estate) -> None:
    change(of.domain, status=Domain.DNS_CONFIGURING)
    change(of.session, status=PropagationSession.TIMEOUT)


def to_be_chosen(of: Estate) -> None:
    change(of.domain, status=Domain.PENDING_NAMESERVERS, verified_at=None)
    ZoneDiscovery.objects.filter(zone=of.zone).update(status=ZoneDiscovery.DIFFERENT)


def unattached(of: Estate) -> None:
    MailDomain.objects.create(
        tenant=of.domain.tenant,
        domain=of.domain,
        provider="google_workspace",
        credential_id=of.credential_id,
        status=MailDomain.FAILED,
        error_message="Refused.",
    )


def credential(of: Estate) -> ProviderCredential:
    return ProviderCredential.objects.get(pk=of.credential_id)


def gone(of: Estate) -> None:
    ProviderCredential.objects.create(
        tenant=of.domain.tenant,
        port="dns",
        provider="powerdns",
        label=f"Was the host's, for {of.domain}",
        is_included=True,
    )


WRONG: dict[tuple[str, str], Callable[[Estate], object]] = {
    ("Domain", "revoked"): lambda of: change(
        of.domain, revoked_at=timezone.now(), verified_at=None
    ),
    ("Domain", "delegation"): lambda of: change(
        of.domain, delegation={"verdict": "conflicts", "message": "They point elsewhere."}
    ),
    ("Domain", "stale_ds"): lambda of: change(
        of.domain, delegation={"verdict": "matches", "message": "", "stale_ds": ["1 13 2 AB"]}
    ),
    ("Domain", "not_registered"): unregistered,
    ("Domain", "not_spread"): not_spread,
    ("Domain", "existing"): to_be_chosen,
    ("Domain", "mail"): unattached,
    ("Zone", "drifted"): drifted,
    ("Zone", "spf_failing"): lambda of: flattened(of, failing_since=timezone.now()),
    ("Zone", "spf_edited"): lambda of: flattened(of, status=SpfFlattening.EDITED),
    ("Mailbox", "failed"): lambda of: change(of.mailboxes[0], status=Mailbox.FAILED),
    ("Mailbox", "paused"): lambda of: change(of.mailboxes[0], paused_at=timezone.now()),
    ("Mailbox", "full"): lambda of: change(of.mailboxes[0], stored_bytes=1024 * 2**20),
    ("Mailbox", "almost_full"): lambda of: change(of.mailboxes[0], stored_bytes=1023 * 2**20),
    ("Mailbox", "not_told"): lambda of: change(of.mailboxes[0], error_message="Refused."),
    ("Mailbox", "outreach"): lambda of: link(of.mailboxes[0], OutreachLink.FAILED),
    ("Mailbox", "suspended"): lambda of: change(of.mailboxes[0], status=Mailbox.SUSPENDED),
    ("Job", "failed"): lambda of: change(of.job, status=Job.FAILED),
    ("WebhookEndpoint", "failing"): lambda of: change(
        of.delivery.endpoint, failing_since=timezone.now()
    ),
    ("WebhookEndpoint", "disabled"): lambda of: change(
        of.delivery.endpoint,
        failing_since=timezone.now(),
        enabled=False,
        disabled_reason="Nothing could be delivered.",
    ),
    ("ProviderCredential", "refused"): lambda of: change(credential(of), result="refused"),
    ("ProviderCredential", "unreachable"): lambda of: change(credential(of), result="unreachable"),
    ("ProviderCredential", "gone"): gone,
}
ATTENTION = 'id="attention"'


def test_every_kind_of_trouble_is_tried_below() -> None:
    assert set(WRONG) == set(troubles.all_kinds())


@pytest.mark.parametrize("what", sorted(WRONG), ids="-".join)
def test_a_trouble_is_in_its_list_and_on_the_overview(
    ada: Person, cy: Person, what: tuple[str, str]
) -> None:
    ill = estate(ada, "ill.test")
    estate(ada, "fine.test")
    assert ATTENTION not in ada.client.get("/overview/").content.decode()
    WRONG[what](ill)
    (found,) = [
        finding
        for finding in troubles.found_by(ada.actor)
        if finding.trouble is troubles.all_kinds()[what]
    ]
    assert found.number == 1
    overview = ada.client.get("/overview/").content.decode()
    assert found.trouble.label in overview
    assert f'href="{found.url}"' in overview
    listed = ada.client.get(found.url).content.decode().replace("<wbr>", "")
    assert found.trouble.label in listed
    if "?" in found.url:
        assert "ill.test" in listed.partition("<tbody>")[2]
        assert "fine.test" not in listed.partition("<tbody>")[2]
    if not found.trouble.in_status:
        everything = ada.client.get(found.url.partition("?")[0]).content.decode()
        assert found.trouble.advice.replace("'", "&#x27;") in everything
    assert ATTENTION not in cy.client.get("/overview/").content.decode()


def test_members_see_no_troubles_of_lists_for_admins(ada: Person, bo: Person) -> None:
    WRONG["WebhookEndpoint", "failing"](estate(ada))
    assert WebhookEndpoint.objects.filter(failing_since__isnull=False).exists()
    assert ATTENTION in ada.client.get("/overview/").content.decode()
    assert ATTENTION not in bo.client.get("/overview/").content.decode()


def test_what_passes_by_itself_is_no_trouble(ada: Person) -> None:
    """Records that are being watched, webhooks that a person switched off, jobs done again."""
    adas = estate(ada)
    Record.objects.filter(zone=adas.zone).update(own={"verdict": "missing", "found": []})
    change(adas.delivery.endpoint, enabled=False, disabled_reason="Switched off by ada.")
    change(adas.job, status=Job.FAILED)
    start_job(
        ada.actor, "mailboxes.provision", subject_id=adas.batch.pk, subject_label="example.test"
    )
    assert troubles.found_by(ada.actor) == []


def test_the_worst_is_first_and_mail_before_all_else(ada: Person) -> None:
    adas = estate(ada)
    for what in (
        ("WebhookEndpoint", "disabled"),
        ("Zone", "spf_failing"),
        ("Job", "failed"),
        ("Mailbox", "paused"),
    ):
        WRONG[what](adas)
    found = [(one.noun.split(",")[0], one.trouble.tone) for one in troubles.found_by(ada.actor)]
    assert found == [
        ("mailbox", "danger"),
        ("job", "danger"),
        ("webhook", "danger"),
        ("zone", "warning"),
    ]


@pytest.mark.parametrize("path", ["/domains/", "/dns/", "/mailboxes/", "/jobs/", "/credentials/"])
def test_a_trouble_that_nobody_knows_lists_nothing(ada: Person, path: str) -> None:
    estate(ada)
    assert "<tbody>" not in ada.client.get(f"{path}?status=trouble-made-up").content.decode()


def test_all_troubles_cost_one_query_for_each_list(
    ada: Person, django_assert_num_queries: Callable[[int], object]
) -> None:
    for number, (what, make) in enumerate(WRONG.items()):
        if what[1] not in {"gone"}:
            make(estate(ada, f"d{number}.test", inboxes=1))
    own_account(ada, label="One more")
    with django_assert_num_queries(6):  # type: ignore[attr-defined]
        assert len(troubles.found_by(ada.actor)) > 15
