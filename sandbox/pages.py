"""The control room's pages: what the JSON API offers, for people. They work without scripts."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from .control import Control
from .dns_servers import STATES
from .faults import KINDS
from .mailstore import Mail
from .records import TYPES
from .room import Room, UnknownZone

TEMPLATES = Path(__file__).parent / "templates"
NAVIGATION = (
    ("/", "Overview"),
    ("/mail", "Mail"),
    ("/registrar", "Registrar"),
    ("/zones", "Zones"),
    ("/workspace", "Google"),
    ("/outreach", "Outreach"),
    ("/servers", "DNS servers"),
    ("/faults", "Failures"),
    ("/requests", "Requests"),
)


class Pages:
    """The routes that answer HTML."""

    def __init__(self, room: Room, control: Control) -> None:
        self._room = room
        self._control = control
        self._engine = Engine(dirs=[str(TEMPLATES)])

    def routes(self) -> list[Route]:
        pages: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/": self.overview,
            "/mail": self.mail,
            "/mail/{mail_id:int}": self.one_mail,
            "/mail/{mail_id:int}/raw": self.raw_mail,
            "/registrar": self.registrar,
            "/zones": self.zones,
            "/zones/{domain}": self.zone,
            "/workspace": self.workspace,
            "/outreach": self.outreach,
            "/servers": self.servers,
            "/faults": self.faults,
            "/requests": self.requests,
        }
        return [Route(path, page) for path, page in pages.items()]

    async def overview(self, request: Request) -> Response:
        return self._page(
            request,
            "overview",
            "Overview",
            health=self._control.health({}),
            domains=len(self._room.registry.registrations()),
            zones=len(self._room.zones.all()),
            faults=len(self._room.faults.all()),
            mails=[_mail(mail) for mail in self._room.mails.find(limit=5)],
        )

    async def mail(self, request: Request) -> Response:
        to = request.query_params.get("to", "")
        mails = [_mail(mail) for mail in self._room.mails.find(to=to)]
        return self._page(request, "mail", "Mail", mails=mails, to=to)

    async def one_mail(self, request: Request) -> Response:
        found = self._room.mails.get(request.path_params["mail_id"])
        if found is None:
            return self._missing(request, "There is no such message.")
        headers = [(name, str(value)) for name, value in found.message.items()]
        return self._page(
            request, "one_mail", found.subject or "No subject", mail=_mail(found), headers=headers
        )

    async def raw_mail(self, request: Request) -> Response:
        found = self._room.mails.get(request.path_params["mail_id"])
        if found is None:
            return self._missing(request, "There is no such message.")
        return PlainTextResponse(found.raw)

    async def registrar(self, request: Request) -> Response:
        domains = self._control.registrar({})
        return self._page(
            request,
            "registrar",
            "Registrar",
            domains=domains,
            namecheap=self._control.namecheap({}),
            auto_delegate=self._room.auto_delegate,
        )

    async def workspace(self, request: Request) -> Response:
        shown = self._control.google({})
        key = json.dumps(shown["service_account"], indent=2)
        return self._page(request, "workspace", "Google Workspace", google=shown, key=key)

    async def zones(self, request: Request) -> Response:
        zones = [zone.as_json() for zone in self._room.zones.all()]
        return self._page(request, "zones", "Zones", zones=zones)

    async def zone(self, request: Request) -> Response:
        try:
            zone = self._room.zone_of(
                request.path_params["domain"], request.query_params.get("account_id", "")
            )
        except UnknownZone:
            return self._missing(request, "There is no such zone.")
        records = [record.as_json() for record in self._room.zones.records(zone)]
        return self._page(
            request, "zone", zone.name, zone=zone.as_json(), records=records, types=TYPES
        )

    async def outreach(self, request: Request) -> Response:
        senders = self._control.outreach({})["senders"]
        return self._page(request, "outreach", "Outreach tools", senders=senders)

    async def servers(self, request: Request) -> Response:
        servers = self._control.servers({})
        return self._page(request, "servers", "DNS servers", servers=servers, states=STATES)

    async def faults(self, request: Request) -> Response:
        faults = self._control.faults({})
        return self._page(request, "faults", "Failures", faults=faults, kinds=list(KINDS.items()))

    async def requests(self, request: Request) -> Response:
        journal = self._room.journal
        recent = [{**row, "at": _clock(row["at"])} for row in journal.recent()[:100]]
        return self._page(request, "requests", "Requests", counts=journal.counts(), recent=recent)

    async def not_found(self, request: Request, error: Exception) -> Response:
        return self._missing(request, "There is no such page.")

    def _missing(self, request: Request, message: str) -> Response:
        return self._page(request, "missing", "Not found", status=404, message=message)

    def _page(
        self, request: Request, name: str, title: str, *, status: int = 200, **values: Any
    ) -> Response:
        section = f"/{request.url.path.strip('/').split('/')[0]}"
        shown = {
            **values,
            "title": title,
            "navigation": NAVIGATION,
            "section": section,
            "here": request.url.path,
        }
        # No settings of Django are needed without localisation.
        context = Context(shown, use_l10n=False, use_tz=False)
        template = self._engine.get_template(f"sandbox/{name}.html")
        return HTMLResponse(template.render(context), status)


def _mail(mail: Mail) -> dict[str, Any]:
    return {**mail.as_json(), "received_at": _clock(mail.received_at)}


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
