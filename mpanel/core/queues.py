"""The queues, and the one door through which messages get into them.

A queue is worked by a cluster of its own (django-q2's `ALT_CLUSTERS`), so what takes long in one
holds up nothing in another: somebody who waits for a sign-in code does not wait for a sweep.
"""

URGENT = "mpanel-urgent"  # what a person waits for at this moment: one-time codes
JOBS = "mpanel"  # jobs and other work that somebody asked for
SWEEPS = "mpanel-sweeps"  # periodic work
ALL = (URGENT, JOBS, SWEEPS)


def send(task: str, *arguments: str, queue: str = JOBS) -> None:
    """Have a worker call this function, named by its path; in the caller's transaction.

    Arguments are ids and names, never objects or secrets. A message may be lost or doubled: what
    must happen is written in a row, and found again by the clock or a sweep.
    """
    from django_q.tasks import async_task  # it reads the settings, which read this module

    # Named always: else a worker would send to the queue that it works itself.
    async_task(task, *arguments, cluster=queue)
