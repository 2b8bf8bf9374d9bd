"""The operators' admin: every model's pages, made from what is registered."""

import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mpanel.admin import NAVIGATION
from mpanel.core.adminpages import ReadOnlyAdmin
from tenants.models import Tenant
from tenants.services.operators import make_operator, suspend_tenant
from tests.admin.rows import MARK, is_secret, make_rows
from tests.cast import Person

pytestmark = pytest.mark.django_db
OURS = {
    "core",
    "events",
    "tenants",
    "provisioning",
    "billing",
    "domains",
    "dnszones",
    "mailservers",
    "mailboxes",
    "deliverability",
    "outreach",
}
PAGES: dict[type[models.Model], ReadOnlyAdmin] = dict(admin.site._registry)  # type: ignore[arg-type]
MODELS = sorted(PAGES, key=lambda model: model._meta.label)


def where(model: type[models.Model], page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def ops(ada: Person) -> Client:
    """Ada, who runs this installation."""
    make_operator(ada.user)
    return ada.client


# --- Who gets in -----------------------------------------------------------------------------


def test_visitors_sign_in_at_our_own_page_and_others_stay_out(ada: Person, cy: Person) -> None:
    for path in ("/admin/", where(MODELS[0]), "/admin/nothing-here/", "/admin/jsi18n/"):
        visit = Client().get(path)
        assert visit.status_code == 302
        assert visit["Location"] == f"/sign-in/?next={path}"
        refused = cy.client.get(path)
        assert refused.status_code == 403
        assert b"Only operators" in refused.content
    login = Client().get("/admin/login/", {"next": where(MODELS[0])})
    assert login["Location"] == f"/sign-in/?next={where(MODELS[0])}"
    assert Client().get("/admin/login/", {"next": "https://evil.test/"})["Location"] == (
        "/sign-in/?next=/admin/"
    )
    make_operator(cy.user)
    assert cy.client.get("/admin/").status_code == 200
    make_operator(ada.user)
    suspend_tenant(replace(ada.actor, is_operator=True), cy.tenant.pk)
    assert cy.client.get("/admin/").status_code == 403


def test_pages_of_models_that_moved_are_found_at_their_former_addresses(ops: Client) -> None:
    before = "/admin/mailboxes/outreachlink/"
    assert ops.get(before)["Location"] == "/admin/outreach/outreachlink/"
    assert ops.get(f"{before}7/change/?q=a")["Location"].endswith("/outreachlink/7/change/?q=a")
    assert ops.get(before, follow=True).status_code == 200


def test_signing_out_ends_our_session(ops: Client) -> None:
    assert ops.post("/admin/logout/")["Location"] == "/"
    assert ops.get("/admin/")["Location"].startswith("/sign-in/")
    assert ops.get("/overview/").status_code == 302


def test_the_policy_lets_nothing_in_from_outside(ops: Client) -> None:
    page = ops.get("/admin/")
    policy = page["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "http" not in policy
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page.content.decode())
    assert loaded
    assert all(address.startswith("/static/") for address in loaded), loaded
    assert "unsafe" not in ops.get("/overview/")["Content-Security-Policy"]


# --- Every model -----------------------------------------------------------------------------


def test_every_model_is_there_and_in_the_sidebar() -> None:
    ours = {model for model in apps.get_models() if model._meta.app_label in OURS}
    assert set(PAGES) == ours
    assert {label for models in NAVIGATION.values() for label in models} == {
        model._meta.label for model in ours
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_list_costs_the_same_whatever_its_length(ops: Client, model: type[models.Model]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            answer = ops.get(where(model))
        assert answer.status_code == 200
        assert answer.context["cl"].result_count >= rows
        return len(seen)

    rows = 2
    make_rows(model, 2)
    few = queries()
    rows = 12
    make_rows(model, 10)
    assert queries() == few <= MOST_QUERIES


# Who asks, their tenant's frame, counting, the page, and what a date hierarchy needs.
MOST_QUERIES = 8


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_page_shows_a_secret_or_lets_a_row_be_changed(
    ops: Client, model: type[models.Model]
) -> None:
    row = make_rows(model, 1)[0]
    hidden = [field.name for field in model._meta.concrete_fields if is_secret(field)]
    for page in (
        ops.get(where(model)),
        ops.get(where(model, "change", row.pk)),
        ops.get(where(model), {"q": str(row.pk)}),
    ):
        assert page.status_code == 200
        assert MARK not in page.content.decode(), hidden
    for name in PAGES[model].get_actions(request_of(ops)):
        asked = ops.post(
            where(model), {"action": name, "index": 0, "_selected_action": str(row.pk)}
        )
        assert asked.status_code in {200, 302}
        assert MARK not in asked.content.decode()
    assert MARK not in ops.get(where(model)).content.decode()
    history = ops.get(where(model, "history", row.pk))
    assert history["Location"] == f"/admin/events/event/?subject_id={row.pk}"

    assert ops.get(where(model, "add")).status_code == 403
    assert ops.post(where(model, "add"), {}).status_code == 403
    assert ops.get(where(model, "delete", row.pk)).status_code == 403
    assert ops.post(where(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert ops.post(where(model, "change", row.pk), {}).status_code == 403
    assert type(row)._base_manager.filter(pk=row.pk).exists()
    assert ops.get(where(model, "change", uuid4())).status_code in {302, 404}


def test_a_filter_cannot_guess_at_a_secret(ops: Client) -> None:
    for path in (
        "tenants/user/?password__startswith=a",
        "tenants/apikey/?secret_hash__startswith=a",
        "tenants/session/?membership__user__password__startswith=a",
        "tenants/onetimecode/?params__password__startswith=a",
    ):
        assert ops.get(f"/admin/{path}").status_code == 400, path


def test_what_hangs_on_a_row_is_one_click_away(ops: Client, ada: Person, cy: Person) -> None:
    lists = dict(PAGES[Tenant].related_lists(str(cy.tenant.pk)))
    assert {"Domains", "Mailboxes", "Jobs", "Memberships", "Events"} <= set(lists)
    for path in lists.values():
        assert ops.get(path).status_code == 200, path
    (membership,) = ops.get(lists["Memberships"]).context["cl"].result_list
    assert membership.user == cy.user


def request_of(client: Client) -> Any:
    return client.get("/admin/").wsgi_request


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_filters_and_odd_queries_are_answered(ops: Client, model: type[models.Model]) -> None:
    page = ops.get(where(model), {"q": "'\"%_\\"})
    for spec in page.context["cl"].filter_specs:
        chosen = list(spec.choices(page.context["cl"]))[1]
        assert ops.get(where(model) + chosen["query_string"]).status_code == 200
    for odd in ({"status": "nonsense", "p": "999"}, {"o": "99.-x"}):
        assert ops.get(where(model), odd, follow=True).status_code == 200


def test_the_overview_counts_in_few_queries(ops: Client, django_assert_num_queries: Any) -> None:
    ops.get("/admin/")
    with django_assert_num_queries(9):
        page = ops.get("/admin/").content.decode()
    found = re.findall(r"<span>([^<]+)</span>\s*<strong>(\d+)</strong>", page)
    assert found == [
        ("Tenants", "1"),
        ("Domains", "0"),
        ("Inboxes", "0"),
        ("Jobs failed in 24 hours", "0"),
        ("Workers alive", "0"),
    ]
