"""The whole surface of this app."""

from django.urls import path

from provisioning import api as json
from provisioning import views

pages = [
    path("", views.job_list, name="job-list"),
    path("<uuid:job_id>/", views.job_detail, name="job-detail"),
    path("<uuid:job_id>/retry/", views.job_retry, name="job-retry"),
    path("<uuid:job_id>/cancel/", views.job_cancel, name="job-cancel"),
    path("<uuid:job_id>/look-again/", views.job_look_again, name="job-look-again"),
]

api = [
    path("jobs", json.JobsView.as_view()),
    path("jobs/<uuid:job_id>", json.OneJobView.as_view()),
    path("jobs/<uuid:job_id>/retry", json.RetryJobView.as_view()),
]

api_v1 = [
    path(
        "infrastructure/deployment/<uuid:deployment_id>",
        json.DeploymentView.as_view(),
    ),
]
