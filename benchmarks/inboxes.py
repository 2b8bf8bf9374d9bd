"""500 inboxes, from the service call to the last proved login, beside the bare cost of hashing.

Ours: rows, sealed passwords, the job through the engine, bcrypt at the configured cost, a login to
every inbox by SMTP and IMAP, all rows active. The sandbox's mail server runs on the same cores.
The floor: as many bcrypt hashes at the same cost in a thread for each core, and nothing else.
A second line compares the processor time of both, the mail server's included: it says the same on
a machine that others use meanwhile, where the first line does not.
"""

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import bcrypt
from django.conf import settings
from django.db import connection
from django.utils import timezone

from benchmarks.ground import fresh_database, report
from billing.models import Account
from domains.models import Domain
from mailboxes.models import Batch, Mailbox
from mailboxes.passwords import make_password
from mailboxes.services import provision_mailboxes
from mpanel.core.models import new_id
from provisioning.models import Job, JobStep
from sandbox.management.commands.sandbox import database_url
from tests.cast import Person, owner
from tests.processes import descendants
from tests.sandboxes import RunningSandbox
from tests.work import work_off


def floor_seconds(count: int) -> float:
    """How long so many hashes take on all cores."""
    passwords = [make_password().encode() for _ in range(count)]
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(
            lambda password: bcrypt.hashpw(password, bcrypt.gensalt(settings.MAILBOX_BCRYPT_COST)),
            passwords,
        ):
            pass
    return time.perf_counter() - started


def provision_seconds(person: Person, domain: Domain, count: int) -> tuple[float, Batch]:
    """How long so many inboxes take until every one of them is active."""
    started = time.perf_counter()
    batch = provision_mailboxes(
        person.actor, domain.pk, count=count, convention="firstname.lastname"
    )
    work_off()
    seconds = time.perf_counter() - started
    job = Job.objects.get(subject_id=batch.pk)
    assert job.status == Job.SUCCEEDED, (job.status, job.error_message or job.waiting_for)
    rows = batch.mailboxes.filter(
        status=Mailbox.ACTIVE, smtp_proved_at__isnull=False, imap_proved_at__isnull=False
    )
    proved = rows.exclude(password_hash="").filter(proof_digest="").count()
    assert proved == count, f"{proved} of {count} are active"
    return seconds, batch


def processor_seconds(servers: Sequence[int]) -> float:
    """The processor time that this process and the mail server's have used so far (Linux).

    With what their children used that ended.
    """
    used = 0
    for pid in servers:
        for member in (pid, *descendants(pid)):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            used += sum(map(int, fields[11:15]))
    return time.process_time() + used / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def sandbox() -> Iterator[Sequence[int]]:
    """The sandbox's mail server; its process id."""
    with RunningSandbox(
        Path(settings.SANDBOX_DIR),
        port=settings.SANDBOX_PORT,
        database_url=database_url(connection.settings_dict),
    ) as running:
        yield [running.pid]


def step_seconds(batch: Batch) -> dict[str, float]:
    """How long each step of a batch's job took, by its name."""
    found = {}
    for step in JobStep.objects.filter(job__subject_id=batch.pk):
        assert step.started_at is not None
        assert step.finished_at is not None
        found[step.name] = (step.finished_at - step.started_at).total_seconds()
    return found


def main(
    mail_server: Callable[[], AbstractContextManager[Sequence[int]]] = sandbox,
    name: str = "inboxes",
) -> None:
    parser = argparse.ArgumentParser(description="Inboxes end to end beside bare bcrypt.")
    parser.add_argument("--inboxes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with fresh_database():
        ada = owner("ada")
        Account.objects.update_or_create(
            tenant_id=ada.actor.tenant_id, defaults={"plan": "enterprise"}
        )
        with mail_server() as servers:
            floors, ours, floors_used, ours_used = [], [], [], []
            for number in range(options.rounds):
                domain = Domain.objects.create(
                    id=new_id(),
                    tenant_id=ada.actor.tenant_id,
                    name=f"d{number}.bench.test",
                    unicode_name=f"d{number}.bench.test",
                    dns_credential=ada.credential,
                    status=Domain.READY,
                    verified_at=timezone.now(),
                )
                before = processor_seconds(servers)
                floors.append(floor_seconds(options.inboxes))
                between = processor_seconds(servers)
                seconds, batch = provision_seconds(ada, domain, options.inboxes)
                ours.append(seconds)
                floors_used.append(between - before)
                ours_used.append(processor_seconds(servers) - between)
                steps = step_seconds(batch)
                print(
                    f"  round {number + 1}: hashes alone {floors[-1]:.2f} s, end to end"
                    f" {seconds:.2f} s",
                    *(f"{step} {taken:.2f} s" for step, taken in steps.items()),
                    sep=", ",
                    flush=True,
                )
        what = f"{options.inboxes} {name} end to end beside their hashes at cost"
        what += f" {settings.MAILBOX_BCRYPT_COST}"
        report(what, ours=ours, floor=floors, bound="1.3")
        report(f"{what}, processor time", ours=ours_used, floor=floors_used)


if __name__ == "__main__":
    main()
