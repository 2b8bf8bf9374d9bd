"""The whole surface of this app."""

from django.urls import path

from billing import api as json

api_v1 = [
    path("user/me", json.UserWithSubscriptionView.as_view()),
    path("trial/status", json.TrialStatusView.as_view()),
]
