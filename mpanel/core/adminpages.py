"""What every page of the operators' admin leans on: it shows rows, and lets services change them.

A model's admin is a `ReadOnlyAdmin`: lists, filters, and a page of each row without its secrets.
What operators may do is an action made by `acts`, which calls a service for each chosen row as the
operator in that row's tenant.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.options import ActionLocation
from django.db.models import Field, ForeignObjectRel, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.views import ChangeList

from mpanel.core.actor import Actor, CodeNeeded, acting_for
from mpanel.core.errors import MPanelError

# Columns that no page shows, by their names: what is sealed, hashes and tokens; keys of requests;
# and the parameters of a one-time code, among which is a password's hash.
SECRET = re.compile(r"seal|hash|secret|token|passw|digest|refresh_id|idempotency_key|last_step")
TONES = {
    "success": "active succeeded provisioned connected ready registered applied delivered "
    "completed propagated verified works done",
    "info": "running applying computing polling provisioning warming buying dns_configuring "
    "propagating",
    "warning": "pending waiting suspended pending_nameservers deleting unreachable timeout",
    "danger": "failed refused error",
}
LABELS = {status: tone for tone, statuses in TONES.items() for status in statuses.split()}


def operator_of(request: HttpRequest) -> Actor:
    """Who is signed in here."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    actor.require_operator()
    return actor


class StatusFilter(admin.SimpleListFilter):
    """By status, as the model names them; asks the database nothing."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(model_admin.model.STATUSES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=self.value()) if self.value() else queryset


def set_or_not(column: str, label: str) -> type[admin.SimpleListFilter]:
    """A filter by whether a time is set."""

    class Filter(admin.SimpleListFilter):
        title = label
        parameter_name = f"{column}_set"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [("yes", "Yes"), ("no", "No")]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            if self.value() not in {"yes", "no"}:
                return queryset
            return queryset.filter(**{f"{column}__isnull": self.value() == "no"})

    return Filter


def one_of(column: str, *values: str) -> type[admin.SimpleListFilter]:
    """A filter by known values; unlike Django's own it does not read the table to find them."""

    class Filter(admin.SimpleListFilter):
        title = column.replace("_", " ")
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, value.replace("_", " ").capitalize()) for value in values]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    return Filter


class Rows(ChangeList):
    """A list that counts once; "show all" is offered only where something is left out."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.query or self.filter_params):
            self.full_result_count = self.result_count


class ReadOnlyAdmin(ModelAdmin):
    """Rows to look at. `hidden`: columns beyond `SECRET` that are nobody's business.

    `tenant_path`: how a row's tenant is reached, for those with actions.
    """

    hidden: ClassVar[tuple[str, ...]] = ()
    tenant_path: ClassVar[str] = "tenant_id"

    actions_on_top = True
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = False
    list_fullwidth = True
    compressed_fields = True
    change_form_outer_before_template = "operators/actions.html"

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        actor: Actor | None = getattr(request, "actor", None)
        return actor is not None and actor.is_operator

    has_module_permission = has_view_permission

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        fields: Iterable[Field[Any, Any]] = self.model._meta.concrete_fields
        return [field.name for field in fields if self.shows(field.name)]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return self.get_fields(request, obj)

    def shows(self, column: str) -> bool:
        """Whether a column may be seen."""
        return column not in self.hidden and not SECRET.search(column)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Nor may a filter in the address guess at what is not shown."""
        if not all(self.shows(part) for part in lookup.split("__")):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Rows

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: list[tuple[str, str]] | None = None,
        action_location: ActionLocation = ActionLocation.CHANGE_LIST,
    ) -> list[tuple[str, str]]:
        # Unfold's own has not learnt Django 6.1's second parameter (seen in 0.110).
        none = default_choices or [("", "Select action")]
        choices: list[tuple[str, str]] = admin.ModelAdmin.get_action_choices(
            self, request, none, action_location
        )
        return choices

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """A row's history is its events."""
        return HttpResponseRedirect(
            f"{reverse('admin:events_event_changelist')}?subject_id={object_id}"
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The row, with a button for each action."""
        offered = self.get_actions(request).values()
        buttons = [(one.name, one.description) for one in offered]
        opts = self.model._meta
        context = {
            **(extra_context or {}),
            "action_buttons": buttons,
            "action_url": reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"),
            "action_row": object_id,
            "related_lists": self.related_lists(object_id),
        }
        answer: HttpResponse = super().change_view(request, object_id, form_url, context)
        return answer

    def related_lists(self, object_id: str) -> list[tuple[str, str]]:
        """The lists of what hangs on a row: label and address."""
        lists = []
        for relation in self.model._meta.get_fields(include_hidden=True):
            if not isinstance(relation, ForeignObjectRel):
                continue
            model = relation.related_model
            if isinstance(model, type) and self.admin_site.is_registered(model):
                opts, column = model._meta, relation.field.name
                label = capfirst(str(opts.verbose_name_plural))
                if column.endswith("_by"):
                    label = f"{label} {column.replace('_', ' ')} them"
                path = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
                lists.append((label, f"{path}?{column}__{self.opts.pk.name}__exact={object_id}"))
        return sorted(lists)

    @display(description="Status", ordering="status", label=LABELS)
    def status_badge(self, row: Any) -> str:
        return str(row.status)

    def tenant_of(self, row: Model) -> UUID:
        """The tenant in which a row is acted upon."""
        found: Any = row
        for part in self.tenant_path.split("."):
            found = getattr(found, part)
        tenant_id: UUID = found
        return tenant_id


Work = Callable[[Actor, Any], object]


def acts(
    label: str, *, ask: str = "", in_tenant: bool = True
) -> Callable[[Work], Callable[..., Any]]:
    """Make an action of a function that does one row: `work(actor, row)`.

    `ask`: a second question before harm. `in_tenant`: the actor is the operator acting in the row's
    tenant; else the operator as they are, for services that find the tenant themselves. What the
    function returns as text is said.
    """

    def declare(work: Work) -> Callable[..., Any]:
        def action(
            page: ReadOnlyAdmin, request: HttpRequest, rows: QuerySet[Any]
        ) -> HttpResponse | None:
            operator = operator_of(request)
            if ask and "confirmed" not in request.POST:
                return _ask(page, request, rows, name=work.__name__, label=label, question=ask)
            done = 0
            for row in rows:
                try:
                    actor = acting_for(operator, page.tenant_of(row)) if in_tenant else operator
                    said = work(actor, row)
                except CodeNeeded:
                    raise  # which holds for every row, and leads to the page that takes the code
                except MPanelError as error:
                    page.message_user(request, f"{row}: {error.message}", messages.ERROR)
                else:
                    done += 1
                    if isinstance(said, str):
                        page.message_user(request, said, messages.INFO)
            if done:
                page.message_user(request, f"{label}: done for {done}.", messages.SUCCESS)
            return None

        action.__name__ = work.__name__
        action.__doc__ = work.__doc__
        return admin.action(description=label)(action)

    return declare


def _ask(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    rows: QuerySet[Any],
    *,
    name: str,
    label: str,
    question: str,
) -> HttpResponse:
    context = {
        **page.admin_site.each_context(request),
        "title": label,
        "question": question,
        "rows": rows,
        "action": name,
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "opts": page.model._meta,
    }
    return render(request, "operators/confirm.html", context)
