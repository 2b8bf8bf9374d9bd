"""Sign-in codes under a flood of webhooks: how long until the e-mail has arrived.

Floor: the same panel, in the same run, with nothing else to do. `manage.py worker` and `manage.py
tick` work as in production; the sandbox takes the mail, and a server takes half a second for every
webhook.

    python -m benchmarks.codes [--rounds 3] [--codes 10] [--deliveries 4000]
"""

import argparse
import statistics
import time
from itertools import count

from benchmarks.ground import fresh_database, report  # first: it sets Django up

from django.conf import settings  # isort: skip
from django.db import connection  # isort: skip

from events.models import Event, WebhookDelivery  # isort: skip
from events.relay import relay  # isort: skip
from events.services import create_webhook  # isort: skip
from mpanel.core import periodic, queues  # isort: skip
from provisioning.models import Heartbeat  # isort: skip
from sandbox.management.commands.sandbox import database_url  # isort: skip
from tenants.services import ask_for_code  # isort: skip
from tests.cast import Person, owner  # isort: skip
from tests.events.receiver import Answer, Receiver  # isort: skip
from tests.processes import eventually, working  # isort: skip
from tests.sandboxes import RunningSandbox  # isort: skip

ENDPOINTS = 10
SLOW = 0.5  # seconds that a webhook's server takes
numbers = count(1)


def main() -> None:
    """Print how long codes take under the flood, beside how long they take without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--codes", type=int, default=10)
    parser.add_argument("--deliveries", type=int, default=4_000)
    chosen = parser.parse_args()
    with fresh_database():
        sandbox = RunningSandbox(
            settings.SANDBOX_DIR,
            port=settings.SANDBOX_PORT,
            database_url=database_url(connection.settings_dict),
        )
        with sandbox, Receiver() as receiver, working():
            receiver.answer = Answer(after=SLOW)
            beats = Heartbeat.objects.filter(queue__in=queues.ALL)
            eventually(lambda: beats.count() == len(queues.ALL), seconds=120)
            measure(sandbox, receiver, chosen)


def measure(sandbox: RunningSandbox, receiver: Receiver, chosen: argparse.Namespace) -> None:
    """Take turns; the flood of a round goes on until its codes have arrived."""
    ada = owner("ada")
    for number in range(ENDPOINTS):
        create_webhook(ada.actor, url=receiver.url(f"/{number}"), actions=["mailbox.*"])
    middle: tuple[list[float], list[float]] = ([], [])
    slowest: tuple[list[float], list[float]] = ([], [])
    pending = WebhookDelivery.objects.filter(status=WebhookDelivery.PENDING)
    for _ in range(chosen.rounds):
        idle = [seconds_of_a_code(sandbox) for _ in range(chosen.codes)]
        flood(ada, chosen.deliveries // ENDPOINTS)
        eventually(lambda: len(receiver.taken) > ENDPOINTS, seconds=120)
        busy = [seconds_of_a_code(sandbox) for _ in range(chosen.codes)]
        assert pending.exists(), "the flood ended before the codes: send more --deliveries"
        pending.update(status=WebhookDelivery.FAILED)
        receiver.taken.clear()
        for times, ours, floor in (
            (middle, statistics.median(busy), statistics.median(idle)),
            (slowest, max(busy), max(idle)),
        ):
            times[0].append(ours)
            times[1].append(floor)
    report("sign-in code, median", ours=middle[0], floor=middle[1])
    report("sign-in code, slowest", ours=slowest[0], floor=slowest[1])


def flood(person: Person, events: int) -> None:
    """So many events, each of which every webhook wants."""
    Event.objects.bulk_create(
        Event(
            tenant_id=person.actor.tenant_id,
            action="mailbox.created",
            sentence="Created.",
            subject_type="mailbox",
        )
        for _ in range(events)
    )
    relay()
    periodic.start("events.deliveries")


def seconds_of_a_code(sandbox: RunningSandbox) -> float:
    """From asking for a code until its e-mail has arrived."""
    number = next(numbers)
    email = f"person{number}@people.test"
    began = time.monotonic()
    ask_for_code(email, address=f"198.51.{number // 250}.{number % 250 + 1}")
    eventually(lambda: sandbox.mails(email), seconds=300)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
