"""What filter scripts of a mailbox send is counted apart from what its owner sends."""

from uuid import UUID

import pytest
from django.conf import LazySettings

from deliverability.counting import scripts_of
from deliverability.models import SendingDay
from deliverability.policy import decide_of_script
from mailboxes.models import Alias, Mailbox
from mailboxes.services import create_alias, place_domain
from tests.cast import Person
from tests.mailserver.rooms import inbox, move_domain
from tests.policy import Postfix, policy_service
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db(transaction=True)

PASS = "DUNNO"
BY_SCRIPTS = {"policy_context": "scripts", "sasl_username": ""}


@pytest.fixture
def box(ada: Person) -> Mailbox:
    theirs = estate(ada, "ada.test")
    place_domain(theirs.domain)
    return theirs.mailboxes[0]


def sent(subject: UUID) -> int:
    rows = SendingDay.objects.filter(subject_id=subject)
    return sum(row.sent for row in rows)


def test_scripts_forward_so_far_and_use_up_nothing_of_the_owners(
    ada: Person, box: Mailbox, settings: LazySettings
) -> None:
    settings.MAILBOX_SCRIPTS_LIMIT = 3
    Mailbox.objects.filter(pk=box.pk).update(daily_limit=1)
    sales = {"tenant": ada.tenant, "domain": box.domain, "mailbox": box, "local_part": "sales"}
    Alias.objects.create(**sales, address="sales@ada.test")
    with policy_service() as port, Postfix(port) as postfix:
        ask = postfix.ask
        assert ask(box.address.upper(), **BY_SCRIPTS, recipient_count=2) == PASS
        # A vacation note of an alias is its mailbox's.
        assert ask("sales@ada.test", **BY_SCRIPTS) == PASS
        said = ask(box.address, **BY_SCRIPTS)
        assert said == (
            "550 5.7.1 The filters of this mailbox have sent to 3 of 3 recipients today."
        )
        assert ask("nobody@ada.test", **BY_SCRIPTS).startswith("550 5.7.1 ")
        assert (sent(scripts_of(box.pk)), sent(box.pk), sent(box.tenant_id)) == (3, 0, 0)
        assert ask(box.address) == PASS
        assert (sent(scripts_of(box.pk)), sent(box.pk), sent(box.tenant_id)) == (3, 1, 1)


def test_a_former_owners_alias_stands_in_nobodys_way(ada: Person, cy: Person) -> None:
    former = inbox(ada, "old@moved.test")
    create_alias(ada.actor, former.pk, local_part="sales")
    move_domain(former.domain, cy)
    create_alias(cy.actor, inbox(cy, "new@moved.test").pk, local_part="*")
    assert decide_of_script("sales@moved.test", 1) == PASS
