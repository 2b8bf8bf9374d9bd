"""What was proved before a password reset or the end of a session begins nothing after it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from mpanel.core.actor import ADMIN
from mpanel.core.errors import InvalidToken, MPanelError
from tenants import services
from tenants.models import ApiKey, LoginLink, OneTimeCode, Session, User
from tenants.selectors import get_user
from tenants.services import operators
from tenants.services.still_valid import SignInOutdated
from tenants.team.invitations import InvitationGone, accept_invitation, invite
from tenants.team.models import Invitation
from tests.cast import Person, helper_of
from tests.processes import at_once
from tests.tenants.test_pages_sign_in import newest_code, with_password, with_second_factor

HERE = "127.0.0.1"
PASSWORD, NEW = "a long and good one", "another that is good"


def reset(person: Person) -> None:
    """Somebody who reads the mailbox sets a new password: every session ends."""
    email = person.user.email
    services.ask_to_reset(email, address=HERE)
    prepared = services.prepare_reset(email, newest_code(email), NEW, address=HERE)
    services.reset_password(prepared, address=HERE)


def by_password(person: Person) -> User:
    with_password(person)
    return services.log_in(person.user.email, PASSWORD, address=HERE)


def by_code(person: Person) -> User:
    services.ask_for_code(person.user.email, address=HERE)
    return services.sign_in_by_code(
        person.user.email, newest_code(person.user.email), address=HERE
    ).user


def by_second_factor(person: Person) -> User:
    with_password(person)
    totp, _ = with_second_factor(person)
    with pytest.raises(services.SecondFactorRequired) as owed:
        services.log_in(person.user.email, PASSWORD, address=HERE)
    proof = owed.value.proof
    return services.sign_in_by_proof(proof, second_factor=totp.now(), address=HERE)


def by_link(person: Person) -> User:
    token = services.make_login_link(person.actor).rpartition("/")[2]
    return services.use_login_link(token, address=HERE)


@pytest.mark.parametrize("proved", [by_password, by_code, by_second_factor, by_link])
@pytest.mark.parametrize("kind", [Session.BROWSER, Session.API])
def test_a_reset_during_a_sign_in_leaves_no_session(
    ada: Person, proved: Callable[[Person], User], kind: str
) -> None:
    user = proved(ada)
    reset(ada)
    with pytest.raises(SignInOutdated):
        services.start_session(user, kind=kind, address=HERE)
    assert not Session.objects.live().filter(membership__user=ada.user).exists()


def test_who_is_suspended_during_a_sign_in_gets_no_session(ada: Person) -> None:
    user = by_code(ada)
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(services.AccountClosed):
        services.start_session(user, kind=Session.BROWSER, address=HERE)


@pytest.mark.parametrize(
    "begin",
    [
        lambda actor: services.create_api_key(actor, name="x", scopes=["jobs:read"]),
        services.make_login_link,
        lambda actor: invite(actor, email="eve@elsewhere.test", role=ADMIN),
    ],
    ids=["key", "link", "invitation"],
)
def test_an_ended_session_begins_nothing_that_outlives_it(
    ada: Person, begin: Callable[..., object]
) -> None:
    """The request was let in while the session lived, and waited."""
    reset(ada)
    with pytest.raises(InvalidToken):
        begin(ada.actor)
    assert not ApiKey.objects.exists()
    assert not LoginLink.objects.exists()
    assert not Invitation.objects.exists()


def test_an_ended_session_changes_no_password(ada: Person) -> None:
    with_password(ada)
    services.end_session(ada.actor, ada.session.pk)
    with pytest.raises(InvalidToken):
        services.change_password(ada.actor, present=PASSWORD, new=NEW)
    assert User.objects.get(pk=ada.user.pk).check_password(PASSWORD)


def test_an_invitation_is_looked_at_again_when_it_is_accepted(ada: Person, cy: Person) -> None:
    di = helper_of(ada, "di", ADMIN)
    invitation = invite(di.actor, email=cy.user.email, role=ADMIN)
    sent = {"token_hash": "a" * 64, "sent_at": invitation.created_at}
    Invitation.objects.filter(pk=invitation.pk).update(**sent)
    invitation.refresh_from_db()
    User.objects.filter(pk=di.user.pk).update(is_active=False)
    with pytest.raises(InvitationGone):
        accept_invitation(get_user(cy.actor), invitation)
    User.objects.filter(pk=di.user.pk).update(is_active=True)
    outdated = get_user(cy.actor)
    reset(cy)
    with pytest.raises(SignInOutdated):
        accept_invitation(outdated, invitation)
    assert accept_invitation(User.objects.get(pk=cy.user.pk), invitation).role == ADMIN


@pytest.mark.django_db(transaction=True)
def test_a_sign_in_and_a_reset_at_once_leave_no_session(ada: Person) -> None:
    with_password(ada)
    email = ada.user.email
    services.ask_to_reset(email, address=HERE)
    prepared = services.prepare_reset(email, newest_code(email), NEW, address=HERE)
    user = services.user_of_password(email, PASSWORD, address=HERE)
    start = partial(services.start_session, user, kind=Session.API, address=HERE)
    key = partial(services.create_api_key, ada.actor, name="x", scopes=["jobs:read"])
    revoking = partial(services.reset_password, prepared, address=HERE, revoke_api_keys=True)
    for one in at_once(start, key, start, revoking, start, key, start):
        assert not isinstance(one, Exception) or isinstance(one, MPanelError), one
    assert OneTimeCode.objects.filter(purpose=OneTimeCode.RESET, used_at=None).count() == 0
    assert not Session.objects.live().filter(membership__user=ada.user).exists()
    assert not ApiKey.objects.filter(revoked_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_suspensions_and_new_keys_at_once_wait_in_one_order(ada: Person, cy: Person) -> None:
    """Both hold the user and the tenant: in two orders, a database ends one of them."""
    di = helper_of(ada, "di", ADMIN)
    User.objects.filter(pk=cy.user.pk).update(is_operator=True)
    operator = replace(cy.actor, is_operator=True)
    key = partial(services.create_api_key, di.actor, name="x", scopes=["jobs:read"])
    suspend = partial(operators.suspend_user, operator, di.user.pk)
    activate = partial(operators.activate_user, operator, di.user.pk)
    calls: list[Callable[[], object]] = [key, suspend, key, activate]
    for one in at_once(*calls * 4):
        assert not isinstance(one, Exception) or isinstance(one, MPanelError), one
