"""A credential of Google Workspace: its form, its checks, its test."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from mailboxes.vendors import google_workspace
from mpanel.core.errors import ProviderError
from sandbox.google_workspace import DEMO_ADMIN, KEY_FILE, make_service_account
from tenants.models import ProviderCredential
from tests.cast import Person, owner
from tests.google import PROVIDER, google_values
from tests.sandboxes import RunningSandbox
from tests.work import work_off

ADD = f"/credentials/add/mail/{PROVIDER}/"
pytestmark = pytest.mark.django_db


def test_a_credential_of_google_is_checked_tested_and_never_shown(
    ada: Person, sandbox: RunningSandbox
) -> None:
    page = ada.client.get(ADD).text
    assert "<textarea" in page
    wrong = {"label": "Ours", "service_account_json": "secret, no JSON", "admin_email": "nobody"}
    answer = ada.client.post(ADD, wrong)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"service_account_json", "admin_email"}
    assert "secret, no JSON" not in answer.text
    assert not ProviderCredential.objects.filter(provider=PROVIDER).exists()

    answer = ada.client.post(ADD, {"label": "Ours", **google_values(sandbox)})
    assert answer.status_code == 302
    work_off()
    credential = ProviderCredential.objects.get(provider=PROVIDER)
    assert credential.result == ProviderCredential.WORKS, credential.result_message
    assert "Acts for admin@workspace.test" in ada.client.get("/credentials/").text
    page = ada.client.get(f"/credentials/{credential.pk}/").text
    assert "admin@workspace.test" in page
    assert "BEGIN PRIVATE KEY" not in page
    # Whoever changes the administrator must know the secret.
    values = {"label": "Ours", "service_account_json": "", "admin_email": "who@workspace.test"}
    answer = ada.client.post(f"/credentials/{credential.pk}/", values)
    assert set(answer.context["form"].errors) == {"service_account_json"}
    values["service_account_json"] = google_values(sandbox)["service_account_json"]
    assert ada.client.post(f"/credentials/{credential.pk}/", values).status_code == 302
    work_off()
    credential.refresh_from_db()
    assert credential.result == ProviderCredential.REFUSED
    assert "does not know the administrator" in credential.result_message


def test_the_sandboxs_accounts_include_one(
    db: None, settings: LazySettings, tmp_path: Path
) -> None:
    make_service_account(tmp_path)
    settings.HOUSE_GOOGLE_KEY_FILE = str(tmp_path / KEY_FILE)
    person = owner("ada")
    credential = ProviderCredential.objects.get(tenant=person.tenant, provider=PROVIDER)
    assert credential.label == "Included Google Workspace"
    assert credential.values()["admin_email"] == DEMO_ADMIN


def test_an_error_of_the_included_account_does_not_name_its_administrator(
    sandbox: RunningSandbox, db: None, settings: LazySettings, tmp_path: Path
) -> None:
    key = tmp_path / KEY_FILE
    key.write_text(google_values(sandbox)["service_account_json"])
    settings.HOUSE_GOOGLE_KEY_FILE = str(key)
    settings.HOUSE_GOOGLE_ADMIN = "boss@workspace.test"
    person = owner("ada")
    credential = ProviderCredential.objects.get(tenant=person.tenant, provider=PROVIDER)
    with pytest.raises(ProviderError) as refused:
        google_workspace(credential).domain_claim("example.test")
    assert "the administrator of this account" in refused.value.message
