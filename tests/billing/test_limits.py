"""Plans, trials and the limits that services ask about."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from billing.models import Account
from billing.plans import PLANS
from billing.selectors import get_account
from billing.services import (
    TrialExpired,
    lock_account,
    plan_of,
    require_room,
    require_running,
)
from mpanel.core.errors import LimitExceeded
from tests.cast import Person


def test_a_new_tenant_is_on_trial_for_a_week(ada: Person, cy: Person) -> None:
    account = get_account(ada.actor)
    assert (account.plan, account.trial_days_left) == ("trial", 7)
    assert get_account(ada.actor).pk == account.pk
    assert get_account(cy.actor).pk != account.pk
    require_running(account)
    account.trial_ends_at = timezone.now() + timedelta(minutes=1)
    assert account.trial_days_left == 1
    account.trial_ends_at = timezone.now()
    assert account.trial_days_left == 0
    with pytest.raises(TrialExpired) as caught:
        require_running(account)
    assert (caught.value.status, caught.value.code) == (403, "TRIAL_EXPIRED")


@pytest.mark.parametrize("plan", sorted(set(PLANS) - {"trial"}))
def test_a_paid_plan_does_not_end(ada: Person, plan: str) -> None:
    account = Account(tenant=ada.tenant, plan=plan, trial_ends_at=timezone.now())
    require_running(account)
    assert account.trial_days_left is None
    assert plan_of(account).key == plan


@pytest.mark.parametrize(
    ("used", "wanted", "limit", "fits"),
    [
        (0, 50, 50, True),
        (49, 1, 50, True),
        (50, 1, 50, False),
        (0, 51, 50, False),
        (9, 9, None, True),
    ],
)
def test_room_is_counted_to_the_last_place(
    ada: Person, used: int, wanted: int, limit: int | None, fits: bool
) -> None:
    account = get_account(ada.actor)
    if fits:
        require_room(account, what="inboxes", used=used, wanted=wanted, limit=limit)
        return
    with pytest.raises(LimitExceeded, match="allows 50 inboxes") as caught:
        require_room(account, what="inboxes", used=used, wanted=wanted, limit=limit)
    assert caught.value.status == 402
    assert caught.value.details == {"limit": limit, "used": used, "requested": wanted}


def test_an_account_is_locked_once_and_made_once(ada: Person) -> None:
    with transaction.atomic():
        assert lock_account(ada.actor.tenant_id).pk == lock_account(ada.actor.tenant_id).pk
    assert Account.objects.filter(tenant=ada.tenant).count() == 1


def test_the_frame_says_how_long_the_trial_lasts(ada: Person) -> None:
    get_account(ada.actor)
    assert "7 days left" in ada.client.get("/overview/").content.decode()
    Account.objects.update(plan="starter")
    assert "days left" not in ada.client.get("/overview/").content.decode()
