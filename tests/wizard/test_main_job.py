"""The main job, from a domain to working inboxes, over the services."""

import pytest

from mailboxes.models import Mailbox
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import provisioned


@pytest.mark.django_db(transaction=True)
def test_a_domain_becomes_proved_inboxes(ada: Person, sandbox: RunningSandbox) -> None:
    domain, batch = provisioned(ada, "example.test", sandbox, count=5)
    assert domain.status == "provisioned"
    rows = Mailbox.objects.filter(batch=batch)
    assert {row.status for row in rows} == {Mailbox.ACTIVE}
    assert all(row.smtp_proved_at and row.imap_proved_at for row in rows)
    assert sandbox.request_count("cloudflare", "POST", "/zones") == 1
