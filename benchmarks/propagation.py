"""One propagation sweep: 10,000 records of 2,500 zones, all due, at four resolvers.

The zones' own two nameservers are asked as well, so that is 60,000 questions. They are answered by
`benchmarks.dns_server` in a process of its own. The floor: the same questions by the bare client of
`benchmarks.dns_floor`, which keeps nothing and judges nothing.

Three parts are compared with it: `DNSClient` alone; the first sweep, in which every row changes and
every zone's session ends; a sweep in which nothing changes, which may write two timestamps per
record and nothing else.
"""

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test import override_settings
from django.utils import timezone

from benchmarks import dns_floor, dns_server
from benchmarks.ground import fresh_database, report
from dnszones.models import PropagationSession, Record, Zone
from dnszones.propagation.sweep import check_zones
from domains.models import Domain
from tests.cast import Person, owner

OWN = tuple(dns_server.NAMESERVERS.values())
_WRITE = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM) "(\w+)"(?: SET (.*) WHERE)?', re.DOTALL)


def plant(person: Person, wanted: Sequence[dns_server.TextRecord]) -> None:
    """Rows as they are after the mail records of so many domains were written."""
    domains: dict[str, Domain] = {}
    zones: dict[str, Zone] = {}
    rows = []
    for record in wanted:
        name = ".".join(record.name.split(".")[-3:])
        if name not in zones:
            domains[name] = Domain(
                tenant_id=person.actor.tenant_id,
                name=name,
                unicode_name=name,
                status=Domain.DNS_CONFIGURING,
                dns_credential=person.credential,
                nameservers=list(dns_server.NAMESERVERS),
                verified_at=timezone.now(),
            )
            zones[name] = Zone(domain=domains[name], provider="cloudflare", remote_id=name)
        rows.append(
            Record(
                zone=zones[name],
                purpose=record.purpose,
                level="required",
                reason="Measured.",
                name=record.name,
                type="TXT",
                content=record.value,
                ttl=300,
                ours=True,
            )
        )
    Domain.objects.bulk_create(domains.values())
    Zone.objects.bulk_create(zones.values())
    Record.objects.bulk_create(rows)
    end = timezone.now() + timedelta(hours=48)
    PropagationSession.objects.bulk_create(
        PropagationSession(zone=zone, timeout_at=end) for zone in zones.values()
    )


@contextmanager
def counted_writes() -> Iterator[Counter[str]]:
    """Counts the rows that are written, by statement, table and columns."""
    written: Counter[str] = Counter()

    def count(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        result = execute(sql, params, many, context)
        if found := _WRITE.match(sql):
            columns = ", ".join(re.findall(r'"(\w+)" =', found[3] or ""))
            what = f"{found[1].lower()} {found[2]}{f' ({columns})' if columns else ''}"
            written[what] += context["cursor"].rowcount
        return result

    with connection.execute_wrapper(count):
        yield written


def sweep_seconds(count: int) -> float:
    """How long one sweep of every zone takes, from finding them to the last row written."""
    started = time.perf_counter()
    looked_at = check_zones(Zone.objects.values_list("pk", flat=True))
    seconds = time.perf_counter() - started
    assert looked_at == count
    done = Record.objects.filter(status=Record.PROPAGATED, own__verdict="matches").count()
    assert done == count, f"{done} of {count} records were seen everywhere"
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="A propagation sweep beside a bare client.")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    records = dns_server.records(options.records)
    names = [record.name for record in records]
    with fresh_database(), dns_server.running(options.records) as server:
        resolvers = ",".join(f"{at}={at}:{server.port}" for at in server.addresses)
        with override_settings(DNS_PORT=server.port, DNS_RESOLVERS=resolvers):
            floors, client, first, steady = [], [], [], []
            ada = owner("ada")
            for _ in range(options.rounds):
                Domain.objects.all().delete()
                plant(ada, records)
                floors.append(dns_floor.floor_seconds(server, names, OWN))
                seconds, answers = dns_floor.client_seconds(server, names, OWN)
                assert all(answer.status == "answer" for answer in answers)
                client.append(seconds)
                with counted_writes() as at_first:
                    first.append(sweep_seconds(options.records))
                with counted_writes() as then:
                    steady.append(sweep_seconds(options.records))
    questions = len(names) * (len(server.addresses) + len(OWN))
    what = f"Sweep of {options.records} records, {questions} questions"
    report(f"{what}: the network alone", ours=client, floor=floors)
    report(f"{what}: all of it, everything changes", ours=first, floor=floors)
    report(f"{what}: all of it, nothing changes", ours=steady, floor=floors)
    for when, written in (("everything changes", at_first), ("nothing changes", then)):
        print(f"  rows written when {when}:", *(f"{n} {s};" for s, n in written.items()))


if __name__ == "__main__":
    main()
