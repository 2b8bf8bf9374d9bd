"""All parts of the sandbox, wired together, and what can be done to them by hand."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .cloudflare import RATE_LIMIT, RateLimiter
from .cloudflare_errors import CloudflareError
from .dns_servers import DEFAULT_DELAYS, DnsServers
from .elsewhere import ask_powerdns
from .faults import Faults
from .google import RATE_LIMIT as GOOGLE_RATE_LIMIT
from .google import RateLimiter as GoogleRateLimiter
from .google_workspace import GoogleWorkspace
from .imap import ImapService
from .internet import RESOLVER_ADDRESSES
from .journal import Journal
from .logins import Logins
from .maillog import MailLog
from .mailstore import MailStore
from .namecheap import RATE_LIMIT as NAMECHEAP_RATE_LIMIT
from .namecheap import NamecheapShop
from .outreach import OutreachDesk
from .records import Record, parse
from .registry import Registry
from .store import Store
from .tls import tls_files
from .world import World
from .zones import Batch, Zone, Zones

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a sandbox is started.

    `port`: HTTP; DNS, submission, system mail and IMAPS listen on the four that follow.
    `auto_delegate`: seconds after which a new zone's domain is delegated to it; `None` never.
    `resolver_delays`: seconds that each of the four resolvers lags behind.
    `rate_limit`: Cloudflare requests per account and five minutes; 0 for no limit, at Namecheap
    neither.
    `mail_policy`: "host:port" of the service that submission asks before it takes a message.
    """

    port: int
    state_dir: Path
    database_url: str
    auto_delegate: float | None = 20.0
    resolver_delays: tuple[float, ...] = DEFAULT_DELAYS
    rate_limit: int = RATE_LIMIT
    mail_policy: str = ""

    @property
    def dns_port(self) -> int:
        return self.port + 1

    @property
    def submission_port(self) -> int:
        return self.port + 2

    @property
    def system_mail_port(self) -> int:
        return self.port + 3

    @property
    def imaps_port(self) -> int:
        return self.port + 4


class UnknownZone(Exception):
    """The DNS host has no zone of that name."""


class Room:
    """The sandbox without its sockets."""

    def __init__(self, options: Options) -> None:
        options.state_dir.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.store = Store(options.state_dir / "state.sqlite3")
        self.tls = tls_files(options.state_dir)
        self.journal = Journal()
        self.faults = Faults(self.store)
        self.world = World(self.store, partial(ask_powerdns, port=options.dns_port))
        self.registry = Registry(self.store, self.world)
        self.zones = Zones(self.store, self.world, self.registry)
        self.limiter = RateLimiter(options.rate_limit)
        self.namecheap = NamecheapShop(
            self.store,
            self.registry,
            rate_limit=NAMECHEAP_RATE_LIMIT if options.rate_limit else 0,
        )
        self.google = GoogleWorkspace(self.store, self.world, options.state_dir)
        self.google_limiter = GoogleRateLimiter(GOOGLE_RATE_LIMIT if options.rate_limit else 0)
        delays = dict(zip(RESOLVER_ADDRESSES, options.resolver_delays, strict=True))
        self.dns = DnsServers(self.world, self.store, self.journal, delays)
        self.logins = Logins(options.database_url)
        self.mails = MailStore(self.store)
        self.imap = ImapService(self.logins, self.mails, self.faults, self.journal)
        self.maillog = MailLog(options.state_dir / "mail.log")
        burst, per_minute = (10, 120) if options.rate_limit else (0, 0)
        self.outreach = OutreachDesk(
            self.store, ca_file=self.tls.ca, burst=burst, per_minute=per_minute
        )
        self.auto_delegate = options.auto_delegate
        self.mail_policy = options.mail_policy

    def reset(self) -> None:
        """Forget all zones, delegations, failures, mail and counts; be as the options say."""
        self.auto_delegate = self.options.auto_delegate
        self.mail_policy = self.options.mail_policy
        self.store.reset()
        self.world.load()
        self.faults.load()
        self.dns.load()
        self.limiter.reset()
        self.namecheap.reset()
        self.google.reset()
        self.google_limiter.reset()
        self.outreach.reset()
        self.journal.reset()

    def close(self) -> None:
        self.logins.close()
        self.store.close()

    async def delegate_automatically(self) -> None:
        """Do, after a while, what a customer does at the registrar; unless somebody chose."""
        while True:
            await asyncio.sleep(0.25)
            if self.auto_delegate is not None:
                self.delegate_due(self.auto_delegate)

    def delegate_due(self, age: float) -> None:
        """Delegate every domain that nobody delegated and whose zone is `age` seconds old."""
        for zone in self.zones.all():
            registration = self.registry.registration(zone.name)
            chosen = registration is None or registration.by_hand
            if chosen or zone.created_on + age > time.time():
                continue
            if all(other.status == "pending" for other in self.zones.of_domain(zone.name)):
                self.registry.set_nameservers(zone.name, zone.nameservers, by_hand=False)

    def zone_of(self, domain: str, account: str = "") -> Zone:
        """The zone of a domain: the active one, or that of an account. Raises `UnknownZone`."""
        for zone in self.zones.of_domain(domain.lower().rstrip(".")):
            if account in ("", zone.account.id):
                return zone
        raise UnknownZone(domain)

    def change_records(self, zone: Zone, action: str, fields: Mapping[str, Any]) -> list[Record]:
        """Change a zone as somebody else would at the vendor.

        "add" makes one record; "replace" puts it in the place of all of its name and type;
        "delete" takes away those of the name and type, only that with the content if one is
        given, or the one with the `id`. Answers the new or the deleted records.
        Raises `CloudflareError`.
        """
        if action == "add":
            return self.zones.apply(zone, Batch(posts=[fields])).posts
        if action == "delete":
            doomed = self._matching(zone, fields)
            if not doomed:
                raise CloudflareError(404, 81044, "Record does not exist.")
            return self.zones.apply(zone, Batch(deletes=doomed)).deletes
        wanted = parse(fields, zone=zone.name)
        same = [
            record.id
            for record in self.zones.records(zone)
            if (record.name, record.type) == (wanted.name, wanted.type)
        ]
        return self.zones.apply(zone, Batch(deletes=same, posts=[fields])).posts

    def _matching(self, zone: Zone, fields: Mapping[str, Any]) -> list[str]:
        if fields.get("id"):
            return [self.zones.record(zone, str(fields["id"])).id]
        name = str(fields.get("name", "@")).lower().rstrip(".")
        names = {zone.name if name == "@" else name, f"{name}.{zone.name}"}
        content = fields.get("content")
        return [
            record.id
            for record in self.zones.records(zone)
            if record.name in names
            and record.type == fields.get("type", record.type)
            and content in (None, "", record.content, record.content.strip('"'))
        ]
