"""Accounts that the host includes: referred to, locked, rotated by a setting, never shown."""

from importlib import import_module

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from dnszones.vendors import dns_provider
from domains.models import Domain
from domains.services import connect_domain
from events.models import Event
from events.services import record
from mpanel.core.errors import ProviderError
from mpanel.core.periodic import all_sweeps
from sandbox.accounts import account_of
from tenants import services
from tenants.models import ProviderCredential
from tenants.services.operators import make_operator
from tests.api import Api
from tests.cast import Person, owner
from tests.sandboxes import RunningSandbox
from tests.stories import use_own_account
from tests.work import work_off

pytestmark = pytest.mark.django_db
HOSTS = {
    "HOUSE_CLOUDFLARE_TOKEN": "sandbox-hosts-token",
    "HOUSE_CLOUDFLARE_ACCOUNT": "0123456789abcdef0123456789abcdef",
    "POWERDNS_BASE_URL": "http://127.0.0.1:9/api/v1/servers/localhost",
    "HOUSE_POWERDNS_KEY": "hosts-powerdns-key",
    "HOUSE_POWERDNS_NAMESERVERS": "ns1.hosts-own.test, ns2.hosts-own.test",
    "HOUSE_NAMECHEAP_USER": "hosts-namecheap-user",
    "HOUSE_NAMECHEAP_KEY": "hosts-namecheap-key",
    "HOUSE_NAMECHEAP_ADDRESS": "192.0.2.77",
    "HOUSE_SMARTLEAD_KEY": "hosts-smartlead-key",
    "HOUSE_INSTANTLY_KEY": "hosts-instantly-key",
}
LABELS = [
    "Included DNS",
    "Included Instantly",
    "Included PowerDNS",
    "Included Smartlead",
    "Included registrar",
]


@pytest.fixture
def host(settings: LazySettings) -> LazySettings:
    """A host that includes an account of nearly every kind."""
    for name, value in HOSTS.items():
        setattr(settings, name, value)
    return settings


def accounts(person: Person) -> dict[str, ProviderCredential]:
    """The person's included accounts, by label."""
    found = ProviderCredential.objects.filter(tenant_id=person.actor.tenant_id, is_included=True)
    return {row.label: row for row in found}


def renew() -> None:
    all_sweeps()["tenants.included_accounts"].work()


# --- Referred to, and locked ----------------------------------------------------------------------


def test_a_new_tenant_has_references_that_hold_nothing(host: LazySettings) -> None:
    rows = accounts(owner("ada"))
    assert sorted(rows) == LABELS
    assert {(row.sealed, str(row.public)) for row in rows.values()} == {("", "{}")}
    assert rows["Included DNS"].values()["api_token"] == "sandbox-hosts-token"
    with pytest.raises(IntegrityError), transaction.atomic():
        ProviderCredential.objects.filter(is_included=True).update(sealed="v1.test.abc")


def test_an_included_account_cannot_be_changed_or_removed(host: LazySettings) -> None:
    ada, cy = owner("ada"), owner("cy")
    for label, row in accounts(ada).items():
        path = f"/credentials/{row.pk}/"
        mine = {
            "label": "Mine",
            "nameservers": "ns1.bigmail.test, ns2.bigmail.test",
            "account_id": "f" * 32,
            "client_ip": "203.0.113.9",
            "api_key": "",
            "api_token": "",
            "api_user": "cy",
        }
        assert ada.client.get(path).status_code == 409
        answer = ada.client.post(path, mine)
        assert answer.status_code == 409
        assert "cannot be changed or removed here" in answer.content.decode()
        assert ada.client.get(f"{path}delete/").status_code == 409
        assert ada.client.post(f"{path}delete/").status_code == 409
        for url in (path, f"{path}delete/", f"{path}test/"):
            assert cy.client.post(url, mine).status_code == 404
        with pytest.raises(services.AccountIsIncluded):
            services.change_credential(ada.actor, row.pk, label="Mine", values=mine)
        with pytest.raises(services.AccountIsIncluded):
            services.remove_credential(ada.actor, row.pk)
        row.refresh_from_db()
        assert (row.label, row.public, row.sealed) == (label, {}, "")
    assert not Event.objects.filter(action__startswith="credential.").exists()


def test_the_hosts_nameservers_come_from_the_settings_alone(host: LazySettings) -> None:
    cy = owner("cy")
    row = accounts(cy)["Included PowerDNS"]
    given = {"label": "x", "api_key": "", "nameservers": "ns1.bigmail.test, ns2.bigmail.test"}
    cy.client.post(f"/credentials/{row.pk}/", given)
    cy.client.post("/credentials/add/dns/powerdns/", {**given, "api_key": "guessed"})
    (only,) = ProviderCredential.objects.filter(tenant=cy.tenant, provider="powerdns")
    assert only.values()["nameservers"] == HOSTS["HOUSE_POWERDNS_NAMESERVERS"]


def test_its_values_are_shown_nowhere(host: LazySettings) -> None:
    ada = owner("ada")
    make_operator(ada.user)
    rows = accounts(ada)
    pages = ["/credentials/", "/credentials/add/", "/setup/", "/setup/register/", "/overview/"]
    pages += ["/panel/", "/admin/tenants/providercredential/"]
    pages += [f"/admin/tenants/providercredential/{row.pk}/change/" for row in rows.values()]
    shown = "".join(ada.client.get(page, follow=True).content.decode() for page in pages)
    shown += Client().get("/api/schema/?format=json").content.decode()
    assert "Included PowerDNS" in shown
    assert [value for value in HOSTS.values() if value in shown] == []
    listed = ada.client.get("/credentials/").content.decode()
    for row in rows.values():
        assert row.label in listed
        assert f"/credentials/{row.pk}/delete/" not in listed
        assert f'href="/credentials/{row.pk}/"' not in listed
    assert listed.count("The host’s") == len(rows)


def test_nobody_takes_the_name_of_one(ada: Person, host: LazySettings) -> None:
    given = {"api_token": "sandbox-ada", "account_id": "b" * 32}
    for label in ("Included PowerDNS", " included  POWERDNS "):
        answer = ada.client.post("/credentials/add/dns/cloudflare/", {"label": label, **given})
        assert list(answer.context["form"].errors) == ["label"]
    own = use_own_account(ada)
    answer = ada.client.post(
        f"/credentials/{own.pk}/", {"label": "Included DNS", "api_token": "", **own.public}
    )
    assert list(answer.context["form"].errors) == ["label"]


def test_a_test_does_not_name_the_hosts_account(ada: Person, sandbox: RunningSandbox) -> None:
    for row in accounts(ada).values():
        services.start_test(ada.actor, row.pk)
    work_off()
    said = {row.label: row.result_message for row in accounts(ada).values()}
    assert set(said.values()) == {"The included account works."}, said


# --- Rotated, added and taken away by the host ----------------------------------------------------


def test_the_hosts_rotated_key_reaches_old_tenants(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    account = account_of("sandbox-rotated")
    assert account is not None
    settings.HOUSE_CLOUDFLARE_TOKEN = "sandbox-rotated"
    settings.HOUSE_CLOUDFLARE_ACCOUNT = account.id
    domain = connect_domain(ada.actor, "example.test")
    work_off()
    domain.refresh_from_db()
    assert domain.status == Domain.PENDING_NAMESERVERS
    theirs = dns_provider(use_own_account(owner("rotated")))
    assert theirs.find_zone("example.test") is not None, "it is in the account of the new key"


def test_what_the_host_adds_later_reaches_old_tenants(
    ada: Person, cy: Person, host: LazySettings
) -> None:
    assert "Included PowerDNS" not in accounts(ada)
    renew()
    assert sorted(accounts(ada)) == sorted(accounts(cy)) == LABELS
    before = set(ProviderCredential.objects.values_list("pk", flat=True))
    renew()
    assert set(ProviderCredential.objects.values_list("pk", flat=True)) == before


def test_one_that_was_removed_comes_back(ada: Person) -> None:
    ProviderCredential.objects.filter(provider="cloudflare").delete()
    renew()
    assert "Included DNS" in accounts(ada)


def test_what_the_host_takes_away_says_so(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    row = accounts(ada)["Included DNS"]
    settings.HOUSE_CLOUDFLARE_TOKEN = ""
    assert "no longer includes this account" in ada.client.get("/credentials/").content.decode()
    assert "First, a DNS account" in ada.client.get("/setup/").content.decode()
    api = Api(ada.token)
    wish = {"domain": "example.test", "credential_id": str(row.pk)}
    answer = api.post("/api/v1/domains/connect", wish)
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    assert "no longer includes" in answer.body["error"]["message"]
    answer = api.post("/api/v1/domains/connect", {"domain": "example.test"})
    assert (answer.status, answer.error) == (409, "DNS_NOT_CONNECTED")
    with pytest.raises(ProviderError, match="no longer includes"):
        dns_provider(row)
    settings.HOUSE_CLOUDFLARE_TOKEN = "sandbox-token"
    assert api.post("/api/v1/domains/connect", wish).status == 201


# --- Rows from before -----------------------------------------------------------------------------


def copied(person: Person, port: str, provider: str, label: str, **values: str) -> str:
    """A row as it was before: the host's values, copied."""
    row = ProviderCredential(
        tenant_id=person.actor.tenant_id, port=port, provider=provider, label=label
    )
    row.set_values(values)
    row.save()
    return str(row.pk)


def edited(person: Person, row_id: str) -> None:
    row = ProviderCredential.objects.get(pk=row_id)
    record(person.actor, "credential.updated", row, f"Changed the credential “{row}”.")


def test_copies_from_before_become_references(ada: Person, host: LazySettings) -> None:
    cloudflare, powerdns = ("dns", "cloudflare"), ("dns", "powerdns")
    token, key = HOSTS["HOUSE_CLOUDFLARE_TOKEN"], HOSTS["HOUSE_POWERDNS_KEY"]
    cast = {name: owner(name) for name in ("old", "swapped", "renamed", "own", "two")}
    ProviderCredential.objects.all().delete()
    theirs = "ns1.bigmail.test, ns2.bigmail.test"
    old = copied(cast["old"], *cloudflare, "Included DNS", api_token="rotated", account_id="a")
    swapped = copied(cast["swapped"], *cloudflare, "Mine", api_token=token, account_id="b")
    renamed = copied(cast["renamed"], *powerdns, "Mine", api_key=key, nameservers=theirs)
    own = copied(cast["own"], *cloudflare, "Included DNS", api_token="sandbox-own", account_id="c")
    first = copied(cast["two"], *powerdns, "Included PowerDNS", api_key=key, nameservers=theirs)
    second = copied(cast["two"], *powerdns, "Ours", api_key="guessed", nameservers=theirs)
    for name, row_id in (("swapped", swapped), ("renamed", renamed), ("own", own)):
        edited(cast[name], row_id)
    domain = Domain.objects.create(
        tenant=cast["two"].tenant,
        name="two.test",
        unicode_name="two.test",
        dns_credential_id=second,
    )

    name = "0006_included_accounts_refer_to_settings"
    migration = import_module(f"tenants.migrations.{name}")
    then = MigrationExecutor(connection).loader.project_state(("tenants", name), at_end=False)
    migration.refer_to_settings(then.apps, None)

    for row_id in (old, swapped, renamed, first):
        row = ProviderCredential.objects.get(pk=row_id)
        assert (row.is_included, row.public, row.sealed) == (True, {}, "")
        assert row.label in LABELS
    kept = ProviderCredential.objects.get(pk=own)
    assert (kept.is_included, kept.label) == (False, "Included DNS (own)")
    assert kept.values() == {"api_token": "sandbox-own", "account_id": "c"}
    assert not ProviderCredential.objects.filter(pk=second).exists()
    domain.refresh_from_db()
    assert str(domain.dns_credential_id) == first
