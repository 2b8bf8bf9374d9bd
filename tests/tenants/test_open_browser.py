"""A browser that was left open: whoever sits down before it gets no lasting access, and no secret.

Every form and every JSON operation is either asked for a fresh code or listed as harmless, so that
a new one cannot be forgotten (docs/decisions/0038).
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.conf import LazySettings, settings
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from events.models import Event, WebhookEndpoint
from mpanel.core.actor import ADMIN
from tenants import services
from tenants.models import ApiKey, Customer, LoginLink, Session, Tenant, User
from tenants.team.models import Invitation
from tests.api import Api
from tests.cast import Person, helper_of
from tests.wizard.rows import estate
from tests.wizard.test_every_page import OPEN, PAGES, address
from tests.work import work_off

pytestmark = pytest.mark.one_database("what a session may do; services have their own tests")

INVITE = {"email": "mallory@example.test", "role": "admin"}
HOOK = {"url": "https://hooks.example.com/", "actions": "*"}
HOOK_JSON = {**HOOK, "actions": ["*"]}
BOX, SURE = "{mailbox_id}", {"sure": "yes"}

# Pages that a session confirms itself for, and what each takes. "{...}" is an id of the estate.
CONFIRMED_PAGES: dict[str, dict[str, str]] = {
    "settings-invite": INVITE,
    "settings-invitation-resend": {},
    "settings-member": {"role": "owner"},
    "settings-member-remove": {},
    "settings-key-new": {"name": "x", "scopes": "domains:read", "expiry": "90"},
    "settings-login-link": {},
    "settings-second-factor": {"code": "123456"},
    "settings-webhook-add": HOOK,
    "settings-webhook-edit": HOOK,
    "settings-webhook-rotate": {},
    "credential-new": {"label": "x", "api_token": "x", "account_id": "x"},
    "credential-edit": {"label": "x", "api_token": "x", "account_id": "x"},
    "outreach-connect": {"mailbox": BOX},
    "outreach-retry": {},
    "alias-add": {"local_part": "ceo"},
    "domain-alias-add": {"local_part": "*", "mailbox": "box0@example.test"},
    "mailbox-new": {"domain_id": "{domain_id}", "local_part": "eve"},
    "mailbox-import": {"text": "email\neve@example.test"},
    "batch-reveal": {},
    "batch-csv": {},
}
# Pages that take a code, or the present password, for this one thing: their own tests show it.
PROVED_EACH_TIME = {
    "confirm",
    "mailbox-bulk",  # new passwords
    "mailbox-password",
    "mailbox-reveal",
    "mailbox-rules",
    "settings-password",
    "settings-recovery-codes",
    "settings-second-factor-off",
}
# Pages whose forms give nobody access, and hand out nothing that is secret.
HARMLESS_PAGES = {
    "alias-delete",
    "credential-add",
    "credential-delete",
    "credential-test",
    "dkim-rotate",
    "dnssec-check",
    "dnssec-off",
    "domain-attach",
    "domain-ceiling",
    "domain-check",
    "domain-disconnect",
    "domain-dnssec",
    "domain-edit",
    "domain-list",
    "domain-region",
    "domain-sending",
    "domain-spf",
    "existing-compare",
    "existing-look",
    "existing-skip",
    "existing-take",
    "job-cancel",
    "job-look-again",
    "job-retry",
    "mailbox-activate",
    "mailbox-delete",
    "mailbox-delete-many",
    "mailbox-quota",
    "mailbox-resume",
    "mailbox-retry",
    "mailbox-sending",
    "mailbox-suspend",
    "outreach-disconnect",
    "plan-apply",
    "plan-revert",
    "record-add",
    "record-delete",
    "record-edit",
    "records-check",
    "session-cancel",
    "session-start",
    "settings-delivery-redeliver",
    "settings-invitation-revoke",
    "settings-key-revoke",
    "settings-notification-preferences",
    "settings-notifications-read",
    "settings-organisation-switch",
    "settings-profile",
    "settings-session-end",
    "settings-sessions-end-others",
    "settings-webhook-delete",
    "settings-webhook-test",
    "setup-apply",
    "setup-campaigns",
    "setup-dns",
    "setup-domain",
    "setup-go-on",
    "setup-inboxes",
    "setup-nameservers",
    "setup-outreach",  # with mailboxes to connect it asks, as `outreach-connect` does
    "setup-preview",
    "setup-propagation",
    "setup-register",
    "setup-replace",
    "setup",
    "spf-check",
    "spf-stop",
    "zone-import",
}

# The same over JSON: method and path, and the body. Two answers are right: CODE_NEEDED where a
# confirmed session may, TOKEN_NEEDED where a browser never may, since its page takes a code.
INBOX = {"domain_id": "{domain_id}", "username": "eve", "first_name": "E", "last_name": "V"}
PERSON = {"name": "Eve", "email": "eve@elsewhere.test", "roles": ["operator"]}
GUARDED_JSON: dict[str, dict[str, Any]] = {
    "POST api/v1/team/invite": INVITE,
    "POST api/v1/team/invitations/<uuid:invitation_id>/resend": {},
    "PATCH api/v1/team/<uuid:user_id>": {"role": "owner"},
    "DELETE api/v1/team/<uuid:user_id>": {},
    "POST api/v1/api-keys": {"name": "x", "scopes": ["domains:read"]},
    "POST api/v1/auth/session-token": {},
    "POST api/v1/webhooks": HOOK_JSON,
    "PATCH api/v1/webhooks/<uuid:webhook_id>": HOOK_JSON,
    "POST api/v1/webhooks/<uuid:webhook_id>/rotate-secret": {},
    "POST api/v1/email-accounts/<uuid:account_id>/smartlead": {},
    "POST api/v1/email-accounts/<uuid:account_id>/instantly": {},
    "POST api/v1/email-accounts": INBOX,
    "POST api/v1/email-accounts/batch": {"accounts": [INBOX]},
    "POST api/v1/infrastructure/provision": {"domain_id": "{domain_id}", "inbox_count": 1},
    "POST api/mailboxes": {"email": "eve@example.test"},
    "POST api/mailboxes/bulk": {"action": "reset-password", "ids": [BOX]},
    "POST api/mailboxes/import": {"rows": [{"email": "eve@example.test"}]},
    "POST api/email/mailboxes": {"domainId": "{domain_id}", "localPart": "eve"},
    "PUT api/email/mailboxes/<uuid:mailbox_id>": {"password": "a long and good one"},
    "PUT api/mailboxes/<uuid:mailbox_id>/password": {"password": "a long and good one"},
    "PUT api/mailboxes/<uuid:mailbox_id>/rules": {"forwardTo": ["eve@elsewhere.test"]},
    "POST api/email/aliases": {"mailboxId": BOX, "localPart": "*"},
    "POST api/users": {**PERSON, "tenantId": "{tenant_id}"},
    "PUT api/users/<uuid:user_id>": {"email": "eve@elsewhere.test"},
}
HARMLESS_JSON = {
    "DELETE api/dns/zones/<uuid:zone_id>/dnssec",
    "DELETE api/dns/zones/<uuid:zone_id>/records/<str:record_id>",
    "DELETE api/email/aliases/<uuid:alias_id>",
    "DELETE api/email/mailboxes/<uuid:mailbox_id>",
    "DELETE api/mailboxes/<uuid:mailbox_id>",
    "DELETE api/users/<uuid:user_id>",
    "DELETE api/v1/api-keys/<uuid:api_key_id>",
    "DELETE api/v1/auth/sessions/<uuid:session_id>",
    "DELETE api/v1/email-accounts/<uuid:account_id>/instantly",
    "DELETE api/v1/email-accounts/<uuid:account_id>/smartlead",
    "DELETE api/v1/team/invitations/<uuid:invitation_id>",
    "DELETE api/v1/webhooks/<uuid:webhook_id>",
    "PATCH api/v1/notifications/settings",
    "PATCH api/v1/profile",
    "POST api/customers",
    "POST api/dns/changes/<uuid:change_id>/apply",
    "POST api/dns/changes/<uuid:change_id>/revert",
    "POST api/dns/zones/<uuid:zone_id>/dnssec",
    "POST api/dns/zones/<uuid:zone_id>/import",
    "POST api/dns/zones/<uuid:zone_id>/records",
    "POST api/email/domains",
    "POST api/jobs/<uuid:job_id>/retry",
    "POST api/mailboxes/<uuid:mailbox_id>/activate",
    "POST api/mailboxes/<uuid:mailbox_id>/resume",
    "POST api/mailboxes/<uuid:mailbox_id>/suspend",
    "POST api/tenants",
    "POST api/v1/auth/logout",
    "POST api/v1/auth/organisations/<uuid:tenant_id>/switch",
    "POST api/v1/auth/sessions/end-others",
    "POST api/v1/dns/polling/<uuid:session_id>/cancel",
    "POST api/v1/dns/polling/<uuid:session_id>/check",
    "POST api/v1/dns/spf/flatten",
    "POST api/v1/domains/<uuid:domain_id>/dkim/rotate",
    "POST api/v1/domains/<uuid:domain_id>/dns/polling",
    "POST api/v1/domains/<uuid:domain_id>/dns/preview",
    "POST api/v1/domains/<uuid:domain_id>/dns/setup",
    "POST api/v1/domains/<uuid:domain_id>/existing-records/compare",
    "POST api/v1/domains/<uuid:domain_id>/existing-records/look",
    "POST api/v1/domains/<uuid:domain_id>/existing-records/skip",
    "POST api/v1/domains/<uuid:domain_id>/existing-records/take-over",
    "POST api/v1/domains/<uuid:domain_id>/spf/check",
    "POST api/v1/domains/<uuid:domain_id>/spf/stop",
    "POST api/v1/domains/<uuid:domain_id>/verify-nameservers",
    "POST api/v1/domains/connect",
    "POST api/v1/domains/register",
    "POST api/v1/domains/verify-nameservers",
    "POST api/v1/instantly/campaigns/<str:campaign_id>/email-accounts",
    "POST api/v1/notifications/mark-all-read",
    "POST api/v1/notifications/mark-read",
    "POST api/v1/smartlead/campaigns/<str:campaign_id>/email-accounts",
    "POST api/v1/team/invitations/accept",
    "POST api/v1/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver",
    "POST api/v1/webhooks/<uuid:webhook_id>/test",
    "PUT api/customers/<uuid:customer_id>",
    "PUT api/dns/zones/<uuid:zone_id>/records/<str:record_id>",
    "PUT api/mailboxes/<uuid:mailbox_id>/limits",
    "PUT api/mailboxes/<uuid:mailbox_id>/quota",
}


def left_open(person: Person) -> Client:
    """Their browser, signed in a while ago."""
    long_ago = timezone.now() - timedelta(seconds=settings.CONFIRMATION_LASTS + 1)
    Session.objects.filter(pk=person.session.pk).update(confirmed_at=long_ago)
    return person.client


def code_in(mails: list[EmailMessage]) -> str:
    found = re.search(r"\b(\d{6})\b", str(mails[-1].body))
    assert found
    return found[1]


def filled(body: Any, ids: dict[str, UUID]) -> Any:
    """The body with the ids of an estate."""
    if isinstance(body, dict):
        return {name: filled(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [filled(value, ids) for value in body]
    return body.format(**ids) if isinstance(body, str) else body


def operations() -> Iterator[str]:
    """Every JSON operation of who is signed in that may change something."""

    def under(found: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
        for item in found:
            path = before + str(item.pattern)
            if isinstance(item, URLResolver):
                yield from under(item.url_patterns, path)
                continue
            view = getattr(item.callback, "cls", None)
            if path.startswith("api/") and view is not None and not getattr(view, "public", True):
                methods = ("post", "put", "patch", "delete")
                yield from (f"{one.upper()} {path}" for one in methods if hasattr(view, one))

    return under(get_resolver().url_patterns)


@pytest.mark.parametrize("name", CONFIRMED_PAGES)
def test_a_page_that_gives_access_asks_for_a_fresh_code(ada: Person, name: str) -> None:
    adas, helper = estate(ada), helper_of(ada, "di", ADMIN)
    ids = {**adas.ids(), "user_id": helper.user.pk}
    before = Event.objects.count()
    path = address(name, adas).replace(str(ada.user.pk), str(helper.user.pk))
    body, browser = filled(CONFIRMED_PAGES[name], ids), left_open(ada)
    answer = browser.post(path, body)
    if answer.status_code == 405:
        answer = browser.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/confirm/?next=/"), answer["Location"]
    partial = browser.post(path, body, headers={"HX-Request": "true"})
    assert partial.status_code == 405 or partial["HX-Redirect"].startswith("/confirm/?next=/")
    assert Event.objects.count() == before, "nothing was done"


def test_every_page_with_a_form_was_looked_at(ada: Person) -> None:
    adas, browser = estate(ada), left_open(ada)
    known = {*CONFIRMED_PAGES, *PROVED_EACH_TIME, *HARMLESS_PAGES, *OPEN}
    assert known <= set(PAGES)
    unknown = {
        name for name in set(PAGES) - known if browser.post(address(name, adas)).status_code != 405
    }
    assert not unknown, "ask for a fresh code there, or say that it is harmless"


@pytest.mark.parametrize("operation", GUARDED_JSON)
def test_the_browsers_json_asks_for_a_fresh_code_too(
    ada: Person, operation: str, settings: LazySettings
) -> None:
    settings.MAILSERVER_ADMIN_URL = "http://127.0.0.1:1"  # there are rules to set
    settings.MAILSERVER_ADMIN_KEY = "a-key-of-sixteen-signs"
    adas, helper = estate(ada), helper_of(ada, "di", ADMIN)
    type(ada.user).objects.filter(pk=ada.user.pk).update(is_operator=True)
    ids = {**adas.ids(), "user_id": helper.user.pk, "account_id": adas.mailboxes[0].pk}
    method, template = operation.split()
    path = "/" + re.sub(r"<\w+:(\w+)>", lambda part: str(ids[part[1]]), template)
    before = Event.objects.count()
    body = filled(GUARDED_JSON[operation], ids)
    answer = getattr(left_open(ada), method.lower())(path, body, content_type="application/json")
    told = answer.status_code, answer.json()["error"]["code"]
    assert told in {(403, "CODE_NEEDED"), (403, "TOKEN_NEEDED")}, answer.content
    assert Event.objects.count() == before, "nothing was done"


def test_every_operation_was_looked_at() -> None:
    known = {*GUARDED_JSON, *HARMLESS_JSON}
    assert known == set(operations()), "ask for a fresh code there, or say that it is harmless"


def test_an_operators_open_browser_makes_no_operators(ada: Person, bo: Person) -> None:
    ada.user.is_operator = True
    ada.user.save()
    browser, kind = left_open(ada), "application/json"
    new = {
        "name": "Eve",
        "email": "eve@elsewhere.test",
        "tenantId": str(ada.actor.tenant_id),
        "roles": ["operator"],
    }
    made = browser.post("/api/users", new, content_type=kind)
    for change in ({"roles": ["operator"]}, {"email": "eve@elsewhere.test"}):
        path = f"/api/users/{bo.user.pk}"
        answer = browser.put(path, change, content_type=kind)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "CODE_NEEDED")
    assert (made.status_code, made.json()["error_code"]) == (403, "CODE_NEEDED")


def test_an_operators_open_browser_lets_nobody_suspended_in_again(ada: Person, bo: Person) -> None:
    ada.user.is_operator = True
    ada.user.save()
    User.objects.filter(pk=bo.user.pk).update(is_active=False)
    tenant = Tenant.objects.create(name="Cy", status=Tenant.SUSPENDED)
    customer = Customer.objects.create(tenant=tenant, name="Cy", email="cy@people.test")
    browser, kind = left_open(ada), "application/json"
    for path in (f"/api/users/{bo.user.pk}", f"/api/customers/{customer.pk}"):
        answer = browser.put(path, {"status": "active"}, content_type=kind)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "CODE_NEEDED")
    for model, row in (("user", bo.user.pk), ("tenant", tenant.pk)):
        path = reverse(f"admin:tenants_{model}_changelist")
        answer = browser.post(
            path,
            {"action": f"activate_{model}", "_selected_action": str(row)},
            headers={"Referer": f"http://testserver{path}"},
        )
        assert (answer.status_code, answer["Location"]) == (302, f"/confirm/?next={path}")
    bo.user.refresh_from_db()
    tenant.refresh_from_db()
    assert (bo.user.is_active, tenant.status) == (False, Tenant.SUSPENDED)


def test_the_second_factor_is_not_turned_on_in_an_open_browser(ada: Person) -> None:
    browser, path = left_open(ada), "/settings/security/second-factor/"
    for method in ("get", "post"):
        headers = {"Referer": f"http://testserver{path}"}
        answer = getattr(browser, method)(path, {"code": "123456"}, headers=headers)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/confirm/?next=/settings/security/second-factor/")
    assert not services.has_second_factor(ada.user)


def test_a_code_opens_the_session_for_a_while_and_leads_back(
    ada: Person, mailoutbox: list[EmailMessage]
) -> None:
    browser, path = left_open(ada), "/settings/team/invite/"
    asked = browser.get(path)
    assert asked["Location"] == f"/confirm/?next={path}"
    assert not mailoutbox, "to open a page sends nothing"
    sent = browser.post("/confirm/", {"next": path})
    assert ada.user.email in sent.content.decode()
    work_off()
    assert mailoutbox[-1].to == [ada.user.email]
    code = code_in(mailoutbox)
    wrong = browser.post("/confirm/", {"next": path, "code": f"{(int(code) + 1) % 10**6:06d}"})
    assert (wrong.status_code, set(wrong.context["form"].errors)) == (422, {"code"})
    right = browser.post("/confirm/", {"next": path, "code": code})
    assert (right.status_code, right["Location"]) == (302, path)
    assert browser.get(path).status_code == 200
    assert browser.post(path, INVITE).status_code == 302
    assert Invitation.objects.get().email == INVITE["email"]
    kind = "application/json"
    wanted = {"name": "x", "scopes": ["domains:read"]}
    assert browser.post("/api/v1/api-keys", wanted, content_type=kind).status_code == 201
    assert Event.objects.filter(action="session.confirmed").count() == 1
    left_open(ada)
    assert browser.post("/confirm/", {"next": path, "code": code}).status_code == 422, "used up"


def test_a_code_confirms_no_other_session(ada: Person, mailoutbox: list[EmailMessage]) -> None:
    left_open(ada).post("/confirm/", {"next": "/overview/"})
    work_off()
    elsewhere = Client()
    link = services.make_login_link(ada.actor)
    assert elsewhere.post(urlsplit(link).path).status_code == 302
    refused = elsewhere.post("/confirm/", {"code": code_in(mailoutbox)})
    assert refused.status_code == 422


def test_who_comes_by_a_login_link_gives_a_code_first(ada: Person) -> None:
    """The link may have been taken from an open screen; whoever signed in has proved more."""
    link = services.make_login_link(ada.actor)
    browser = Client()
    assert browser.post(urlsplit(link).path).status_code == 302
    assert browser.get("/overview/").status_code == 200
    assert browser.post("/settings/team/invite/", INVITE)["Location"].startswith("/confirm/")
    assert left_open(ada).post("/settings/security/login-link/").status_code == 302
    assert LoginLink.objects.count() == 1


def test_what_was_sent_is_told_to_be_undone(ada: Person, mailoutbox: list[EmailMessage]) -> None:
    path = "/settings/team/invite/"
    browser = left_open(ada)
    browser.post(path, INVITE, headers={"Referer": f"http://testserver{path}"})
    browser.post("/confirm/", {"next": path})
    work_off()
    page = browser.post("/confirm/", {"next": path, "code": code_in(mailoutbox)}, follow=True)
    assert "data-undone" in page.content.decode()
    assert not Invitation.objects.exists()


def test_a_session_confirmed_in_another_tab_leads_back_to_what_was_typed(ada: Person) -> None:
    path = "/settings/team/invite/"
    browser = left_open(ada)
    asked = browser.post(path, INVITE, headers={"Referer": f"http://testserver{path}"})
    Session.objects.filter(pk=ada.session.pk).update(confirmed_at=timezone.now())
    page = browser.get(asked["Location"], follow=True)
    assert page.request["PATH_INFO"] == path
    assert "data-undone" in page.content.decode()


def test_the_kept_answer_to_a_key_needs_the_code_again(ada: Person) -> None:
    def ask(path: str, body: dict[str, Any], browser: Client) -> tuple[int, str]:
        sent = {"content_type": "application/json", "headers": {"Idempotency-Key": path}}
        answer = browser.post(path, body, **sent)  # type: ignore[arg-type]
        return answer.status_code, answer.content.decode()

    keys, wanted = "/api/v1/api-keys", {"name": "x", "scopes": ["domains:read"]}
    made = ask(keys, wanted, ada.client)
    assert made[0] == 201
    assert ask(keys, wanted, ada.client) == made
    status, told = ask(keys, wanted, left_open(ada))
    assert status == 403
    assert "CODE_NEEDED" in told
    assert "mpk_" not in told
    # What asked for no code is answered again.
    harmless = "/api/v1/notifications/mark-all-read"
    first = ask(harmless, {}, ada.client)
    assert first[0] < 300
    assert ask(harmless, {}, ada.client) == first


def test_tokens_and_keys_do_what_they_may(ada: Person) -> None:
    left_open(ada)
    assert Api(ada.token).post("/api/v1/team/invite", INVITE).status == 201
    key = services.create_api_key(ada.actor, name="x", scopes=["webhooks:write"])
    assert Api(key.plain).post("/api/v1/webhooks", HOOK_JSON).status == 201
    assert WebhookEndpoint.objects.count() == 1
    assert ApiKey.objects.count() == 1


def test_a_member_is_told_who_may_rather_than_asked_for_a_code(ada: Person, bo: Person) -> None:
    assert "Admins make API keys" in left_open(bo).get("/settings/keys/new/").content.decode()
