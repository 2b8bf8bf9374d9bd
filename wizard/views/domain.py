"""Steps 1 and 2: which domain, connected or registered, and its nameservers."""

from dataclasses import asdict
from uuid import UUID

from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from domains.forms import ConnectForm, LookUpForm, RegisterForm
from domains.models import Domain
from domains.registrars import nameserver_instructions
from domains.registration import Quote, look_up, prepare_order, register_domain
from domains.selectors import connecting_job, get_domain, last_contact, registration_of
from domains.selectors import domains as domains_of
from domains.services import check_nameservers_now, connect_domain
from mpanel.core.errors import Conflict, Invalid, LimitExceeded, ProviderError
from mpanel.core.pages import PageRequest, add_errors, signed_in
from tenants.selectors import credentials_for
from wizard.steps import next_step, reached
from wizard.views.existing import existing_records
from wizard.views.page import step_page


@signed_in
@require_http_methods(["GET", "POST"])
def start(request: PageRequest) -> HttpResponseBase:
    """Step 1: which domain."""
    choices = list(credentials_for(request.actor, "dns"))
    form = ConnectForm(request.POST or None, credentials=choices)
    if request.method == "POST" and form.is_valid():
        try:
            domain = connect_domain(
                request.actor,
                form.cleaned_data["domain"],
                credential_id=UUID(form.cleaned_data["credential"]),
                registrar=form.cleaned_data["provider"],
                notes=form.cleaned_data["notes"],
            )
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, LimitExceeded) as error:
            form.add_error("domain", error.message)
        else:
            return redirect("setup-nameservers", domain_id=domain.pk)
    unfinished = [
        item for item in domains_of(request.actor) if not reached(item, Domain.PROVISIONED)
    ]
    context = {
        "form": form,
        "has_credentials": bool(choices),
        "unfinished": [item for item in unfinished if item.status != Domain.DELETING],
        **step_page(None, "domain", "Which domain?", "It gets a zone in your DNS account."),
    }
    return render(request, "wizard/start.html", context, status=422 if form.errors else 200)


@signed_in
@require_http_methods(["GET", "POST"])
def register(request: PageRequest) -> HttpResponseBase:
    """Step 1 for a domain that nobody has yet: its price, who it is for, and the yes."""
    registrars = list(credentials_for(request.actor, "registrar"))
    choices = list(credentials_for(request.actor, "dns"))
    asked = request.POST or request.GET
    wanted = {"years": "1", **asked.dict()} if "domain" in asked else None
    search = LookUpForm(wanted, registrars=registrars)
    form = RegisterForm(request.POST or None, dns_credentials=choices)
    if request.method == "POST" and form.is_valid():
        try:
            order = prepare_order(
                request.actor,
                form.cleaned_data["domain"],
                credential_id=form.cleaned_data["credential"],
                dns_credential_id=UUID(form.cleaned_data["dns_credential"]),
                years=form.cleaned_data["years"],
                contact=form.contact(),
                max_cost=form.cleaned_data["max_cost"],
            )
            registration = register_domain(request.actor, order)
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, LimitExceeded, ProviderError) as error:
            form.add_error(None, error.message)
        else:
            return redirect("setup-nameservers", domain_id=registration.domain_id)
    quote = _quote(request, search) if registrars and choices else None
    if quote and request.method == "GET":
        form = RegisterForm(initial=_proposed(request, quote), dns_credentials=choices)
    context = {
        "search": search,
        "form": form,
        "quote": quote,
        "has_registrar": bool(registrars),
        "has_credentials": bool(choices),
        **step_page(None, "domain", "Register a new domain", "Your registrar’s account pays."),
    }
    refused = request.method == "POST"
    return render(request, "wizard/register.html", context, status=422 if refused else 200)


def _quote(request: PageRequest, search: LookUpForm) -> Quote | None:
    """What the domain costs that is asked for; what stands in the way is said in the form."""
    if not search.is_valid():
        return None
    try:
        return look_up(
            request.actor,
            search.cleaned_data["domain"],
            credential_id=UUID(search.cleaned_data["credential"]),
            years=int(search.cleaned_data["years"]),
        )
    except Invalid as error:
        add_errors(search, error)
    except (Conflict, LimitExceeded, ProviderError) as error:
        search.add_error("domain", error.message)
    return None


def _proposed(request: PageRequest, quote: Quote) -> dict[str, object]:
    """The offer, and the contact that was used last."""
    known = last_contact(request.actor)
    return {
        **(asdict(known) if known else {"email": request.actor.email}),
        "domain": quote.name.unicode,
        "years": quote.years,
        "credential": quote.credential.pk,
    }


@signed_in
@require_GET
def resume(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Go on where the setup stands."""
    return redirect(next_step(get_domain(request.actor, domain_id)))


@signed_in
@require_GET
def domain(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 1 of a domain that is connected already: what was chosen."""
    found = get_domain(request.actor, domain_id)
    context = {
        "domain": found,
        "registration": registration_of(found),
        "job": connecting_job(request.actor, found),
        **step_page(found, "domain", str(found), "The domain is connected."),
    }
    return render(request, "wizard/domain.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def nameservers(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 2: point the nameservers here, and wait until the parent zone says so."""
    if request.method == "POST":
        check_nameservers_now(request.actor, domain_id)
        if not request.htmx:
            return redirect("setup-nameservers", domain_id=domain_id)
    found = get_domain(request.actor, domain_id)
    job = connecting_job(request.actor, found)
    registration = registration_of(found)
    existing = existing_records(found)
    context = {
        "domain": found,
        "job": job,
        "registration": registration,
        "steps_of_job": list(job.steps.all()) if job and registration else [],
        "instructions": nameserver_instructions(
            found.registrar, found.shown_nameservers, dns_provider=found.dns_provider_name
        )
        if found.shown_nameservers
        else None,
        **existing,
        # A form that somebody fills in stays as it is.
        "waiting": not found.is_verified and (bool(found.shown_nameservers) or existing["is_busy"]),
        **step_page(
            found,
            "nameservers",
            "We register and delegate it" if registration else "Point your nameservers here",
            "So that the records we write are the ones the world sees."
            if registration
            else "First the new zone gets the records that the domain has now. Then you change its "
            "nameservers at your registrar.",
        ),
    }
    template = "wizard/nameservers.html"
    return render(request, f"{template}#live" if request.htmx else template, context)
