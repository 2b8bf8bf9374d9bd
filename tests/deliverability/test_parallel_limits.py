"""Twenty at once change one tenant's limits."""

from functools import partial

import pytest

from deliverability.services import change_limits
from mailboxes.models import Mailbox
from tenants.models import ApiKey
from tenants.services import api_keys, create_api_key
from tests.cast import Person
from tests.processes import at_once
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db(transaction=True)
TOGETHER = 20


def test_twenty_changes_of_the_same_limits_leave_one_of_them_whole(ada: Person) -> None:
    ids = [box.pk for box in estate(ada, "ada.test", inboxes=4).mailboxes]
    wishes = [(100 + number, 10 + number, 1 + number) for number in range(TOGETHER)]
    results = at_once(
        *(
            partial(
                change_limits,
                ada.actor,
                ids if number % 2 else ids[::-1],
                daily_limit=limit,
                start=start,
                step=step,
            )
            for number, (limit, start, step) in enumerate(wishes)
        )
    )
    assert [error for error in results if isinstance(error, Exception)] == []
    left = set(
        Mailbox.objects.filter(pk__in=ids).values_list("daily_limit", "warmup_start", "warmup_step")
    )
    assert len(left) == 1
    assert left <= set(wishes)


def test_of_twenty_who_make_the_last_key_one_does(ada: Person) -> None:
    for number in range(api_keys.MOST_KEYS - 1):
        create_api_key(ada.actor, name=f"key {number}", scopes=["account:read"])
    make = partial(create_api_key, ada.actor, name="the last", scopes=["account:read"])
    results = at_once(*[make] * TOGETHER)
    refused = [error for error in results if isinstance(error, api_keys.TooManyKeys)]
    assert len(refused) == TOGETHER - 1, results
    assert ApiKey.objects.count() == api_keys.MOST_KEYS
