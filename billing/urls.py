"""The whole surface of this app."""

from django.urls import path

from billing import api as json

api_v1 = [
    path("user/me", json.UserWithSubscription.as_view()),
    path("trial/status", json.TrialStatus.as_view()),
]
