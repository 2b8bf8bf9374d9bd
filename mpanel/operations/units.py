"""Units of systemd for every process in the table, and timers for what runs once a day."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from mpanel.operations.processes import Place, Process, processes

# Behind a proxy on the same machine (docs/installing.md).
WEB_OPTIONS = ("--bind=127.0.0.1:8000",)


@dataclass(frozen=True)
class Timer:
    """What runs once a day, as root: it reads mail, or changes the owners of files."""

    name: str
    does: str
    command: tuple[str, ...]
    at: str  # hh:mm


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things are: what units name. `places`: whose processes run on this machine."""

    user: str
    env_file: Path
    mail_dir: Path
    vmail: Path
    backups: Path
    places: tuple[Place, ...] = ("panel", "mail server")


def timers(layout: Layout) -> list[Timer]:
    """The timers of a machine."""
    found = []
    mail = ("--mail", str(layout.vmail)) if "mail server" in layout.places else ()
    if "panel" in layout.places:
        backup = ("manage.py", "backup", "--to", str(layout.backups), "--keep", "14", *mail)
        found.append(Timer("backup", "back up the database", backup, "02:10"))
    if "mail server" in layout.places:
        server = ("manage.py", "mailserver")
        rotate = (*server, "rotate", "--dir", str(layout.mail_dir), "--group", layout.user)
        purge = (*server, "purge", "--dir", str(layout.vmail))
        found.append(Timer("rotate", "rotate the mail server's logs", rotate, "00:10"))
        found.append(Timer("purge", "remove the mail of deleted mailboxes", purge, "03:10"))
    return found


def units(layout: Layout) -> Iterator[tuple[str, str]]:
    """Every unit's file name and text."""
    for place in layout.places:
        for process in processes(place):
            yield f"mpanel-{process.name}.service", _service(process, layout)
    if "mail server" in layout.places and (layout.mail_dir / "rspamd/rspamd.conf").exists():
        yield "mpanel-maildomains.service", _domains_of_rspamd(layout)
    for timer in timers(layout):
        yield f"mpanel-{timer.name}.service", _once(timer, layout)
        yield f"mpanel-{timer.name}.timer", _timer(timer)


def _domains_of_rspamd(layout: Layout) -> str:
    """As root, but it may write in rspamd's folder only: what lies there decides about mail."""
    command = ("manage.py", "mailserver", "domains", "--dir", str(layout.mail_dir), "--follow")
    process = Process(
        "maildomains", "tells rspamd the customers' domains", command, "mail server", "one"
    )
    text = _service(process, replace(layout, user="root"))
    folder = layout.mail_dir / "rspamd"
    return text.replace("ProtectSystem=full", f"ProtectSystem=strict\nReadWritePaths={folder}")


def _service(process: Process, layout: Layout) -> str:
    options = WEB_OPTIONS if process.name == "web" else ()
    return f"""\
[Unit]
Description=mPanel: {process.does}
After=network-online.target postgresql.service
Wants=network-online.target

[Service]
User={layout.user}
{_surroundings(layout)}
ExecStart={sys.executable} {" ".join((*process.command, *options))}
Restart=always
RestartSec=2
TimeoutStopSec=60
StateDirectory=mpanel
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""


def _once(timer: Timer, layout: Layout) -> str:
    return f"""\
[Unit]
Description=mPanel: {timer.does}

[Service]
Type=oneshot
{_surroundings(layout)}
ExecStart={sys.executable} {" ".join(timer.command)}
"""


def _timer(timer: Timer) -> str:
    return f"""\
[Unit]
Description=mPanel: {timer.does}, once a day

[Timer]
OnCalendar=*-*-* {timer.at}:00
Persistent=yes

[Install]
WantedBy=timers.target
"""


def _surroundings(layout: Layout) -> str:
    return f"""\
WorkingDirectory={settings.BASE_DIR}
Environment=MPANEL_ENV_FILE={layout.env_file} MPANEL_VAR_DIR=/var/lib/mpanel PYTHONUNBUFFERED=1"""
