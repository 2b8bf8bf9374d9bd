"""Pages about who works in a tenant: members, invitations, joining, and switching tenants."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from mpanel.core.actor import MEMBER
from mpanel.core.errors import Conflict, Forbidden, Gone, Invalid, MPanelError, TooManyRequests
from mpanel.core.pages import PageRequest, add_errors, confirmed, paginate, signed_in
from mpanel.core.places import require_POST
from tenants import browser, services
from tenants.selectors import get_user
from tenants.team import invitations, members, selectors
from tenants.team.forms import InviteForm, RoleForm
from tenants.team.models import Invitation

HERE, HOME, JOIN = "/settings/team/", "/overview/", "/join/"
LINK = "invitation"  # in the browser's session: the hash of the token that its link had
FRAME = {"section": "settings", "tab": "team", "crumbs": [("Team", HERE)]}


@signed_in
@require_GET
def team(request: PageRequest) -> HttpResponseBase:
    """Members, and open invitations."""
    context = {
        "page": paginate(request, selectors.members(request.actor)),
        "invitations": selectors.invitations(request.actor)[:100],
        "section": "settings",
        "tab": "team",
        "page_title": "Team",
        "page_subtitle": "Who works in this organisation, and what they may do.",
    }
    return render(request, "tenants/team.html", context)


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def invite(request: PageRequest) -> HttpResponseBase:
    """Invite somebody by e-mail."""
    roles = selectors.roles_to_give(request.actor)
    form = InviteForm(request.POST or None, roles=roles, initial={"role": MEMBER})
    if request.method == "POST":
        members.require_rank(request.actor)
    if request.method == "POST" and form.is_valid():
        try:
            made = invitations.invite(request.actor, **form.cleaned_data)
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, TooManyRequests) as error:
            form.add_error("email", error.message)
        else:
            messages.success(request, f"Invited {made}. The link in the e-mail works for a week.")
            return redirect("settings-team")
    context = {"form": form, "page_title": "Invite a teammate", **FRAME}
    status = 422 if form.errors else 200
    return render(request, "tenants/invite.html", context, status=status)


@signed_in
@require_POST
def invitation_resend(request: PageRequest, invitation_id: UUID) -> HttpResponseBase:
    """Send an invitation again; the old link no longer works."""
    try:
        sent = invitations.resend_invitation(request.actor, invitation_id)
    except TooManyRequests as error:
        messages.warning(request, error.message)
    else:
        messages.success(request, f"Sent to {sent} again. The old link no longer works.")
    return redirect("settings-team")


@signed_in
@require_http_methods(["GET", "POST"])
def invitation_revoke(request: PageRequest, invitation_id: UUID) -> HttpResponseBase:
    """Make an invitation useless, after a second question."""
    found = selectors.get_invitation(request.actor, invitation_id)
    if request.method == "POST":
        invitations.revoke_invitation(request.actor, invitation_id)
        messages.success(request, f"Revoked the invitation of {found}.")
        return redirect("settings-team")
    context = {
        "title": f"Revoke the invitation of {found}?",
        "text": "The link in the e-mail stops working. You can invite this address again.",
        "confirm_label": "Revoke",
        "cancel_url": HERE,
        "tone": "danger",
        "section": "settings",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def member(request: PageRequest, user_id: UUID) -> HttpResponseBase:
    """Give a member another role."""
    found = selectors.get_member(request.actor, user_id)
    roles = selectors.roles_to_give(request.actor)
    form = RoleForm(request.POST or None, roles=roles, initial={"role": found.role})
    if request.method == "POST":
        members.require_rank(request.actor)
    if request.method == "POST" and form.is_valid():
        try:
            members.change_role(request.actor, user_id, form.cleaned_data["role"])
        except (Conflict, Forbidden) as error:
            form.add_error("role", error.message)
        else:
            messages.success(request, "Saved.")
            return redirect("settings-team")
    context = {
        "form": form,
        "member": found,
        "is_me": found.user_id == request.actor.user_id,
        "page_title": str(found.user),
        **FRAME,
    }
    status = 422 if form.errors else 200
    return render(request, "tenants/member.html", context, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def member_remove(request: PageRequest, user_id: UUID) -> HttpResponseBase:
    """Remove a member or leave, after a second question."""
    found = selectors.get_member(request.actor, user_id)
    is_me = found.user_id == request.actor.user_id
    if request.method == "POST":
        if not is_me:
            members.require_rank(request.actor)
        try:
            members.remove_member(request.actor, user_id)
        except (Conflict, Forbidden) as error:
            messages.warning(request, error.message)
            return redirect("settings-team")
        if is_me:
            browser.sign_out(request, None)
            messages.success(request, f"You left {found.tenant} and were signed out.")
            return redirect("sign-in")
        messages.success(request, f"Removed {found.user}.")
        return redirect("settings-team")
    context = {
        "title": f"Leave {found.tenant}?" if is_me else f"Remove {found.user}?",
        "text": "This signs you out and revokes your API keys here."
        if is_me
        else "This ends their sessions here and revokes their API keys. What they made stays.",
        "confirm_label": "Leave" if is_me else "Remove",
        "cancel_url": HERE,
        "tone": "danger",
        "section": "settings",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_POST
def switch(request: PageRequest, tenant_id: UUID) -> HttpResponseBase:
    """Act in another organisation from now on."""
    session = services.switch_organisation(request.actor, tenant_id)
    messages.success(request, f"You now work in {session.membership.tenant}.")
    return redirect(HOME)


# --- Joining ---------------------------------------------------------------------------------


@require_GET
def open_link(request: PageRequest, token: str) -> HttpResponseBase:
    """Keep the link's hash in the browser's session, and go on without the token in any address:
    what answers an error is logged with its address."""
    request.session.pop(LINK, None)
    try:
        invitations.open_link(token, address=request.address)
        request.session[LINK] = invitations.hash_of(token)
    except TooManyRequests as error:
        messages.warning(request, error.message)
    except Gone:
        pass  # the next page says so
    answer = redirect("join")
    answer.headers["Referrer-Policy"] = "strict-origin"
    return answer


@require_http_methods(["GET", "POST"])
def join(request: PageRequest) -> HttpResponseBase:
    """Show the invitation of the link that was opened, and accept it."""
    known = str(request.session.get(LINK, ""))
    invitation = invitations.usable_invitation(known)
    if invitation is None:
        return _no_invitation(request, known)
    if request.method == "POST":
        return _answered(request, invitation)
    is_invited = bool(request.actor) and request.actor.email == invitation.email
    context = {
        "invitation": invitation,
        "is_invited": is_invited,
        "is_member": is_invited
        and selectors.organisations(request.actor).filter(tenant_id=invitation.tenant_id).exists(),
        "other": request.actor.email if request.actor and not is_invited else "",
        "page_title": "Join a team",
    }
    answer = render(request, "tenants/join.html", context)
    answer.headers["Cache-Control"] = "no-store, private"
    return answer


def _answered(request: PageRequest, invitation: Invitation) -> HttpResponse:
    if not request.actor:
        return _ask_for_code(request, invitation)
    if request.actor.email != invitation.email:
        browser.sign_out(request, request.actor)
        request.session[LINK] = invitation.token_hash
        return redirect("join")
    user = get_user(request.actor)
    try:
        membership = invitations.accept_invitation(user, invitation, address=request.address)
    except MPanelError as error:
        messages.warning(request, error.message)
        return redirect("join")
    services.switch_organisation(request.actor, membership.tenant_id)
    request.session.pop(LINK, None)
    messages.success(request, f"Welcome to {membership.tenant}.")
    return redirect(HOME)


def _ask_for_code(request: PageRequest, invitation: Invitation) -> HttpResponse:
    """Signing in or up, with the address that is invited; then this page again."""
    try:
        services.ask_for_code(invitation.email, **browser.origin(request))
    except TooManyRequests as error:
        messages.warning(request, error.message)
    # The invitation is accepted with this sign-in and no other: here it was asked for.
    asked = {"email": invitation.email, "next": JOIN, "invitation": invitation.token_hash}
    request.session["signing_in"] = asked
    return redirect("sign-in-code")


def _no_invitation(request: PageRequest, known: str) -> HttpResponse:
    """The link is used up: by who just joined, or it is no good."""
    accepted = Invitation.objects.filter(token_hash=known, accepted_at__isnull=False).first()
    if accepted and request.actor and request.actor.tenant_id == accepted.tenant_id:
        request.session.pop(LINK, None)
        messages.success(request, f"Welcome to {accepted.tenant}.")
        return redirect(HOME)
    context = {
        "code": 410,
        "title": "This invitation does not work",
        "message": invitations.InvitationGone().message,
        "action_label": "Continue to mPanel",
        "action_url": HOME if request.actor else "/sign-in/",
    }
    return render(request, "error.html", context, status=410)
