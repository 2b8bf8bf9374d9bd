"""The whole surface of this app."""

from django.urls import path

from outreach import api, views

# Below /mailboxes/.
pages = [
    path("outreach/connect/", views.outreach_connect, name="outreach-connect"),
    path(
        "outreach/<uuid:link_id>/disconnect/",
        views.outreach_disconnect,
        name="outreach-disconnect",
    ),
    path("outreach/<uuid:link_id>/retry/", views.outreach_retry, name="outreach-retry"),
]

api_v1 = [
    path("email-accounts/<uuid:account_id>/smartlead", api.Smartlead.as_view()),
    path("email-accounts/<uuid:account_id>/instantly", api.Instantly.as_view()),
    path("email-accounts/<uuid:account_id>/warmup-stats", api.Warmup.as_view()),
    path("smartlead/campaigns", api.SmartleadCampaigns.as_view()),
    path(
        "smartlead/campaigns/<str:campaign_id>/email-accounts",
        api.SmartleadCampaignAccounts.as_view(),
    ),
    path("instantly/campaigns", api.InstantlyCampaigns.as_view()),
    path(
        "instantly/campaigns/<str:campaign_id>/email-accounts",
        api.InstantlyCampaignAccounts.as_view(),
    ),
]
