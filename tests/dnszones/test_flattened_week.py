"""A week of a flattened SPF record, by a clock that the test moves: its senders change, fail, grow.

At every moment the record that is published says what its source said at some moment of the last
interval, or what it said last before it failed; receivers can always evaluate it; and whatever a
cache still includes is still there.
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import dns.rcode
import pytest
from django.conf import LazySettings
from django.utils import timezone

from dnszones import spf
from dnszones.models import ChangePlan, SpfFlattening
from dnszones.plans.services import apply_plan
from dnszones.spf.flattened.sweep import sweep
from domains.models import Domain
from events.models import Event
from tests.cast import Person
from tests.dnsservers import FakeServer, Message, dns_servers
from tests.dnszones.fakedns import World
from tests.dnszones.spf_oracle import check_host
from tests.sandboxes import RunningSandbox
from tests.stories import planned, verified
from tests.work import ended, sure, work_off

ZONE = "example.test"
OURS = "_spf.mail-sandbox.test"
TICK = timedelta(minutes=5)  # as long as a TTL of ours
INTERVAL = timedelta(hours=1)
WEEK = timedelta(days=7)


class Clock:
    """The time that everything in mPanel reads from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = timezone.now()
        monkeypatch.setattr(timezone, "now", self)

    def __call__(self) -> datetime:
        return self.now


class Upstream:
    """The senders' DNS: what each name says, and how some fail."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.texts: dict[str, str] = {}
        self.failing: dict[str, str] = {}
        self.host = "192.0.2.80"
        server.is_resolver = True
        server.serve(".")
        server.always = self._answer

    def say(self, name: str, text: str, ttl: int = 1800) -> None:
        self.texts[name] = text
        strings = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
        self.server.add(name, "TXT", strings, ttl=ttl)

    def world(self) -> World:
        """What receivers see, for the evaluator of the tests."""
        records = {(name, "TXT"): [text] for name, text in self.texts.items()}
        records |= {("host.test", "A"): [self.host], ("host.test", "AAAA"): ["2001:db8::80"]}
        records["198.51.100.66.list.test", "A"] = ["127.0.0.2"]
        for name, how in self.failing.items():
            if how in {"gone", "empty"}:
                del records[name, "TXT"]
        silent = {name for name, how in self.failing.items() if how in {"servfail", "timeout"}}
        return World(records, broken=frozenset(silent))

    def _answer(self, query: Message, reply: Message) -> list[bytes]:
        how = self.failing.get(query.question[0].name.to_text(omit_final_dot=True))
        if how == "timeout":
            return []
        if how in {"servfail", "gone", "empty"}:
            reply.answer.clear()
            rcode = {"servfail": dns.rcode.SERVFAIL, "gone": dns.rcode.NXDOMAIN}
            reply.set_rcode(rcode.get(how, dns.rcode.NOERROR))
        return [reply.to_wire(max_size=65_535)]


def nets(*numbers: int) -> str:
    return " ".join(f"ip4:10.{n}.{n}.{n}" for n in numbers)


SOURCE = (
    f"v=spf1 include:{OURS} include:one.test include:two.test a:host.test "
    "exists:%{i}.list.test -all"
)
FIRST = {
    OURS: "v=spf1 ip4:127.0.0.1 -all",
    "one.test": f"v=spf1 {nets(1, 2)} -ip4:10.3.3.3 {nets(3)} ~all",
    "two.test": "v=spf1 include:nested.test ip6:2001:db8:2::/64 ?all",
    "nested.test": f"v=spf1 {nets(20)} -all",
}
ADDRESSES = [
    "127.0.0.1",
    "127.0.0.2",
    "192.0.2.80",
    "192.0.2.81",
    "198.51.100.66",
    "2001:db8::80",
    "2001:db8:2::1",
    "2001:db8:3::1",
    *(f"10.{n}.{n}.{n}" for n in range(0, 250, 3)),
    *(f"10.{n}.{n}.{n}" for n in (1, 2, 4, 20, 31, 40, 41, 200)),
]

# Hours since the beginning, and what happens then: a name says something, or fails ("" mends it).
EVENTS: list[tuple[float, str, str, str]] = [
    (12, "say", "one.test", f"v=spf1 {nets(1, 2, 4)} ~all"),
    (24.3, "say", "two.test", f"v=spf1 {nets(40, 41)} -all"),
    (26, "say", "host.test", "192.0.2.81"),
    (36, "servfail", "one.test", ""),
    (38, "say", "one.test", f"v=spf1 {nets(1, 31)} ~all"),
    (41.1, "", "one.test", ""),
    (48, "timeout", "two.test", ""),
    (51, "", "two.test", ""),
    (60, "gone", "one.test", ""),
    (64, "", "one.test", ""),
    (72, "say", "two.test", "v=spf1 nonsense -all"),
    (74, "say", "two.test", f"v=spf1 {nets(40)} -all"),
    (84, "empty", "one.test", ""),
    (86, "", "one.test", ""),
    (96, "say", "two.test", "v=spf1 -all"),
    (98, "say", "two.test", f"v=spf1 {nets(40, 200)} -all"),
    (108, "say", "one.test", f"v=spf1 {nets(*range(3, 45, 3))} ~all"),  # past one string
    (110, "say", "one.test", f"v=spf1 {nets(*range(3, 120, 3))} ~all"),  # past one record
    (114, "say", "one.test", f"v=spf1 {nets(*range(6, 210, 3))} ~all"),
    (117, "say", "one.test", f"v=spf1 {nets(*range(6, 240, 3))} ~all"),
    (119, "servfail", "two.test", ""),
    (121, "", "two.test", ""),
    (126, "say", "one.test", f"v=spf1 {nets(*range(1, 250, 2))} {nets(*range(2, 250, 2))} ~all"),
    (132, "say", "one.test", f"v=spf1 {nets(*range(3, 120, 3))} ~all"),
    (140, "say", "one.test", f"v=spf1 {nets(1, 2)} ~all"),
]
TOO_LARGE = (126, 132)  # hours in which the source does not fit ten lookups


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with dns_servers("127.0.0.88") as [server]:
        found = Upstream(server)
        for name, text in FIRST.items():
            found.say(name, text)
        server.add("host.test", "A", "192.0.2.80", ttl=7200)
        server.add("host.test", "AAAA", "2001:db8::80", ttl=7200)
        yield found


known_fine: set[str] = set()


class Published:
    """What the zone says about SPF: the domain's own text, and every record that it may include."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.own: list[str] = []
        self.texts: dict[str, str] = {}
        for row in sandbox.records(ZONE):
            if row["type"] == "TXT" and "v=spf1" in row["content"]:
                strings = re.findall(r'"([^"]*)"', row["content"])
                assert strings and all(len(string) <= 255 for string in strings)
                self.texts[row["name"]] = "".join(strings)
                if row["name"] == ZONE:
                    self.own.append("".join(strings))

    def check(self, world: World) -> None:
        """Receivers can evaluate it, whatever the client's family."""
        key = f"{self.own} {self.texts} {world.records} {world.broken}"
        if key in known_fine:  # most ticks change nothing
            return
        assert len(self.own) == 1
        record = spf.parse(self.own[0])
        resolver = World({**world.records, **{(n, "TXT"): [t] for n, t in self.texts.items()}})
        count = asyncio.run(spf.count_lookups(record, domain=ZONE, resolver=resolver))
        assert (count.lookups <= 10, count.voids <= 2, count.problems) == (True, True, ())
        assert all(len(text) <= spf.COMFORTABLE_BYTES for text in self.texts.values())
        known_fine.add(key)

    def results(self, world: World) -> tuple[str, ...]:
        mine = {(name, "TXT"): [text] for name, text in self.texts.items()}
        return results(self.own[0], World({**world.records, **mine}))

    def still_has(self, former: "Published") -> bool:
        """Whether all that the former record includes is there, for caches that hold it."""
        included = re.findall(r"include:(_spf\d+\.\S+)", former.own[0])
        return all(self.texts.get(name) == former.texts[name] for name in included)


known_results: dict[str, tuple[str, ...]] = {}


def results(text: str, world: World) -> tuple[str, ...]:
    """What a record says about each address; most ticks ask what was asked before."""
    key = f"{text} {world.records} {world.broken}"
    if key not in known_results:
        known_results[key] = tuple(check_host(world, text, ip, ZONE) for ip in ADDRESSES)
    return known_results[key]


def flattened_domain(
    ada: Person, sandbox: RunningSandbox, upstream: Upstream, settings: LazySettings
) -> Domain:
    """A domain whose own SPF record is merged with ours and flattened."""
    domain = verified(ada, ZONE, sandbox)
    server = upstream.server
    settings.DNS_RESOLVERS = f"Upstream={server.address}:{server.port}"
    settings.DNS_TIMEOUT = 0.5
    own = SOURCE.replace(f"include:{OURS} ", "")
    sandbox.change_record(ZONE, "add", type="TXT", name="@", content=f'"{own}"')
    plan = planned(ada, domain, flatten=True)
    ended(sure(apply_plan, ada.actor, plan.pk))
    return domain


def test_a_week_of_senders_that_change_fail_and_grow(
    ada: Person,
    sandbox: RunningSandbox,
    upstream: Upstream,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flattened_domain(ada, sandbox, upstream, settings)
    clock = Clock(monkeypatch)
    row = SpfFlattening.objects.get()
    assert (row.source, row.status) == (SOURCE, SpfFlattening.LIVE)
    begin, events = clock.now, list(EVENTS)
    told: list[tuple[datetime, tuple[str, ...]]] = []  # what the source said, and until when
    last_good: tuple[str, ...] = ()
    former = Published(sandbox)
    most_parts, seen = 0, 0
    while clock.now < begin + WEEK:
        hours = (clock.now - begin) / timedelta(hours=1)
        while events and events[0][0] <= hours:
            _, how, name, text = events.pop(0)
            if name == "host.test":
                upstream.server.add(name, "A", text, ttl=7200)
                upstream.host = text
            elif how == "say":
                upstream.say(name, text)
            elif how:
                upstream.failing[name] = how
            else:
                del upstream.failing[name]
        sweep()
        is_written = work_off() > 0
        world = upstream.world()
        said = results(SOURCE, world)
        is_error = "permerror" in said or "temperror" in said
        is_too_large = TOO_LARGE[0] <= hours < TOO_LARGE[1]
        if not is_error and not is_too_large:
            last_good = said
        told = [one for one in told if one[0] >= clock.now - INTERVAL]
        told.append((clock.now, last_good))
        published = Published(sandbox) if is_written else former
        published.check(world)
        assert published.results(world) in {results for _, results in told}, hours
        assert published.still_has(former), hours
        most_parts = max(most_parts, len(published.texts) - 1)
        seen += 1
        former = published
        clock.now += TICK
    assert seen == WEEK / TICK
    assert most_parts >= 5
    row.refresh_from_db()
    assert (row.status, row.error, row.parts, row.leaving) == (SpfFlattening.LIVE, "", {}, [])
    assert set(former.texts) == {ZONE}, "former parts are gone"
    plans = ChangePlan.objects.filter(kind=ChangePlan.SPF)
    assert not plans.exclude(status=ChangePlan.APPLIED).exists()
    alerts = Event.objects.filter(action="dns.spf_failing").count()
    # A busy machine may be late with an answer, which is trouble as well.
    assert alerts == Event.objects.filter(action="dns.spf_recovered").count() >= 7
