"""The one table of mPanel's processes: what runs, by which command, and where.

`manage.py run` starts from it, service units are written from it, and tests hold compose.yaml and
docs/operating.md against it.
"""

from dataclasses import dataclass
from typing import Literal

Place = Literal["panel", "mail server"]


@dataclass(frozen=True)
class Process:
    """`command`: what follows the Python interpreter, in the folder of `manage.py`.

    `name` is that of its unit, its part in compose.yaml and its log. `settings` are the settings
    without which it has nothing to do. `listens` names the setting with its address, and `probe`
    what `/api/status` calls it: by one of them `manage.py healthcheck` sees whether it works.
    """

    name: str
    does: str
    command: tuple[str, ...]
    where: Place
    how_many: str
    settings: tuple[str, ...] = ()
    listens: str = ""
    probe: str = ""


_PROCESSES = (
    Process(
        "web",
        "pages and the JSON API",
        ("-m", "gunicorn", "mpanel.wsgi"),
        "panel",
        "as many as you like",
    ),
    Process(
        "worker",
        "jobs, sign-in codes and periodic sweeps, each in a queue of its own",
        ("manage.py", "worker"),
        "panel",
        "one or more per machine",
        probe="queue",
    ),
    Process(
        "tick",
        "the clock: wakes jobs and sweeps when they are due",
        ("manage.py", "tick"),
        "panel",
        "one or more; one holds the lease",
        probe="clock",
    ),
    Process(
        "mailpolicy",
        "tells Postfix who may send how much",
        ("manage.py", "mailpolicy"),
        "mail server",
        "one or more per mail server",
        listens="MAILPOLICY_ADDRESS",
    ),
    Process(
        "loginpolicy",
        "tells Dovecot who guesses passwords",
        ("manage.py", "loginpolicy"),
        "mail server",
        "one or more per mail server",
        listens="LOGINPOLICY_ADDRESS",
    ),
    Process(
        "mailsigner",
        "says who may write as whom, and signs outgoing mail with DKIM",
        ("manage.py", "mailsigner"),
        "mail server",
        "one or more per mail server",
        listens="MAILSIGNER_ADDRESS",
    ),
    Process(
        "maillog",
        "counts what bounces, from Postfix' log",
        ("manage.py", "maillog", "--follow"),
        "mail server",
        "one per mail server",
        settings=("MAILLOG_FILE",),
        probe="maillog",
    ),
)


def processes(where: Place | None = None) -> tuple[Process, ...]:
    """All processes, or those of one place, in the order in which they are started."""
    return tuple(one for one in _PROCESSES if where in {None, one.where})


def process_called(name: str) -> Process:
    """The process of that name; `KeyError` for another."""
    return {one.name: one for one in _PROCESSES}[name]
