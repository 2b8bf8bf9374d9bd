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
    path("email-accounts/<uuid:account_id>/smartlead", api.SmartleadView.as_view()),
    path("email-accounts/<uuid:account_id>/instantly", api.InstantlyView.as_view()),
    path("email-accounts/<uuid:account_id>/warmup-stats", api.WarmupView.as_view()),
    path("smartlead/campaigns", api.SmartleadCampaignsView.as_view()),
    path(
        "smartlead/campaigns/<str:campaign_id>/email-accounts",
        api.SmartleadCampaignAccountsView.as_view(),
    ),
    path("instantly/campaigns", api.InstantlyCampaignsView.as_view()),
    path(
        "instantly/campaigns/<str:campaign_id>/email-accounts",
        api.InstantlyCampaignAccountsView.as_view(),
    ),
]
