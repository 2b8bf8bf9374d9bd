"""What the engine costs per step, beside a bare function called through the same queue.

Ours: a job of 100 trivial states, each observed, applied and observed again, from the committed
request until the job has succeeded. The comparison: 100 messages whose function does nothing. Both
are worked off by django-q2's cluster with one worker process. The bare loop runs the same states
in this process, without engine, queue or database.
"""

import argparse
import time

from benchmarks.ground import fresh_database, report
from benchmarks.queue import running_cluster, send_nothing, wait_until_worked_off
from benchmarks.trivial import STATES, STEPS, WORKFLOW
from mpanel.core.models import new_id
from provisioning.models import Job
from provisioning.services import start_job
from tests.cast import Person, owner


def tasks_milliseconds() -> float:
    """Per bare task: from the commit until the last of them is acknowledged."""
    send_nothing(STEPS)
    started = time.perf_counter()
    wait_until_worked_off()
    return (time.perf_counter() - started) / STEPS * 1000


def steps_milliseconds(person: Person) -> float:
    """Per step of a job: from the commit until its one message is acknowledged."""
    job = start_job(person.actor, WORKFLOW, subject_id=new_id(), subject_label="thing")
    started = time.perf_counter()
    wait_until_worked_off()
    seconds = time.perf_counter() - started
    assert Job.objects.get(pk=job.pk).status == Job.SUCCEEDED
    return seconds / STEPS * 1000


def loop_milliseconds() -> float:
    """Per state: observe, apply, observe, and nothing around it."""
    subject = new_id()
    started = time.perf_counter()
    for state in STATES:
        if state.observe(subject).verdict == "missing":
            state.apply(subject)
        assert state.observe(subject).verdict == "matches"
    return (time.perf_counter() - started) / STEPS * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="The engine per step beside bare tasks.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with fresh_database():
        ada = owner("ada")
        with running_cluster():
            tasks, steps, loops = [], [], []
            for _ in range(options.rounds):
                tasks.append(tasks_milliseconds())
                steps.append(steps_milliseconds(ada))
                loops.append(loop_milliseconds())
        report("Engine, a step beside a bare task", ours=steps, floor=tasks, unit="ms")
        report("Engine, a step beside a bare loop", ours=steps, floor=loops, unit="ms")


if __name__ == "__main__":
    main()
