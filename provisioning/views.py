"""Pages about jobs."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from mpanel.core import troubles
from mpanel.core.pages import PageRequest, paginate, safe_next, search_text, signed_in
from mpanel.core.places import require_POST
from provisioning import selectors, services
from provisioning.models import Job


@signed_in
@require_GET
def job_list(request: PageRequest) -> HttpResponseBase:
    """The tenant's jobs, newest first; filtered, searched, paged."""
    status, search = request.GET.get("status", ""), search_text(request)
    named, trouble = troubles.asked(Job, status)
    found = selectors.jobs(request.actor, status=named, search=search).filter(trouble)
    page = paginate(request, found)
    context = {
        "page": page,
        "status": status,
        "q": search,
        "statuses": {"active": "Under way", **Job.STATUSES},
        "troubles": troubles.choices(Job, status),
        "any_active": any(job.is_active for job in page),
        "section": "jobs",
        "page_title": "Jobs",
        "page_subtitle": "Everything mPanel did, does, or tries again for you.",
    }
    template = "provisioning/job_list.html"
    return render(request, f"{template}#rows" if request.htmx else template, context)


@signed_in
@require_GET
def job_detail(request: PageRequest, job_id: UUID) -> HttpResponseBase:
    """One job: its steps with what was seen, and its live log."""
    job = selectors.get_job(request.actor, job_id)
    context = {
        "job": job,
        "retryable": (Job.FAILED, Job.CANCELLED),
        "steps": list(job.steps.all()),
        "log_lines": selectors.log_lines(job),
        "section": "jobs",
        "page_title": job.label,
        "page_subtitle": job.subject_label,
        "crumbs": [("Jobs", "/jobs/")],
    }
    template = "provisioning/job_detail.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_POST
def job_retry(request: PageRequest, job_id: UUID) -> HttpResponseBase:
    """Try a failed job again."""
    services.retry_job(request.actor, job_id)
    messages.success(request, "Trying now. Finished steps are skipped.")
    return redirect(safe_next(request, f"/jobs/{job_id}/"))


@signed_in
@require_http_methods(["GET", "POST"])
def job_cancel(request: PageRequest, job_id: UUID) -> HttpResponseBase:
    """Stop a job, after a second question."""
    job = selectors.get_job(request.actor, job_id)
    if request.method == "POST":
        services.cancel_job(request.actor, job_id)
        messages.success(request, "The job stops before its next step.")
        return redirect("job-detail", job_id=job_id)
    context = {
        "title": f"Cancel “{job.label}”?",
        "text": "Finished steps stay as they are. A later retry continues from there.",
        "confirm_label": "Cancel the job",
        "cancel_url": f"/jobs/{job_id}/",
        "tone": "danger",
        "section": "jobs",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_POST
def job_look_again(request: PageRequest, job_id: UUID) -> HttpResponseBase:
    """Observe a finished job's states again, to tell drift."""
    services.look_again(request.actor, job_id)
    messages.info(request, "Checking again. Reload in a moment to see the result.")
    return redirect("job-detail", job_id=job_id)
