"""JSON about domains: listing, registering, connecting, and where their nameservers point."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from domains import registration, selectors, serializers, services, verification
from domains.selectors import DomainNotFound
from domains.verification import NameserverCheck
from mpanel.core.api.errors import error_body
from mpanel.core.api.serializers import rows_of_page
from mpanel.core.api.views import ApiView, operation

DOMAINS = "Domains"
AN_ID = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11"
A_JOB = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12"
EXAMPLE_SERVERS = ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]
EXAMPLE_DOMAIN = {
    "id": AN_ID,
    "domain": "example.com",
    "provider": "godaddy",
    "assigned_nameservers": EXAMPLE_SERVERS,
    "zone_complete": True,
    "verification_status": "pending_nameservers",
    "last_verified_at": None,
    "is_active": True,
    "notes": "",
    "status": "pending_nameservers",
    "health_score": 96,
    "created_at": "2026-11-21T09:00:00Z",
    "updated_at": "2026-11-21T09:00:02Z",
}
EXAMPLE_STEPS = {
    "provider": "godaddy",
    "provider_name": "GoDaddy",
    "nameservers": EXAMPLE_SERVERS,
    "instructions": ["Log in to your GoDaddy account", "..."],
    "documentation_url": "https://www.godaddy.com/help/change-nameservers-for-my-domains-664",
    "estimated_propagation_time": "15-30 minutes",
}
EXAMPLE_SEEN = {
    "is_verified": True,
    "current_nameservers": EXAMPLE_SERVERS,
    "expected_nameservers": EXAMPLE_SERVERS,
    "message": "example.com is delegated to ada.ns.cloudflare.com and bob.ns.cloudflare.com.",
    "checked_at": "2026-11-21T09:30:00Z",
    "domain": EXAMPLE_DOMAIN,
}
EXAMPLE_CONTACT = {
    "first_name": "Ada",
    "last_name": "Byron",
    "email": "ada@example.com",
    "phone": "+44 20 7946 0000",
    "address1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}


class DomainsView(ApiView):
    scopes = {"GET": "domains:read"}

    @operation(
        "List domains",
        tag=DOMAINS,
        query=serializers.DomainsQuerySerializer,
        answers=serializers.DomainListSerializer,
        example={
            "domains": [
                {
                    "id": AN_ID,
                    "name": "example.com",
                    "status": "ready",
                    "dns_configured": True,
                    "created_at": "2026-11-21T09:00:00Z",
                }
            ],
            "total": 1,
        },
    )
    def get(self, request: Request) -> Response:
        """All of them, by name; a page of them with `page` or `page_size`. `total` counts all."""
        query = self.query(request, serializers.DomainsQuerySerializer)
        found = selectors.domains(self.actor, search=query["search"], status=query["status"])
        rows, total = rows_of_page(found.order_by(query["order"], "id"), query)
        return Response(
            {"domains": serializers.DomainRowSerializer(rows, many=True).data, "total": total}
        )


class RegisterDomainView(ApiView):
    scopes = {"POST": "domains:write"}

    def prepare(self, request: Request) -> None:
        given = self.body(request, serializers.RegisterDomainSerializer)
        self.order = registration.prepare_order(
            self.actor,
            given["domain"],
            credential_id=given["registrar_credential_id"],
            dns_credential_id=given["dns_credential_id"],
            years=given["years"],
            contact=given["contact"],
            max_price=given["max_cost"],
        )

    @operation(
        "Register a new domain",
        tag=DOMAINS,
        takes=serializers.RegisterDomainSerializer,
        answers=serializers.DomainRegisteredSerializer,
        status=201,
        errors=(402, 404, 502),
        request_example={"domain": "example.com", "contact": EXAMPLE_CONTACT, "max_cost": 12.5},
        example={
            "domain_id": AN_ID,
            "domain": "example.com",
            "status": "pending",
            "cost": 9.98,
            "currency": "USD",
            "auto_renews": None,
            "deployment_id": A_JOB,
        },
    )
    def post(self, request: Request) -> Response:
        """The registrar is asked whether the domain is free and at what price; buying it, making
        its zone and pointing its nameservers there is the deployment. 400 DOMAIN_UNAVAILABLE; 402
        PAYMENT_FAILED where the registrar's account cannot pay, or PLAN_LIMIT_EXCEEDED; 409
        PRICE_CHANGED, PREMIUM_DOMAIN or REGISTRAR_NOT_CONNECTED."""
        registered = registration.register_domain(self.actor, self.order)
        assert registered.domain_id is not None
        deployment_id = selectors.deployment_of(self.actor, registered.domain_id)
        answer = serializers.DomainRegisteredSerializer(
            registered, context={"deployment_id": deployment_id}
        )
        return Response(answer.data, 201)


class ConnectDomainView(ApiView):
    scopes = {"POST": "domains:write"}

    @operation(
        "Connect a domain",
        tag=DOMAINS,
        takes=serializers.ConnectDomainSerializer,
        answers=serializers.DomainConnectedSerializer,
        status=201,
        errors=(402, 404),
        request_example={"domain": "example.com", "provider": "godaddy"},
        example={
            "domain": {
                **EXAMPLE_DOMAIN,
                "assigned_nameservers": [],
                "zone_complete": False,
                "verification_status": "pending",
                "status": "pending",
            },
            "nameserver_instructions": None,
            "deployment_id": A_JOB,
        },
    )
    def post(self, request: Request) -> Response:
        """A zone is made for it at the DNS provider, and what the domain publishes at its present
        nameservers is looked for: see `existing-records`. `nameserver-instructions` has the rest
        as soon as the zone is complete (`zone_complete`). 409 DNS_NOT_CONNECTED,
        DOMAIN_ALREADY_CONNECTED or DOMAIN_TAKEN."""
        given = self.body(request, serializers.ConnectDomainSerializer)
        domain = services.connect_domain(
            self.actor,
            given["domain"],
            credential_id=given["credential_id"],
            registrar=given["provider"],
            notes=given["notes"],
        )
        answer = {
            "domain": domain,
            "nameserver_instructions": None,
            "deployment_id": selectors.deployment_of(self.actor, domain.pk),
        }
        return Response(serializers.DomainConnectedSerializer(answer).data, 201)


class OneDomainView(ApiView):
    scopes = {"GET": "domains:read"}

    @operation(
        "Get a domain",
        tag=DOMAINS,
        answers=serializers.DomainSerializer,
        errors=(404,),
        example=EXAMPLE_DOMAIN,
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """With how far its setup is."""
        return Response(
            serializers.DomainSerializer(selectors.get_domain(self.actor, domain_id)).data
        )


class NameserverInstructionsView(ApiView):
    scopes = {"GET": "domains:read"}

    @operation(
        "What to do at the registrar",
        tag=DOMAINS,
        answers=serializers.NameserverStepsSerializer,
        errors=(404, 409),
        example=EXAMPLE_STEPS,
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """Step by step. 409 NAMESERVERS_NOT_ASSIGNED while the zone is being made, and 409
        ZONE_NOT_COMPLETE while changing the nameservers would take a website or mail away."""
        found = verification.instructions(self.actor, domain_id)
        return Response(serializers.NameserverStepsSerializer(found).data)


class VerifyNameserversView(ApiView):
    scopes = {"POST": "domains:read"}

    def prepare(self, request: Request, domain_id: UUID) -> None:
        self.seen = verification.verify_nameservers(self.actor, domain_id)

    @operation(
        "Look at the nameservers now",
        tag=DOMAINS,
        answers=serializers.NameserversSeenSerializer,
        errors=(404,),
        example=EXAMPLE_SEEN,
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """The servers of the zone above the domain are asked, for 8 seconds at most; where they
        do not answer, `is_verified` is false and `message` says so. The job that waits for the
        nameservers looks too, and moves the domain on."""
        return Response(serializers.NameserversSeenSerializer(self.seen).data)


class VerifyManyNameserversView(ApiView):
    scopes = {"POST": "domains:read"}

    def prepare(self, request: Request) -> None:
        self.ids = self.body(request, serializers.DomainIdsSerializer)["domain_ids"]
        self.found = verification.verify_many_nameservers(self.actor, self.ids)

    @operation(
        "Look at the nameservers of several domains now",
        tag=DOMAINS,
        takes=serializers.DomainIdsSerializer,
        answers=serializers.ManyNameserversSeenSerializer,
        request_example={"domain_ids": [AN_ID]},
        example={"results": [{"domain_id": AN_ID, **EXAMPLE_SEEN}]},
    )
    def post(self, request: Request) -> Response:
        """Five at a time, 8 seconds for all; the results are in the order of the ids. An id that
        is not yours has an `error` in its place."""
        rows = [_row(*pair) for pair in zip(self.ids, self.found, strict=True)]
        return Response({"results": rows})


def _row(domain_id: UUID, found: NameserverCheck | DomainNotFound) -> dict[str, Any]:
    if isinstance(found, DomainNotFound):
        body = error_body(found.status, found.code, found.message, found.details)
        return {"domain_id": str(domain_id), "error": body["error"]}
    return {"domain_id": str(domain_id), **serializers.NameserversSeenSerializer(found).data}
