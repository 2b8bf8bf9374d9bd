"""The control room's JSON API: look into the sandbox and break things on purpose.

Every POST takes JSON, or the same fields as a form; a form is answered with a redirect to where it
came from (its field `next`), and may ask for another method in its field `_method`.
"""

import sqlite3
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .accounts import DEMO_TOKEN, account_of
from .cloudflare_errors import CloudflareError
from .dns_servers import InvalidState, Resolver
from .faults import Fault, InvalidFault
from .google_workspace import (
    DEMO_ADMIN,
    GoogleError,
    GoogleWorkspace,
    domain_as_json,
    user_as_json,
)
from .namecheap import DEMO_USER, KEY_PREFIX, WHITELISTED, as_json
from .outreach import DEMO_OWNER
from .outreach import as_json as sender_json
from .registry import InvalidDelegation
from .room import Room, UnknownZone

Body = dict[str, Any]
Action = Callable[[Body], Any]


class BadRequest(Exception):
    """The request makes no sense to the control room."""


class Control:
    """The routes below `/control`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def routes(self) -> list[Route]:
        return [
            _route("health", GET=self.health),
            _route("reset", POST=self.reset),
            _route("mail", GET=self.mail),
            _route("requests", GET=self.requests, DELETE=self.forget_requests),
            _route("registrar", GET=self.registrar, POST=self.set_nameservers),
            _route("registrar/ds", POST=self.set_ds_records),
            _route("registrar/elsewhere", POST=self.host_elsewhere),
            _route("namecheap", GET=self.namecheap, POST=self.set_namecheap),
            _route("outreach", GET=self.outreach, POST=self.change_outreach),
            _route("google", GET=self.google, POST=self.set_google),
            _route("google/domains", POST=self.add_google_domain),
            _route("google/users", POST=self.change_google_user),
            _route("auto-delegate", GET=self.auto_delegate, POST=self.set_auto_delegate),
            _route("mail-policy", GET=self.mail_policy, POST=self.set_mail_policy),
            _route("faults", GET=self.faults, POST=self.add_fault, DELETE=self.clear_faults),
            _route("dns/servers", GET=self.servers, POST=self.set_server),
            _route("dns/resolvers", GET=self.servers, POST=self.set_resolver),
            _route("dns/records", GET=self.records, POST=self.change_records),
        ]

    def health(self, body: Body) -> Any:
        """That all parts listen, where, and how to get in."""
        options = self._room.options
        account = account_of(DEMO_TOKEN)
        return {
            "status": "ok",
            "ports": {
                "http": options.port,
                "dns": options.dns_port,
                "submission": options.submission_port,
                "system_mail": options.system_mail_port,
                "imaps": options.imaps_port,
            },
            "cloudflare": {"token": DEMO_TOKEN, "account_id": account.id if account else ""},
            "namecheap": {
                "api_user": DEMO_USER,
                "api_key": f"{KEY_PREFIX}{DEMO_USER}",
                "client_ip": WHITELISTED,
            },
        }

    def reset(self, body: Body) -> Any:
        """Forget all state; options given at the start stay."""
        self._room.reset()
        return {}

    def mail(self, body: Body) -> Any:
        """Kept mail, the newest first; `to` narrows it down to a recipient."""
        return [mail.as_json() for mail in self._room.mails.find(to=str(body.get("to", "")))]

    def requests(self, body: Body) -> Any:
        """What was asked of the sandbox: counts, and the latest requests."""
        journal = self._room.journal
        return {"counts": journal.counts(), "recent": journal.recent()}

    def forget_requests(self, body: Body) -> Any:
        self._room.journal.reset()
        return {}

    def registrar(self, body: Body) -> Any:
        """Every registered domain: its delegation, and what the DNS host assigned to it."""
        room = self._room
        return [
            {
                "domain": registration.domain,
                "nameservers": list(registration.nameservers),
                "by_hand": registration.by_hand,
                "ds_records": self._room.registry.ds_records(registration.domain),
                "zones": [zone.as_json() for zone in room.zones.of_domain(registration.domain)],
            }
            for registration in room.registry.registrations()
        ]

    def set_nameservers(self, body: Body) -> Any:
        """Delegate `domain` to `nameservers`, or to those that its zone was assigned if none."""
        domain = _text(body, "domain")
        wanted = body.get("nameservers")
        if isinstance(wanted, str):
            wanted = wanted.split()
        if not wanted:
            wanted = list(self._room.zone_of(domain, _account_id(body)).nameservers)
        if not isinstance(wanted, list):
            raise BadRequest("nameservers: a list of names")
        done = self._room.registry.set_nameservers(domain, wanted)
        return {"domain": done.domain, "nameservers": list(done.nameservers)}

    def set_ds_records(self, body: Body) -> Any:
        """Give the registry these DS `records` of a `domain`: a list, or text with lines."""
        given = body.get("records") or []
        records = given.splitlines() if isinstance(given, str) else given
        if not isinstance(records, list) or not all(isinstance(one, str) for one in records):
            raise BadRequest("records: DS records, one a line")
        return self._room.registry.set_ds_records(_text(body, "domain"), records)

    def host_elsewhere(self, body: Body) -> Any:
        """Let another DNS host serve a `domain` as its `zone_file` says; `transfer`: it gives the
        whole zone to anybody."""
        done = self._room.registry.host_elsewhere(
            _text(body, "domain"), _text(body, "zone_file"), transfer=bool(body.get("transfer"))
        )
        return {"domain": done.domain, "nameservers": list(done.nameservers)}

    def namecheap(self, body: Body) -> Any:
        """What was bought, and the balance (in cents) of `account`."""
        shop = self._room.namecheap
        account = str(body.get("account") or DEMO_USER)
        return {
            "account": account,
            "balance": shop.balance(account),
            "domains": [as_json(row) for row in shop.domains()],
        }

    def set_namecheap(self, body: Body) -> Any:
        """Give `account` a `balance`, or an `ending` another `price` a year; both in cents."""
        balance, price = (_number(body, name, least=0) for name in ("balance", "price"))
        if balance is None and price is None:
            raise BadRequest("balance or price: a number of cents")
        if balance is not None:
            account = str(body.get("account") or DEMO_USER)
            self._room.namecheap.set_balance(account, int(balance))
        if price is not None:
            self._room.namecheap.set_price(_text(body, "ending").lower(), int(price))
        return self.namecheap(body)

    def outreach(self, body: Body) -> Any:
        """Every mailbox at an outreach tool, and the campaigns of `service` and `owner`."""
        desk = self._room.outreach
        service, owner = str(body.get("service") or ""), str(body.get("owner") or "")
        campaigns = desk.campaigns(service, owner or DEMO_OWNER)
        return {
            "senders": [sender_json(one) for one in desk.senders(service, owner)],
            "campaigns": [
                {**row, "senders": [one.email for one in desk.seats(row["id"])]}
                for row in campaigns
            ],
        }

    def change_outreach(self, body: Body) -> Any:
        """What happens at a tool behind mPanel's back.

        `action`: add (`count` mailboxes named after `email`), delete (the mailbox `email`), break
        (its login), seat (in the `campaign`), revoke or restore (the key), age (all warm-up is
        `days` older).
        """
        desk, action = self._room.outreach, _text(body, "action")
        if action == "age":
            desk.age(int(_number(body, "days", least=1) or 1))
            return {}
        service, owner = _text(body, "service"), str(body.get("owner") or DEMO_OWNER)
        if action == "add":
            email, count = _text(body, "email"), int(_number(body, "count", least=1) or 1)
            for number in range(count):
                name = f"{number}.{email}" if number else email
                desk.add(service, owner, name, "", logs_in=True)
            return {}
        if action in ("revoke", "restore"):
            desk.revoke(service, owner, revoked=action == "revoke")
            return {}
        sender = desk.sender(service, owner, email=_text(body, "email"))
        if sender is None:
            raise BadRequest("email: a mailbox that is there")
        match action:
            case "delete":
                desk.delete(sender)
            case "break":
                desk.change(sender, logs_in=False)
            case "seat":
                for row in desk.campaigns(service, owner):
                    if row["name"] == _text(body, "campaign"):
                        desk.seat(row["id"], [sender], seated=True)
            case _:
                raise BadRequest("action: add, delete, break, seat, revoke, restore or age")
        return {}

    def google(self, body: Body) -> Any:
        """The service account to copy, its administrator, the domains and the users."""
        workspace = self._room.google
        customers = {row["customer"] for row in workspace.users(deleted=True) + workspace.users()}
        known = self._room.store.rows("SELECT * FROM google_domain ORDER BY name")
        return {
            "service_account": workspace.service_account,
            "admin_email": DEMO_ADMIN,
            "customers": sorted(customers),
            "mailbox_delay": workspace.mailbox_delay,
            "seats": workspace.seats,
            "domains": [{**domain_as_json(row), "customer": row["customer"]} for row in known],
            "users": [_google_user(row, workspace) for row in workspace.users()],
            "deleted": [_google_user(row, workspace) for row in workspace.users(deleted=True)],
        }

    def set_google(self, body: Body) -> Any:
        """Let mailboxes take `mailbox_delay` seconds to be set up; a customer have `seats` (0: any
        number). Until a restart."""
        workspace = self._room.google
        delay, seats = (_number(body, name, least=0) for name in ("mailbox_delay", "seats"))
        workspace.mailbox_delay = workspace.mailbox_delay if delay is None else delay
        workspace.seats = workspace.seats if seats is None else int(seats)
        return self.google(body)

    def add_google_domain(self, body: Body) -> Any:
        """Give the included customer a verified `domain`."""
        customer, name = DEMO_ADMIN.partition("@")[2], _text(body, "domain")
        self._room.google.insert_domain(customer, name)
        self._room.google.believe(customer, name.lower())
        return self.google(body)

    def change_google_user(self, body: Body) -> Any:
        """Do something to the user `email` as an administrator, or Google: `suspend` (for `reason`,
        or as an administrator), `delete`, `rename` (`to`), `purge` (as after twenty days), `make`
        (somebody else's account)."""
        action, email = _text(body, "action"), _text(body, "email").lower()
        self._room.google.act(action, email, str(body.get("to") or body.get("reason") or ""))
        return self.google(body)

    def auto_delegate(self, body: Body) -> Any:
        return {"seconds": self._room.auto_delegate}

    def set_auto_delegate(self, body: Body) -> Any:
        """Delegate new domains by itself after `seconds`; `null` for never. Until a restart."""
        self._room.auto_delegate = _number(body, "seconds", least=0)
        return self.auto_delegate(body)

    def mail_policy(self, body: Body) -> Any:
        """Who is asked before a mailbox may send; an empty `address` for nobody."""
        return {"address": self._room.mail_policy}

    def set_mail_policy(self, body: Body) -> Any:
        self._room.mail_policy = str(body.get("address") or "")
        return self.mail_policy(body)

    def faults(self, body: Body) -> Any:
        return [vars(fault) for fault in self._room.faults.all()]

    def add_fault(self, body: Body) -> Any:
        """Plan a failure; the fields are those of `Fault`."""
        return vars(self._room.faults.add(Fault.from_json(body)))

    def clear_faults(self, body: Body) -> Any:
        """Forget the failure with that `id`, or all."""
        fault_id = _number(body, "id", least=0)
        self._room.faults.clear(None if fault_id is None else int(fault_id))
        return {}

    def servers(self, body: Body) -> Any:
        """Every DNS server, its state, and how far a resolver lags behind (seconds)."""
        return [
            {
                "address": server.address,
                "role": type(server).__name__,
                "state": server.state,
                "delay": server.delay if isinstance(server, Resolver) else None,
                "slowness": server.slowness,
            }
            for server in self._room.dns.servers.values()
        ]

    def set_server(self, body: Body) -> Any:
        """Put the server at `address` into a `state`; `delay` in seconds is for "slow"."""
        delay = _number(body, "delay", least=0)
        self._room.dns.set_state(
            _text(body, "address"), _text(body, "state"), delay=2.0 if delay is None else delay
        )
        return self.servers(body)

    def set_resolver(self, body: Body) -> Any:
        """Let the resolver at `address` lag `delay` seconds behind. Until a restart."""
        delay = _number(body, "delay", least=0)
        if delay is None:
            raise BadRequest("delay: a number of seconds")
        self._room.dns.set_delay(_text(body, "address"), delay)
        return self.servers(body)

    def records(self, body: Body) -> Any:
        """The records of `zone`, a domain's name."""
        zone = self._room.zone_of(_text(body, "zone"), _account_id(body))
        return [record.as_json() for record in self._room.zones.records(zone)]

    def change_records(self, body: Body) -> Any:
        """Add, replace or delete a record of `zone`; the fields are Cloudflare's."""
        fields = dict(body)
        zone = self._room.zone_of(_text(fields, "zone"), _account_id(fields))
        action = _text(fields, "action")
        if action not in ("add", "replace", "delete"):
            raise BadRequest("action: add, replace or delete")
        for name in ("zone", "action", "account_id"):
            fields.pop(name, None)
        return [record.as_json() for record in self._room.change_records(zone, action, fields)]


def _google_user(row: sqlite3.Row, workspace: GoogleWorkspace) -> Body:
    """A user as Google shows it, and the SHA-256 of the password."""
    return {**user_as_json(row, workspace.mailbox_delay), "password_sha256": row["password"]}


def _route(path: str, **actions: Action) -> Route:
    """A path and what each method does there."""

    async def endpoint(request: Request) -> Response:
        if not _same_origin(request):
            return JSONResponse({"error": "another site may not use the control room"}, 403)
        try:
            form, body = await _body(request)
            method = str(body.pop("_method", request.method)).upper()
            back = str(body.pop("next", "/")) if form else ""
            result = actions[method](body)
        except (BadRequest, InvalidFault, InvalidDelegation, InvalidState, KeyError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except UnknownZone as error:
            return JSONResponse({"error": f"no zone {error}"}, 404)
        except (CloudflareError, GoogleError) as error:
            return JSONResponse({"error": error.message, **error.as_json()}, error.status)
        if form:
            # Only a path of ours: "//host" and "/\host" would lead elsewhere.
            inside = back.startswith("/") and back[1:2] not in ("/", "\\")
            return RedirectResponse(back if inside else "/", 303)
        return JSONResponse(result)

    return Route(f"/control/{path}", endpoint, methods=list(actions))


async def _body(request: Request) -> tuple[bool, Body]:
    """Whether it is a form, and the fields of the query, the form or the JSON."""
    fields: Body = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return True, fields | _from_form(await request.form())
    raw = await request.body()
    if not raw:
        return False, fields
    try:
        body = await request.json()
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is no JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return False, fields | body


_NUMBERS = (
    "seconds",
    "delay",
    "status",
    "retry_after",
    "times",
    "ttl",
    "priority",
    "balance",
    "price",
    "mailbox_delay",
    "seats",
)


def _from_form(form: FormData) -> Body:
    """A form's fields as JSON would give them: empty ones left out, numbers as numbers."""
    fields: Body = {}
    for name, value in form.items():
        text = str(value).strip()
        if name == "times" and not text:
            fields[name] = None  # until it is cleared
        elif text and name in _NUMBERS:
            fields[name] = _parsed_number(name, text)
        elif text:
            fields[name] = text
    return fields


def _parsed_number(name: str, text: str) -> float | int:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError as error:
        raise BadRequest(f"{name}: a number") from error


def _number(body: Body, name: str, *, least: float) -> float | None:
    value = body.get(name)
    if isinstance(value, str):
        value = _parsed_number(name, value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value:
        raise BadRequest(f"{name}: a number, at least {least}")
    return value


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name} is missing")
    return value


def _account_id(body: Body) -> str:
    return str(body.get("account_id") or "")


def _same_origin(request: Request) -> bool:
    """Whether the request comes from our own pages or from no page at all."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
