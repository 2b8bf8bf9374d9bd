"""The whole surface of this app."""

from django.urls import path

from billing import api as json

api_v1 = [
    path("auth/trial/request-otp", json.RequestCode.as_view()),
    path("auth/trial/verify-otp", json.VerifyCode.as_view()),
    path("auth/me", json.Me.as_view()),
    path("user/me", json.UserWithSubscription.as_view()),
    path("trial/status", json.TrialStatus.as_view()),
]
