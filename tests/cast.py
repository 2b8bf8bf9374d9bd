"""The cast of the stories: Ada owns, Bo helps, Cy is a stranger who must see nothing."""

from dataclasses import dataclass
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from mpanel.core.actor import MEMBER, Actor
from tenants.browser import BACKEND, KEY
from tenants.models import Membership, ProviderCredential, Session, Tenant, User
from tenants.selectors import actor_in
from tenants.services import open_account, start_session
from tenants.tokens import access_token


@dataclass(frozen=True)
class Person:
    """Somebody with an account, a browser that is signed in, and an actor for services."""

    user: User
    actor: Actor
    client: Client

    @property
    def tenant(self) -> Tenant:
        return Tenant.objects.get(pk=self.actor.tenant_id)

    @property
    def token(self) -> str:
        """An access token of the person's session."""
        return access_token(self.session)

    @property
    def session(self) -> Session:
        """The sign-in in which the person acts."""
        assert self.actor.session_id is not None
        return Session.objects.get(pk=self.actor.session_id)

    @property
    def credential(self) -> ProviderCredential:
        """The tenant's first DNS account: the included one, unless a story says otherwise."""
        return ProviderCredential.objects.filter(tenant_id=self.actor.tenant_id, port="dns")[0]


def owner(name: str) -> Person:
    """Opens an account of their own."""
    return _person(open_account(f"{name}@people.test", address="127.0.0.1"))


def helper_of(boss: Person, name: str, role: str = MEMBER) -> Person:
    """Works for somebody else's tenant."""
    user = User.objects.create_user(f"{name}@people.test")
    Membership.objects.create(tenant_id=boss.actor.tenant_id, user=user, role=role)
    return _person(user)


def _person(user: User) -> Person:
    client = Client()
    client.force_login(user, backend=BACKEND)
    session = start_session(user, kind=Session.BROWSER, address="127.0.0.1")
    # For as long as a slow machine needs: see tests/tenants/test_open_browser.py.
    session.confirmed_at = timezone.now() + timedelta(days=1)
    session.save(update_fields=["confirmed_at"])
    browser = client.session
    browser[KEY] = str(session.pk)
    browser.save()
    return Person(user, actor_in(session, address="127.0.0.1"), client)
