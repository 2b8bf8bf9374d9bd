"""A secret that does not open stops what needs it, in words, and nothing beside it."""

import pytest
from django.conf import LazySettings

from events.delivery import deliver
from events.models import WebhookDelivery, WebhookEndpoint
from events.relay import relay
from events.services import create_webhook, record, rotate_secret
from mailservers.models import MailServer
from mailservers.vendors import house_server
from mpanel.core.errors import Invalid
from mpanel.core.secrets import Unsealable, new_key
from provisioning.models import Job
from tenants import services
from tenants.models import ProviderCredential
from tests.cast import Person
from tests.events.receiver import Receiver
from tests.provisioning.workshop import opened
from tests.stories import use_own_account
from tests.work import work_off

pytestmark = pytest.mark.django_db
SENTENCE = "A stored secret cannot be opened."


@pytest.fixture
def receiver() -> object:
    with Receiver() as running:
        yield running


def happens(person: Person) -> None:
    record(person.actor, "mailbox.created", person.tenant, "It is there.")
    relay()
    deliver()


def test_a_webhook_whose_secret_does_not_open_fails_alone(
    ada: Person, cy: Person, receiver: Receiver
) -> None:
    lost, _ = create_webhook(ada.actor, url=receiver.url("/lost"), actions=["mailbox.*"])
    well, _ = create_webhook(ada.actor, url=receiver.url("/well"), actions=["mailbox.*"])
    # As after a restore that mixed up rows: the value of another row does not open here.
    WebhookEndpoint.objects.filter(pk=lost.pk).update(sealed_secret=well.sealed_secret)
    happens(ada)
    assert [call.path for call in receiver.taken] == ["/well"]
    failed = WebhookDelivery.objects.get(endpoint=lost)
    assert (failed.status, failed.claim) == (WebhookDelivery.FAILED, None)
    assert failed.last_error.startswith(SENTENCE)

    rotate_secret(ada.actor, lost.pk)  # which mends it
    happens(ada)
    assert [call.path for call in receiver.taken].count("/lost") == 1


def test_a_job_that_needs_it_fails_with_its_code(ada: Person) -> None:
    def read() -> None:
        raise Unsealable("no key")

    with opened(["floor"]) as shop:
        shop.world.before_observe["floor"] = read
        shop.start(ada)
        work_off()
    job = Job.objects.get()
    assert (job.status, job.error_code) == ("failed", "SECRET_UNREADABLE")
    assert job.error_message.startswith(SENTENCE)
    assert "no key" not in job.error_message


def test_a_credential_that_does_not_open_is_entered_again(
    ada: Person, settings: LazySettings
) -> None:
    credential = use_own_account(ada)
    settings.ENCRYPTION_KEYS = [new_key()]
    services.run_test(credential.pk)
    credential.refresh_from_db()
    assert credential.result == ProviderCredential.UNREACHABLE
    assert credential.result_message.startswith(SENTENCE)
    with pytest.raises(Invalid):  # nothing is left to keep
        services.change_credential(
            ada.actor, credential.pk, label="Mine", values={**credential.public, "api_token": ""}
        )
    given = {**credential.public, "api_token": "sandbox-again"}
    services.change_credential(ada.actor, credential.pk, label="Mine", values=given)
    credential.refresh_from_db()
    assert credential.values()["api_token"] == "sandbox-again"


def test_the_key_of_the_house_server_is_read_from_the_settings_again(
    settings: LazySettings, db: None
) -> None:
    settings.MAILSERVER_ADMIN_URL, settings.MAILSERVER_ADMIN_KEY = "http://127.0.0.1:1", "k" * 16
    house_server()
    settings.ENCRYPTION_KEYS = [new_key()]
    assert house_server().admin_key() == "k" * 16
    assert MailServer.objects.get(slug=MailServer.HOUSE).admin_key() == "k" * 16
