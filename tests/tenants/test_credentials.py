"""Provider credentials: sealed, tested, changed, removed, and never shown."""

import json
import logging

import pytest
from django.conf import LazySettings

from events.models import Event
from mpanel.core import registry
from mpanel.core.actor import ADMIN
from mpanel.core.errors import Forbidden, Invalid
from mpanel.core.secrets import Unsealable, new_key
from provisioning.models import JobLog
from tenants import services
from tenants.models import ProviderCredential
from tests.cast import Person, helper_of
from tests.sandboxes import RunningSandbox
from tests.stories import connected, use_own_account
from tests.work import work_off

SECRET = "sandbox-adas-own-secret"
ADD = "/credentials/add/dns/cloudflare/"


def add(person: Person, *, label: str = "Mine", token: str = SECRET) -> ProviderCredential:
    """Add an account on the page, and let a worker test it."""
    answer = person.client.post(
        ADD, {"label": label, "api_token": token, "account_id": account_id(token)}
    )
    assert answer.status_code == 302, answer.content
    work_off()
    return ProviderCredential.objects.get(tenant_id=person.actor.tenant_id, label=label)


def account_id(token: str) -> str:
    from sandbox.accounts import account_of

    account = account_of(token)
    return account.id if account else "0" * 32


def test_the_form_has_the_fields_that_the_provider_declares(ada: Person) -> None:
    page = ada.client.get(ADD).content.decode()
    fields = registry.get("dns", "cloudflare").credential_fields
    assert fields
    for field in fields:
        assert f'name="{field.name}"' in page
        assert field.label in page
    assert page.count('type="password"') == sum(field.secret for field in fields)
    assert ada.client.get("/credentials/add/dns/nobody/").status_code == 404
    assert ada.client.get("/credentials/add/mail/cloudflare/").status_code == 404


def test_a_credential_is_added_and_works(ada: Person, sandbox: RunningSandbox) -> None:
    credential = add(ada)
    assert credential.result == ProviderCredential.WORKS
    assert "Connected to the Cloudflare account" in credential.result_message
    assert credential.result_message in ada.client.get("/credentials/").content.decode()


def test_missing_values_are_named_beside_their_fields(ada: Person) -> None:
    answer = ada.client.post(ADD, {"label": "Mine", "api_token": " ", "account_id": ""})
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"api_token", "account_id"}
    answer = ada.client.post(ADD, {"label": "Included DNS", "api_token": "x", "account_id": "y"})
    assert answer.context["form"].errors["label"] == ["You have a credential of that name already."]
    assert ProviderCredential.objects.filter(port="dns").count() == 1


def test_a_refused_token_is_told(ada: Person, sandbox: RunningSandbox) -> None:
    credential = add(ada, token="no-such-token")
    assert credential.result == ProviderCredential.REFUSED
    assert credential.result_message


def test_a_vendor_that_is_down_refuses_nobody(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.fault("cloudflare", "status", status=503, times=None)
    credential = add(ada)
    assert credential.result == ProviderCredential.UNREACHABLE
    sandbox.clear_faults()
    answer = ada.client.post(f"/credentials/{credential.pk}/test/", headers={"HX-Request": "true"})
    assert "Asking" in answer.content.decode()
    work_off()
    partial = ada.client.get(f"/credentials/{credential.pk}/test/", headers={"HX-Request": "true"})
    assert "Works" in partial.content.decode()
    assert "<html" not in partial.content.decode()


def test_a_lost_test_is_run_by_the_sweep(ada: Person, sandbox: RunningSandbox) -> None:
    from datetime import timedelta

    from django.utils import timezone

    ProviderCredential.objects.filter(pk=ada.credential.pk).update(
        test_asked_at=timezone.now() - timedelta(minutes=1)
    )
    services.run_forgotten_tests()
    assert ada.credential.result == ProviderCredential.WORKS


def test_one_that_cannot_be_tested_holds_up_no_other(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    from datetime import timedelta

    from django.utils import timezone

    pair = (use_own_account(ada), use_own_account(cy))
    damaged, whole = sorted(pair, key=lambda one: one.pk)
    ProviderCredential.objects.filter(pk=damaged.pk).update(sealed=whole.sealed)
    asked = timezone.now() - timedelta(minutes=1)
    ProviderCredential.objects.filter(pk__in=(damaged.pk, whole.pk)).update(test_asked_at=asked)
    services.run_forgotten_tests()
    damaged.refresh_from_db()
    whole.refresh_from_db()
    assert whole.result == ProviderCredential.WORKS
    assert damaged.result == ProviderCredential.UNREACHABLE
    assert damaged.result_message.startswith("A stored secret cannot be opened.")


def test_the_secret_is_shown_nowhere(
    ada: Person, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credential = add(ada)
    edit = f"/credentials/{credential.pk}/"
    ada.client.post(edit, {"label": "Renamed", "api_token": "", "account_id": "wrong"})
    ada.client.post(edit, {"label": "Renamed", "api_token": SECRET, "account_id": "wrong"})
    work_off()
    pages = [
        ada.client.get(path).content.decode()
        for path in ("/credentials/", edit, f"{edit}delete/", "/overview/", "/jobs/")
    ]
    rows = [
        json.dumps(list(Event.objects.values()), default=str),
        json.dumps(list(JobLog.objects.values()), default=str),
        json.dumps(list(ProviderCredential.objects.values()), default=str),
    ]
    seen = [*pages, *rows, caplog.text, repr(credential), repr(vars(credential)), str(credential)]
    assert not any(SECRET in text for text in seen)
    assert ProviderCredential.objects.get(pk=credential.pk).values()["api_token"] == SECRET


def test_a_refused_form_does_not_repeat_the_secret(ada: Person) -> None:
    answer = ada.client.post(ADD, {"label": "Mine", "api_token": SECRET, "account_id": ""})
    assert answer.status_code == 422
    assert SECRET not in answer.content.decode()


def test_a_sealed_value_belongs_to_its_row(ada: Person, cy: Person) -> None:
    mine, theirs = use_own_account(ada), use_own_account(cy)
    theirs.sealed = mine.sealed
    theirs.save()
    with pytest.raises(Unsealable):
        cy.credential.values()
    assert ada.credential.values()["api_token"] == "sandbox-ada"


def test_keys_rotate(ada: Person, settings: LazySettings) -> None:
    before = list(settings.ENCRYPTION_KEYS)
    credential = use_own_account(ada)
    settings.ENCRYPTION_KEYS = [new_key(), *before]
    (front, _, _) = settings.ENCRYPTION_KEYS[0].partition(":")
    assert credential.values()["api_token"] == "sandbox-ada"
    assert credential.sealed.startswith("v1.test.")
    services.change_credential(ada.actor, credential.pk, label="Renamed", values=credential.public)
    assert ada.credential.sealed.startswith(f"v1.{front}.")
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert ada.credential.values()["api_token"] == "sandbox-ada"
    settings.ENCRYPTION_KEYS = before
    with pytest.raises(Unsealable):
        ada.credential.values()


def test_an_empty_secret_keeps_the_present_one(ada: Person, sandbox: RunningSandbox) -> None:
    credential = add(ada)
    path, account = f"/credentials/{credential.pk}/", account_id(SECRET)
    given = {"label": "New name", "api_token": "", "account_id": account}
    assert ada.client.post(path, given).status_code == 302
    credential.refresh_from_db()
    assert credential.label == "New name"
    assert credential.values() == {"api_token": SECRET, "account_id": account}
    assert credential.result == ProviderCredential.UNTESTED
    ada.client.post(path, {**given, "api_token": "sandbox-other"})
    credential.refresh_from_db()
    assert credential.values()["api_token"] == "sandbox-other"


def test_another_value_changes_only_with_the_secret(ada: Person, sandbox: RunningSandbox) -> None:
    credential = add(ada)
    path = f"/credentials/{credential.pk}/"
    assert "enter it again" in ada.client.get(path).content.decode()
    given = {"label": "Elsewhere", "api_token": "", "account_id": "b"}
    answer = ada.client.post(path, given)
    assert answer.status_code == 422
    assert "again" in answer.context["form"].errors["api_token"][0]
    with pytest.raises(Invalid) as refused:
        services.change_credential(ada.actor, credential.pk, label="", values={"account_id": "b"})
    assert set(refused.value.details) == {"api_token"}
    credential.refresh_from_db()
    assert (str(credential), credential.public["account_id"]) == ("Mine", account_id(SECRET))
    assert ada.client.post(path, {**given, "api_token": SECRET}).status_code == 302
    credential.refresh_from_db()
    assert credential.values() == {"api_token": SECRET, "account_id": "b"}


def test_one_in_use_stays(ada: Person, sandbox: RunningSandbox) -> None:
    use_own_account(ada)
    connected(ada, "example.test")
    path = f"/credentials/{ada.credential.pk}/delete/"
    assert "Remove" in ada.client.get(path).content.decode()
    answer = ada.client.post(path)
    assert answer.status_code == 409
    assert "still use this credential" in answer.content.decode()
    assert ada.credential
    assert not Event.objects.filter(action="credential.deleted").exists()


def test_one_that_nothing_uses_goes(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    credential = add(ada)
    assert ada.client.post(f"/credentials/{credential.pk}/delete/").status_code == 302
    assert not ProviderCredential.objects.filter(pk=credential.pk).exists()
    assert Event.objects.filter(action="credential.deleted", subject_id=credential.pk).exists()
    # Without any, the setup says what to do first.
    settings.HOUSE_CLOUDFLARE_TOKEN = ""
    assert "First, a DNS account" in ada.client.get("/setup/").content.decode()


def test_a_member_may_look_and_not_change(ada: Person, bo: Person) -> None:
    credential = use_own_account(ada)
    assert bo.client.get("/credentials/").status_code == 200
    path = f"/credentials/{credential.pk}/"
    values = {"label": "Mine", "api_token": "x", "account_id": "y"}
    for url in (ADD, path, f"{path}test/", f"{path}delete/"):
        assert bo.client.post(url, values).status_code == 403
    assert ProviderCredential.objects.get(port="dns").label == credential.label
    admin = helper_of(ada, "di", ADMIN)
    assert admin.client.post(f"{path}test/").status_code == 302


def test_services_ask_who(ada: Person, bo: Person) -> None:
    with pytest.raises(Forbidden):
        services.start_test(bo.actor, ada.credential.pk)


def test_a_stranger_sees_nothing(ada: Person, cy: Person) -> None:
    path = f"/credentials/{ada.credential.pk}/"
    for url in (path, f"{path}test/", f"{path}delete/"):
        assert cy.client.get(url).status_code == 404
        assert cy.client.post(url).status_code == 404
    assert str(ada.credential.pk) not in cy.client.get("/credentials/").content.decode()


def test_the_profile_says_who(ada: Person, bo: Person) -> None:
    path = "/settings/profile/"
    assert ada.client.post(path, {"name": "Ada", "tenant_name": "Engines"}).status_code == 302
    assert ada.tenant.name == "Engines"
    # A member changes their own name, not the organisation's.
    assert bo.client.post(path, {"name": "Bo", "tenant_name": "Engines"}).status_code == 302
    assert bo.client.post(path, {"name": "Bo", "tenant_name": "Mine"}).status_code == 403
    assert ada.client.post(path, {"name": "", "tenant_name": ""}).status_code == 422
    assert ada.tenant.name == "Engines"
