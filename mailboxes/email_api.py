"""JSON about mail domains, mailboxes on them, aliases and regions (source 5 §15)."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from mailboxes import accounts, selectors, services
from mailboxes import panel_serializers as serializers
from mailboxes.maildomains import attach_mail
from mailboxes.panel_api import (
    A_DOMAIN,
    A_MAILBOX,
    DELETING,
    EMAIL,
    EXAMPLE_MADE,
    EXAMPLE_MAILBOX,
    MADE,
    MailboxListView,
)
from mailservers import selectors as server_selectors
from mpanel.core.api.serializers import CamelPageQuerySerializer, page_of, paged
from mpanel.core.api.views import ApiView, operation
from provisioning.serializers import PanelJobSerializer

AN_ALIAS = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b14"
EXAMPLE_DOMAIN = {
    "id": AN_ALIAS,
    "domainId": A_DOMAIN,
    "domain": "example.com",
    "provider": "mailserver",
    "region": "eu-central",
    "regionLabel": "Frankfurt",
    "host": "mail.example.net",
    "status": "active",
    "mailboxes": 3,
    "healthScore": None,
    "error": None,
    "createdAt": MADE,
}
EXAMPLE_ALIAS = {
    "id": AN_ALIAS,
    "address": "sales@example.com",
    "localPart": "sales",
    "isCatchAll": False,
    "domainId": A_DOMAIN,
    "domain": "example.com",
    "mailboxId": A_MAILBOX,
    "mailbox": "anna@example.com",
    "createdAt": MADE,
}


class DomainMailboxesView(MailboxListView):
    @operation(
        "List mailboxes of domains",
        tag=EMAIL,
        query=serializers.PanelMailboxQuerySerializer,
        answers=paged(serializers.PanelMailboxSerializer),
        example={"items": [EXAMPLE_MAILBOX], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """The same as GET /api/mailboxes."""
        return self.listed(request)

    @operation(
        "Create a mailbox on a domain",
        tag=EMAIL,
        takes=serializers.NewDomainMailboxSerializer,
        answers=serializers.PanelMailboxMadeSerializer,
        status=201,
        errors=(402, 404),
        request_example={
            "domainId": A_DOMAIN,
            "localPart": "support",
            "password": "SecurePass123!",
            "quotaMb": 2048,
        },
        example=EXAMPLE_MADE,
    )
    def post(self, request: Request) -> Response:
        """As POST /api/mailboxes, with the same errors."""
        given = self.body(request, serializers.NewDomainMailboxSerializer)
        return self.made(accounts.create_mailbox_at(self.actor, **given))


class DomainMailboxView(ApiView):
    scopes = {"PUT": "mailboxes:write", "DELETE": "mailboxes:write"}

    @operation(
        "Change a mailbox",
        tag=EMAIL,
        takes=serializers.PanelMailboxChangeSerializer,
        answers=serializers.PanelMailboxSerializer,
        errors=(404, 409),
        request_example={"quotaMb": 4096, "status": "suspended"},
        example={**EXAMPLE_MAILBOX, "quotaMb": 4096, "status": "suspended"},
    )
    def put(self, request: Request, mailbox_id: UUID) -> Response:
        """All of it or nothing. An old password stops at once. 409 MANAGED_ELSEWHERE for the quota
        of a mailbox that a vendor holds, 403 TOKEN_NEEDED for a password from the browser."""
        given = self.body(request, serializers.PanelMailboxChangeSerializer)
        if given.get("password"):
            self.require_token()
        mailbox = services.change_mailbox(self.actor, mailbox_id, **given)
        return Response(serializers.PanelMailboxSerializer(mailbox).data)

    @operation(
        "Delete a mailbox of a domain",
        tag=EMAIL,
        answers=PanelJobSerializer,
        status=202,
        errors=(404, 409),
        example=DELETING,
    )
    def delete(self, request: Request, mailbox_id: UUID) -> Response:
        """The same as DELETE /api/mailboxes/{id}."""
        job = services.delete_mailboxes(self.actor, [mailbox_id])
        return Response(PanelJobSerializer(job).data, 202)


class EmailDomainsView(ApiView):
    scopes = {"GET": "mailboxes:read", "POST": "mailboxes:write"}

    @operation(
        "List mail domains",
        tag=EMAIL,
        query=serializers.EmailDomainQuerySerializer,
        answers=paged(serializers.EmailDomainSerializer),
        example={"items": [EXAMPLE_DOMAIN], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """The domains whose mail is handled by us or by a vendor for you, by name."""
        query = self.query(request, serializers.EmailDomainQuerySerializer)
        names = ("domain_id", "customer_id", "search")
        found = selectors.mail_domains(self.actor, **{name: query[name] for name in names})
        return Response(page_of(found, query, serializers.EmailDomainSerializer))

    @operation(
        "Attach e-mail to a domain",
        tag=EMAIL,
        takes=serializers.NewEmailDomainSerializer,
        answers=serializers.EmailDomainSerializer,
        status=201,
        errors=(404,),
        request_example={"domainId": A_DOMAIN, "planProductId": "prod-email"},
        example=EXAMPLE_DOMAIN,
    )
    def post(self, request: Request) -> Response:
        """Where its mailboxes will be: on a mail server of a region, or at a vendor. Its DNS setup
        then publishes the right records. 409 where mailboxes of another provider stand on it."""
        given = self.body(request, serializers.NewEmailDomainSerializer)
        names = ("provider", "credential_id", "region")
        attach_mail(self.actor, given["domain_id"], **{name: given[name] for name in names})
        row = selectors.mail_domains(self.actor, domain_id=given["domain_id"]).get()
        return Response(serializers.EmailDomainSerializer(row).data, 201)


class EmailRegionsView(ApiView):
    scopes = {"GET": "mailboxes:read"}

    @operation(
        "List regions",
        tag=EMAIL,
        query=CamelPageQuerySerializer,
        answers=paged(serializers.MailRegionSerializer),
        example={
            "items": [{"region": "eu-central", "label": "Frankfurt", "provider": "mailserver"}],
            "total": 1,
        },
    )
    def get(self, request: Request) -> Response:
        """Where mail servers take new domains."""
        query = self.query(request, CamelPageQuerySerializer)
        return Response(
            page_of(server_selectors.regions(self.actor), query, serializers.MailRegionSerializer)
        )


class AliasesView(ApiView):
    scopes = {"GET": "mailboxes:read", "POST": "mailboxes:write"}

    @operation(
        "List aliases",
        tag=EMAIL,
        query=serializers.AliasQuerySerializer,
        answers=paged(serializers.PanelAliasSerializer),
        example={"items": [EXAMPLE_ALIAS], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """By address; a catch-all, whose address is `@example.com`, comes first."""
        query = self.query(request, serializers.AliasQuerySerializer)
        names = ("domain_id", "mailbox_id", "search")
        found = selectors.aliases(self.actor, **{name: query[name] for name in names})
        return Response(
            page_of(found.order_by("address", "id"), query, serializers.PanelAliasSerializer)
        )

    @operation(
        "Create an alias",
        tag=EMAIL,
        takes=serializers.NewAliasSerializer,
        answers=serializers.PanelAliasSerializer,
        status=201,
        errors=(404,),
        request_example={"mailboxId": A_MAILBOX, "localPart": "sales"},
        example=EXAMPLE_ALIAS,
    )
    def post(self, request: Request) -> Response:
        """Mail for it arrives in the mailbox at once, and the mailbox may send as it. `*` or an
        empty localPart is the catch-all: mail for what nobody else of the domain has; nobody sends
        as it. The same alias for several mailboxes gives each a copy. 409 ADDRESS_TAKEN,
        ALIAS_EXISTS, TOO_MANY_ALIASES (100 of a mailbox) or MANAGED_ELSEWHERE."""
        given = self.body(request, serializers.NewAliasSerializer)
        alias = services.create_alias(
            self.actor, given["mailbox_id"], local_part=given["local_part"]
        )
        return Response(serializers.PanelAliasSerializer(alias).data, 201)


class OneAliasView(ApiView):
    scopes = {"DELETE": "mailboxes:write"}

    @operation("Delete an alias", tag=EMAIL, status=204, errors=(404,))
    def delete(self, request: Request, alias_id: UUID) -> Response:
        """At once. What is sent to it then is refused, or goes to the domain's catch-all."""
        services.delete_alias(self.actor, alias_id)
        return Response(status=204)
