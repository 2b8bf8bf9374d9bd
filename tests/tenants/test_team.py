"""Teammates: invited by e-mail, joining with a role, changed and removed; switching tenants."""

import logging
import re
import smtplib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from events.models import Event
from mpanel.core.actor import ADMIN, MEMBER, OWNER
from mpanel.core.errors import Forbidden, TooManyRequests
from tenants import services
from tenants.models import ApiKey, Membership, Tenant, User
from tenants.selectors import membership_of
from tenants.services.operators import users
from tenants.team import invitations, members
from tenants.team.models import Invitation
from tests.api import Api
from tests.cast import Person, helper_of, owner
from tests.work import work_off

pytestmark = pytest.mark.django_db

TEAM, INVITE, OPEN = "/api/v1/team", "/api/v1/team/invite", "/api/v1/team/invitations"
ACCEPT, MINE = "/api/v1/team/invitations/accept", "/api/v1/auth/organisations"


def invited(person: Person, email: str = "di@new.test", role: str = MEMBER) -> str:
    """Invite over the API; the token of the link that arrives."""
    answer = Api(person.token).post(INVITE, {"email": email, "role": role})
    assert answer.status == 201, answer.body
    return link_to(email)


def link_to(email: str) -> str:
    work_off()
    (message,) = [one for one in mail.outbox[-1:] if one.to == [email]]
    found = re.search(r"/join/(\S+)", str(message.body))
    assert found
    return found[1]


def code_from(client: Client) -> str:
    work_off()
    return str(mail.outbox[-1].subject).split()[0]


def test_two_people_of_one_company_have_tenants_that_can_be_told_apart(ada: Person) -> None:
    bo = owner("bo")
    assert ada.tenant.name == "ada@people.test" != bo.tenant.name
    # Those of before share the domain; a name that somebody chose stays.
    Tenant.objects.filter(pk__in=[ada.tenant.pk, bo.tenant.pk]).update(name="people.test")
    for name in ("cy", "di"):
        services.change_profile(owner(name).actor, tenant_name="Analysts")
    migration = import_module("tenants.migrations.0013_names_told_apart")
    migration.tell_apart(apps, None)
    assert ada.tenant.name == "ada@people.test" and bo.tenant.name == "bo@people.test"
    assert Tenant.objects.filter(name="Analysts").count() == 2


def test_admins_rename_the_organisation_over_the_api(ada: Person) -> None:
    api = Api(ada.token)
    answer = api.patch("/api/v1/profile", {"organisation": "  Analytical\n Engines "})
    assert answer.body["data"]["organisation"] == "Analytical Engines"
    assert api.patch("/api/v1/profile", {"organisation": " "}).error == "VALIDATION_ERROR"
    bo = helper_of(ada, "bo")
    assert Api(bo.token).patch("/api/v1/profile", {"organisation": "Mine"}).error == "FORBIDDEN"


def test_a_new_person_joins_on_the_page_and_gets_no_tenant_of_their_own(ada: Person) -> None:
    token = invited(ada, role=ADMIN)
    visitor = Client()
    answer = visitor.get(f"/join/{token}")
    assert answer.status_code == 302 and answer["Location"] == "/join/"
    page = visitor.get("/join/").content.decode()
    assert "ada@people.test" in page and "di@new.test" in page and token not in page
    assert visitor.post("/join/")["Location"] == "/sign-in/code/"
    assert visitor.post("/sign-in/code/", {"code": code_from(visitor)})["Location"] == "/join/"
    welcome = visitor.get("/join/", follow=True)
    assert welcome.redirect_chain == [("/overview/", 302)]
    assert "Welcome to ada@people.test" in welcome.content.decode()
    di = User.objects.get(email="di@new.test")
    assert [(one.tenant_id, one.role) for one in di.memberships.all()] == [(ada.tenant.pk, ADMIN)]
    assert Event.objects.filter(tenant_id=ada.tenant.pk, action="member.joined").count() == 1
    # Once.
    assert Client().get(f"/join/{token}", follow=True).status_code == 410


def test_who_opens_an_invitation_and_signs_up_otherwise_does_not_join(ada: Person) -> None:
    token = invited(ada)
    visitor = Client()
    visitor.get(f"/join/{token}")
    visitor.post("/sign-in/", {"email": "di@new.test"})
    visitor.post("/sign-in/code/", {"code": code_from(visitor)})
    membership = User.objects.get(email="di@new.test").memberships.get()
    assert (membership.tenant.name, membership.role) == ("di@new.test", OWNER)
    # The invitation is still there, for whoever wants it.
    assert visitor.post("/join/", follow=True).redirect_chain[-1][0] == "/overview/"
    assert Membership.objects.filter(user__email="di@new.test", tenant=ada.tenant).exists()


def test_who_became_a_member_meanwhile_is_told_so_and_keeps_the_role(ada: Person) -> None:
    di = owner("di")
    token = invited(ada, "di@people.test")
    membership = Membership.objects.create(tenant_id=ada.tenant.pk, user=di.user, role=ADMIN)
    di.client.get(f"/join/{token}")
    assert "You already work in" in di.client.get("/join/").content.decode()
    assert di.client.post("/join/", follow=True).redirect_chain[-1][0] == "/overview/"
    assert di.session.membership == membership
    assert di.session.membership.role == ADMIN


def test_an_existing_person_accepts_on_the_page_and_switches_between_tenants(ada: Person) -> None:
    di = owner("di")
    token = invited(ada, "di@people.test")
    di.client.get(f"/join/{token}")
    assert "Accept" in di.client.get("/join/").content.decode()
    assert di.client.post("/join/", follow=True).redirect_chain[-1][0] == "/overview/"
    assert di.session.membership.tenant_id == ada.tenant.pk
    page = di.client.get("/overview/").content.decode()
    assert page.count("/switch/") == 2
    there = di.client.post(f"/settings/organisations/{di.tenant.pk}/switch/", follow=True)
    assert f"You now work in {di.user.email}" in there.content.decode()
    assert di.session.membership.tenant_id == di.tenant.pk
    # Who signs in again is where they were last.
    membership = membership_of(di.user)
    assert membership and membership.tenant_id == di.tenant.pk


def test_the_wrong_account_is_told_and_can_go_on_with_the_right_one(ada: Person) -> None:
    cy = owner("cy")
    token = invited(ada)
    assert Api(cy.token).post(ACCEPT, {"token": token}).error == "INVITATION_FOR_ANOTHER"
    cy.client.get(f"/join/{token}")
    assert "another address" in cy.client.get("/join/").content.decode()
    assert cy.client.post("/join/")["Location"] == "/join/"
    page = cy.client.get("/join/").content.decode()  # signed out, the link is still known
    assert "Send me a code" in page
    assert not Membership.objects.filter(user=cy.user, tenant=ada.tenant).exists()


def test_the_same_story_over_the_api(ada: Person) -> None:
    di = owner("di")
    token = invited(ada, "di@people.test", ADMIN)
    api = Api(di.token)
    accepted = api.post(ACCEPT, {"token": token})
    assert accepted.status == 200 and accepted.body["data"]["current"]
    assert api.post(ACCEPT, {"token": token}).error == "INVITATION_GONE"
    # The same token acts there now.
    listed = api.get(TEAM).body
    assert {row["email"]: row["role"] for row in listed["items"]} == {
        "ada@people.test": OWNER,
        "di@people.test": ADMIN,
    }
    mine = api.get(MINE).body["items"]
    assert [row["owner"] for row in mine] == ["di@people.test", "ada@people.test"]
    back = api.post(f"{MINE}/{di.tenant.pk}/switch")
    assert back.body["data"]["name"] == "di@people.test"
    assert api.get(TEAM).body["total"] == 1
    assert api.post(f"{MINE}/{owner('cy').tenant.pk}/switch").error == "TENANT_NOT_FOUND"


def test_invitations_expire_are_sent_again_and_revoked(ada: Person) -> None:
    api = Api(ada.token)
    first = invited(ada)
    (row,) = api.get(OPEN).body["items"]
    assert (row["status"], row["invited_by"]) == ("sent", "ada@people.test")
    assert api.post(INVITE, {"email": "DI@new.test"}).error == "ALREADY_INVITED"
    again = api.post(f"{OPEN}/{row['id']}/resend")
    assert (again.status, again.body["data"]["status"]) == (202, "sending")
    second = link_to("di@new.test")
    assert invitations.usable_invitation(invitations.hash_of(first)) is None
    assert invitations.usable_invitation(invitations.hash_of(second))
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert api.get(OPEN).body["items"][0]["status"] == "expired"
    assert Client().get(f"/join/{second}", follow=True).status_code == 410
    third = invited(ada)  # an expired one is replaced
    (row,) = api.get(OPEN).body["items"]
    assert api.delete(f"{OPEN}/{row['id']}").status == 204
    assert api.get(OPEN).body["total"] == 0
    assert Client().get(f"/join/{third}", follow=True).status_code == 410
    assert api.delete(f"{OPEN}/{row['id']}").error == "INVITATION_NOT_FOUND"


def test_members_look_and_admins_invite_up_to_their_own_role(ada: Person) -> None:
    bo, di = helper_of(ada, "bo"), helper_of(ada, "di", ADMIN)
    wanted = {"email": "new@new.test", "role": MEMBER}
    assert Api(bo.token).post(INVITE, wanted).error == "FORBIDDEN"
    assert Api(bo.token).get(TEAM).body["total"] == 3
    assert bo.client.post("/settings/team/invite/", wanted).status_code == 403
    assert Api(di.token).post(INVITE, {**wanted, "role": OWNER}).error == "FORBIDDEN"
    assert Api(di.token).post(INVITE, wanted).status == 201
    assert Api(di.token).post(INVITE, {"email": "bo@people.test"}).error == "ALREADY_MEMBER"
    assert Api(di.token).post(INVITE, {"email": "no address"}).error == "VALIDATION_ERROR"
    key = services.create_api_key(ada.actor, name="x", scopes=["account:write"]).plain
    assert Api(key).post(INVITE, wanted).error == "PERSON_NEEDED"


def test_an_invitation_dies_with_the_right_of_who_sent_it(ada: Person) -> None:
    di = helper_of(ada, "di", ADMIN)
    token = invited(di, "friend@new.test", ADMIN)
    members.change_role(ada.actor, di.user.pk, MEMBER)
    assert invitations.usable_invitation(invitations.hash_of(token)) is None
    members.change_role(ada.actor, di.user.pk, ADMIN)
    again = invited(di, "friend@new.test", ADMIN)
    User.objects.filter(pk=di.user.pk).update(is_active=False)
    assert invitations.usable_invitation(invitations.hash_of(again)) is None


def test_who_is_removed_is_out_at_once_and_may_come_back_by_invitation(ada: Person) -> None:
    bo = helper_of(ada, "bo", ADMIN)
    key = services.create_api_key(bo.actor, name="x", scopes=["account:read"]).plain
    token = bo.token
    assert Api(ada.token).delete(f"{TEAM}/{bo.user.pk}").status == 204
    assert Api(token).get(TEAM).error == "INVALID_TOKEN"
    assert Api(key).get("/api/v1/profile").error == "INVALID_TOKEN"
    assert bo.client.get("/settings/team/").status_code == 302
    assert not ApiKey.objects.filter(name="x").exists()
    assert Event.objects.filter(action="member.removed", tenant_id=ada.tenant.pk).exists()
    back = invited(ada, "bo@people.test")
    visitor = Client()
    visitor.get(f"/join/{back}")
    visitor.post("/join/")
    visitor.post("/sign-in/code/", {"code": code_from(visitor)})
    assert bo.user.memberships.get().role == MEMBER


def test_the_last_owner_stays_and_only_owners_change_owners(ada: Person) -> None:
    di = helper_of(ada, "di", ADMIN)
    api, admin = Api(ada.token), Api(di.token)
    assert api.delete(f"{TEAM}/{ada.user.pk}").error == "LAST_OWNER"
    assert api.patch(f"{TEAM}/{ada.user.pk}", {"role": MEMBER}).error == "LAST_OWNER"
    assert admin.patch(f"{TEAM}/{ada.user.pk}", {"role": MEMBER}).error == "FORBIDDEN"
    assert admin.delete(f"{TEAM}/{ada.user.pk}").error == "FORBIDDEN"
    assert admin.patch(f"{TEAM}/{di.user.pk}", {"role": OWNER}).error == "FORBIDDEN"
    assert api.patch(f"{TEAM}/{di.user.pk}", {"role": OWNER}).body["data"]["role"] == OWNER
    assert api.delete(f"{TEAM}/{ada.user.pk}").status == 204


def test_the_page_says_who_left_and_who_cannot(ada: Person) -> None:
    bo, di = helper_of(ada, "bo"), helper_of(ada, "di", ADMIN)

    def remove(by: Person, whom: Person) -> str:
        path = f"/settings/team/{whom.user.pk}/remove/"
        return by.client.post(path, follow=True).content.decode()

    assert "last owner" in remove(ada, ada)
    assert "Only an owner can" in remove(di, ada)
    page = remove(bo, bo)
    assert "You left ada@people.test and were signed out." in page
    assert 'name="email"' in page  # the page to sign in
    assert Membership.objects.filter(tenant=ada.tenant).count() == 2


def test_who_becomes_the_only_owner_meanwhile_is_not_removed(ada: Person) -> None:
    bo, di = helper_of(ada, "bo", MEMBER), helper_of(ada, "di", ADMIN)

    def promote(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        if Tenant._meta.db_table in sql and not promoted:
            promoted.append(sql)
            members.change_role(ada.actor, bo.user.pk, OWNER)
            members.remove_member(ada.actor, ada.user.pk)
        return found

    promoted: list[str] = []
    actor = di.actor
    with connection.execute_wrapper(promote), pytest.raises(Forbidden):
        members.remove_member(actor, bo.user.pk)


def test_an_operator_takes_no_role_from_who_became_the_only_owner(
    ada: Person,
) -> None:
    bo, operator = helper_of(ada, "bo", MEMBER), replace(owner("op").actor, is_operator=True)
    done: list[str] = []

    def promote(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        if 'UPDATE "' not in sql and 'FROM "tenants_tenant"' in sql and not done:
            done.append(sql)
            Membership.objects.filter(user=bo.user).update(role=OWNER)
            Membership.objects.filter(user=ada.user).update(role=MEMBER)
        return found

    held = connection.execute_wrapper(promote)
    with held, pytest.raises(members.LastOwner):
        users.change_user(operator, bo.user.pk, roles=[ADMIN])


def test_what_the_mail_server_refuses_for_good_is_said_and_not_sent_again(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[tuple[int, bytes]] = [(450, b"4.2.0 Later."), (550, b"5.1.1 No such\r\nuser.")]
    tried: list[int] = []

    def refuse(*arguments: Any, **named: Any) -> None:
        code, said = answers[min(len(tried), 1)]
        tried.append(code)
        raise smtplib.SMTPRecipientsRefused({"nobody@people.test": (code, said)})

    monkeypatch.setattr(invitations, "send_mail", refuse)
    row = invitations.invite(ada.actor, email="nobody@people.test", role=MEMBER)
    for _ in range(3):
        Invitation.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
        invitations.send_forgotten_invitations()
    assert tried == [450, 550]
    row.refresh_from_db()
    assert (row.status, row.refusal) == ("refused", "550 5.1.1 No such user.")
    assert "550 5.1.1 No such user." in ada.client.get("/settings/team/").content.decode()
    assert Event.objects.filter(action="invitation.refused").count() == 1
    invitations.resend_invitation(ada.actor, row.pk)
    assert Invitation.objects.get().status == "sending"


def test_who_left_their_only_organisation_signs_in_with_a_password(ada: Person) -> None:
    bo = helper_of(ada, "bo")
    bo.user.set_password("a long and good one")
    bo.user.save()
    members.remove_member(bo.actor, bo.user.pk)
    given = {"email": bo.user.email, "password": "a long and good one"}
    assert Api().post("/api/v1/auth/login", given).status == 200
    mine = Membership.objects.get(user=bo.user)
    assert (mine.tenant.name, mine.role) == (bo.user.email, OWNER)


def test_a_stranger_sees_no_member_and_no_invitation(ada: Person, cy: Person) -> None:
    invited(ada)
    row = Invitation.objects.get()
    api = Api(cy.token)
    assert api.get(OPEN).body["total"] == 0 and api.get(TEAM).body["total"] == 1
    assert api.delete(f"{OPEN}/{row.pk}").error == "INVITATION_NOT_FOUND"
    assert api.post(f"{OPEN}/{row.pk}/resend").error == "INVITATION_NOT_FOUND"
    assert api.delete(f"{TEAM}/{ada.user.pk}").error == "MEMBER_NOT_FOUND"
    assert api.patch(f"{TEAM}/{ada.user.pk}", {"role": MEMBER}).error == "MEMBER_NOT_FOUND"
    for page in (f"invitations/{row.pk}/revoke/", f"{ada.user.pk}/", f"{ada.user.pk}/remove/"):
        assert cy.client.get(f"/settings/team/{page}").status_code == 404
    assert cy.client.post(f"/settings/team/invitations/{row.pk}/resend/").status_code == 404


def test_the_token_is_in_the_mail_only_and_its_guesses_are_limited(
    ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Api(ada.token).post(INVITE, {"email": "di@new.test"})
    queued = "".join(row.payload for row in OrmQ.objects.all())
    token = link_to("di@new.test")
    Client().get(f"/join/{token}", follow=True)
    Client(enforce_csrf_checks=True).post("/join/")
    kept = f"{queued}{list(Event.objects.values())}{list(Invitation.objects.values())}"
    assert token not in kept and token not in caplog.text.replace(f"/join/{token}\n", "")
    assert Invitation.objects.get().token_hash == invitations.hash_of(token)
    for number in range(invitations.PER_ADDRESS):
        with pytest.raises((invitations.InvitationGone, TooManyRequests)):
            invitations.open_link(f"guess {number}", address="192.0.2.9")
    with pytest.raises(TooManyRequests):
        invitations.open_link(token, address="192.0.2.9")
    assert invitations.open_link(token, address="198.51.100.9")


def test_what_could_not_be_sent_is_sent_later_with_one_link(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise smtplib.SMTPServerDisconnected

    invitation = invitations.invite(ada.actor, email="di@new.test", role=MEMBER)
    with monkeypatch.context() as patch:
        patch.setattr(invitations, "send_mail", broken)
        with pytest.raises(smtplib.SMTPException):
            invitations.send_invitation(invitation.pk)
    assert Invitation.objects.get().status == Invitation.SENDING
    Invitation.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    invitations.send_forgotten_invitations()
    work_off()  # the first message comes late, and has no effect
    assert len(mail.outbox) == 1
    assert invitations.usable_invitation(invitations.hash_of(link_to("di@new.test")))


def test_nobody_can_flood_a_mailbox_with_invitations(ada: Person) -> None:
    row = invitations.invite(ada.actor, email="di@new.test", role=MEMBER)
    for _ in range(invitations.PER_PAIR - 1):
        invitations.resend_invitation(ada.actor, row.pk)
    with pytest.raises(TooManyRequests):
        invitations.resend_invitation(ada.actor, row.pk)
    # Nor does one tenant use up what others send there.
    assert invitations.invite(owner("bo").actor, email="di@new.test", role=MEMBER)


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("Win at https://evil.test now", False),
        ("Log in at evil.test/now", False),
        ("WWW.evil.test", False),
        ("x://y@evil.test", False),
        ("Evil & Sons Ltd. of evil", True),
        ("eve@evil.test", True),
    ],
)
def test_names_of_organisations_carry_no_links_to_strangers(
    ada: Person, name: str, is_shown: bool
) -> None:
    Tenant.objects.filter(pk=ada.tenant.pk).update(name=name)
    invitations.invite(ada.actor, email="di@new.test", role=MEMBER)
    work_off()
    assert (name in str(mail.outbox[-1].body)) is is_shown
    assert ("evil" in str(mail.outbox[-1].body)) is is_shown


def test_the_team_page_takes_as_many_queries_with_many_members_as_with_few(
    ada: Person, django_assert_max_num_queries
) -> None:
    for number in range(12):
        helper_of(ada, f"bo{number}")
        invitations.invite(ada.actor, email=f"new{number}@new.test", role=MEMBER)
    ada.client.get("/settings/team/")
    with django_assert_max_num_queries(12):
        page = ada.client.get("/settings/team/").content.decode()
    assert "bo3@people.test" in page and "new3@new.test" in page
