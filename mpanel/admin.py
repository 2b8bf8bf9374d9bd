"""The operators' admin: Django's, in our colours, behind our own sign-in."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, re_path, reverse
from django.utils import timezone
from django.utils.csp import CSP
from django.utils.text import capfirst
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

from domains.models import Domain
from events.models import Event
from mailboxes.models import Mailbox
from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin
from mpanel.core.errors import Forbidden
from mpanel.core.pages import safe_next, signed_in
from provisioning.models import Job
from provisioning.probes import clusters_alive, queues_without_worker
from tenants import browser
from tenants.models import Tenant

# Unfold's scripts evaluate what stands in its markup, and its styles stand there too. Nothing
# comes from outside, and no script that stands in a page runs.
POLICY: dict[str, list[str]] = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    "object-src": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
}
# The sidebar: every model once, by what operators look for, with its icon.
NAVIGATION: dict[str, dict[str, str]] = {
    "Tenants": {
        "tenants.Tenant": "apartment",
        "tenants.Customer": "contact_mail",
        "billing.Account": "credit_card",
        "tenants.User": "person",
        "tenants.Membership": "group",
        "tenants.Invitation": "outgoing_mail",
    },
    "Work": {
        "provisioning.Job": "work",
        "provisioning.JobStep": "checklist",
        "provisioning.JobLog": "article",
    },
    "Domains and DNS": {
        "domains.Domain": "language",
        "domains.Registration": "shopping_cart",
        "dnszones.Zone": "dns",
        "dnszones.ZoneDiscovery": "travel_explore",
        "dnszones.Record": "list_alt",
        "dnszones.ChangePlan": "difference",
        "dnszones.PropagationSession": "radar",
        "dnszones.DkimKey": "vpn_key",
        "dnszones.SpfFlattening": "compress",
        "dnszones.SpfFlatteningChange": "history",
    },
    "Mail": {
        "mailboxes.Mailbox": "mail",
        "mailboxes.Batch": "stacked_email",
        "mailservers.MailServer": "dns",
        "mailservers.MailDomain": "alternate_email",
        "mailboxes.Alias": "forward_to_inbox",
        "mailboxes.DeliveryRules": "rule",
        "mailboxes.OutsideSender": "contact_mail",
        "deliverability.SendingDay": "outgoing_mail",
        "mailboxes.LoginGuesses": "password",
        "mailboxes.LoginNetwork": "lan",
        "deliverability.QueuedMessage": "schedule_send",
        "mailservers.LogPosition": "bookmark",
        "outreach.OutreachLink": "campaign",
        "outreach.CampaignSeat": "event_seat",
        "outreach.WarmupDay": "local_fire_department",
    },
    "Access": {
        "tenants.Session": "devices",
        "tenants.ApiKey": "key",
        "tenants.SecondFactor": "phonelink_lock",
        "tenants.Guess": "password",
        "tenants.LoginLink": "link",
        "tenants.OneTimeCode": "pin",
        "tenants.ProviderCredential": "badge",
    },
    "Events": {
        "events.Event": "history",
        "events.Chain": "lock",
        "events.Notification": "notifications",
        "events.Preference": "tune",
        "events.WebhookEndpoint": "webhook",
        "events.WebhookDelivery": "outbox",
        "events.WebhookAttempt": "send",
    },
    "Machinery": {
        "provisioning.Heartbeat": "monitor_heart",
        "provisioning.Lease": "lock_clock",
        "provisioning.Sweep": "autorenew",
        "core.RateWindow": "speed",
        "core.IdempotentAnswer": "replay",
    },
}

View = Callable[..., Any]


class OperatorSite(UnfoldAdminSite):
    """Only operators come in, through our own sign-in; visitors are led there."""

    index_template = "operators/dashboard.html"
    index_title = "Overview"

    def has_permission(self, request: HttpRequest) -> bool:
        actor: Actor | None = getattr(request, "actor", None)
        return actor is not None and actor.is_operator

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[Any] | None = None,
        **options: Any,
    ) -> None:
        """Ours only: the pages that libraries register for themselves could change rows."""
        if admin_class is not None and issubclass(admin_class, ReadOnlyAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        inner = super().admin_view(view, cacheable)

        def for_operators(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.has_permission(request):
                raise Forbidden("Only operators may see this.")
            answer: HttpResponseBase = inner(request, *args, **kwargs)
            return answer

        for_operators.__name__ = getattr(view, "__name__", "admin_view")
        return csp_override(POLICY)(signed_in(for_operators))

    def get_urls(self) -> list[Any]:
        return [*map(moved_list, filter(has_moved, self._registry)), *super().get_urls()]

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        onward = safe_next(request, reverse("admin:index"))
        if self.has_permission(request):
            return HttpResponseRedirect(onward)
        return redirect(f"{reverse('sign-in')}?next={quote(onward)}")

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST":
            browser.sign_out(request, getattr(request, "actor", None))
        return redirect("home")

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("settings-security")

    password_change_done = password_change

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer: HttpResponse = super().index(
            request, {"figures": figures(), "events": Event.objects.select_related("tenant")[:10]}
        )
        return answer

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        here = request.path
        overview = reverse("admin:index")
        groups = [{"items": [item("Overview", "dashboard", overview, active=here == overview)]}]
        for title, models in NAVIGATION.items():
            entries = []
            for label, icon in models.items():
                model = apps.get_model(label)
                link = list_of(model)
                name = capfirst(str(model._meta.verbose_name_plural))
                entries.append(item(name, icon, link, active=here.startswith(link)))
            groups.append({"title": title, "separator": True, "items": entries})  # type: ignore[dict-item]
        return groups


def item(title: str, icon: str, link: str, *, active: bool) -> dict[str, Any]:
    """One line of the sidebar."""
    return {"title": title, "icon": icon, "link": link, "active": active, "has_permission": True}


def list_of(model: type[Model]) -> str:
    """Where a model's list is."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def has_moved(model: type[Model]) -> bool:
    """Whether a model began in another app, after which its table is still named."""
    return not model._meta.db_table.startswith(f"{model._meta.app_label}_")


def moved_list(model: type[Model]) -> URLPattern:
    """The address at which a model was before it moved to another app: it leads to the new one."""
    before, _, name = model._meta.db_table.partition("_")

    def onward(request: HttpRequest, rest: str) -> HttpResponse:
        query = request.META["QUERY_STRING"]
        return redirect(f"{list_of(model)}{rest}{'?' if query else ''}{query}")

    return re_path(rf"^{before}/{name}/(?P<rest>.*)$", onward)


def figures() -> list[dict[str, Any]]:
    """What the overview begins with; one query each."""
    day = timezone.now() - timedelta(days=1)
    alive = clusters_alive()
    failed = Job.objects.filter(status=Job.FAILED, finished_at__gte=day).count()
    return [
        {"label": "Tenants", "value": Tenant.objects.count(), "link": list_of(Tenant)},
        {"label": "Domains", "value": Domain.objects.count(), "link": list_of(Domain)},
        {
            "label": "Inboxes",
            "value": Mailbox.objects.present().count(),
            "link": list_of(Mailbox),
        },
        {
            "label": "Jobs failed in 24 hours",
            "value": failed,
            "link": f"{list_of(Job)}?status=failed",
            "tone": "bad" if failed else "",
        },
        {
            "label": "Workers alive",
            "value": alive.total(),
            "link": reverse("admin:provisioning_heartbeat_changelist"),
            "tone": "bad" if queues_without_worker(alive) else "",
        },
    ]
