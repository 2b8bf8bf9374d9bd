"""Is it alive (for load balancers), and how does everything stand (for people)."""

import time
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mpanel.core import probes
from mpanel.core.api.serializers import CamelSerializer
from mpanel.core.api.views import ApiView, operation

SERVICE, TAG = "mpanel-api", "Status"
STARTED = time.monotonic()


class PanelHealthSerializer(CamelSerializer):
    """It answers."""

    status = serializers.ChoiceField(choices=["ok"])
    service = serializers.CharField()


class PanelStatusSerializer(CamelSerializer):
    """How everything stands."""

    service = serializers.CharField()
    version = serializers.CharField()
    uptime_seconds = serializers.IntegerField(
        min_value=0, help_text="Of the process that answers, not of the installation."
    )
    dependencies = serializers.DictField(child=serializers.ChoiceField(choices=probes.STANDINGS))


class HealthView(ApiView):
    """Load balancers ask often, all from one address, so nothing is counted here."""

    public = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        APIView.initial(self, request, *args, **kwargs)

    @operation(
        "Is it alive",
        tag=TAG,
        public=True,
        answers=PanelHealthSerializer,
        errors=(503,),
        example={"status": "ok", "service": SERVICE},
    )
    def get(self, request: Request) -> Response:
        """For load balancers: not limited, and 503 when the database does not take changes."""
        probes.database()
        return Response(PanelHealthSerializer({"status": "ok", "service": SERVICE}).data)


class StatusView(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "How does everything stand",
        tag=TAG,
        answers=PanelStatusSerializer,
        example={
            "service": SERVICE,
            "version": "1.0.0",
            "uptimeSeconds": 123456,
            "dependencies": {"clock": "ok", "database": "ok", "mail": "degraded", "queue": "ok"},
        },
    )
    def get(self, request: Request) -> Response:
        """Made from what is known already: nothing outside is asked for this answer."""
        answer = {
            "service": SERVICE,
            "version": settings.VERSION,
            "uptime_seconds": int(time.monotonic() - STARTED),
            "dependencies": probes.statuses(),
        }
        return Response(PanelStatusSerializer(answer).data)
