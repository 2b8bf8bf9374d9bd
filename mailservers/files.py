"""The files that Dovecot and Postfix read: rendered whole, written by renaming."""

import grp
import math
import os
import pwd
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.template import Context, Engine

from mailservers.configuration import MOST_REDIRECTS, Configuration
from mailservers.signing.signatures import SCRIPTS
from mpanel.core.errors import Invalid

TEMPLATES = Path(__file__).parent / "conf"
# The users and groups that Debian's packages make.
POSTFIX, DOVECOT, RSPAMD = "postfix", "dovecot", "_rspamd"
MAPS = ("domains", "recipients", "aliases", "senders", "refusals", "reachable")
ROLES, NOTES = "roles", "notes"
SIEVEC, MANAGESIEVE = Path("/usr/bin/sievec"), Path("/usr/lib/dovecot/managesieve-login")
_UNSET = "(unset)"
OWN_DOMAINS = "rspamd/own-domains"  # the customers' domains, which rspamd reads as it changes


@dataclass(frozen=True)
class ConfigurationFile:
    """A file to be written. `mode` is what others may: 0640 where Postfix must read a password.

    `owner` is the user who owns it where that is not root and the user exists.
    """

    path: str
    mode: int
    owner: str = ""


FILES = (
    ConfigurationFile("dovecot/dovecot.conf", 0o600),
    ConfigurationFile("dovecot/sql.conf", 0o600),
    ConfigurationFile("scripts/restart-auth", 0o755),
    ConfigurationFile("postfix/main.cf", 0o644),
    ConfigurationFile("postfix/master.cf", 0o644),
    ConfigurationFile("postfix/submitted_headers.regexp", 0o644),
    ConfigurationFile("postfix/commands.regexp", 0o644),
    *(ConfigurationFile(f"postfix/maps/{name}.cf", 0o640) for name in MAPS),
    ConfigurationFile("systemd/mpanel-dovecot.service", 0o644),
    ConfigurationFile("systemd/mpanel-postfix.service", 0o644),
)
# Only the process that asks the database can read its password: libpq reads it from this file.
PGPASS = ConfigurationFile("dovecot/pgpass", 0o600, DOVECOT)
BEFORE = ConfigurationFile("dovecot/before.sieve", 0o644)
ROLE_MAP = ConfigurationFile(f"postfix/maps/{ROLES}.cf", 0o640)
REDIRECTED = ConfigurationFile("postfix/redirected.regexp", 0o644)
NOTES_MAP = ConfigurationFile(f"postfix/maps/{NOTES}.cf", 0o640)
SPAM = (
    ConfigurationFile("rspamd/rspamd.conf", 0o644),
    ConfigurationFile("systemd/mpanel-rspamd.service", 0o644),
)


def files_of(configuration: Configuration) -> tuple[ConfigurationFile, ...]:
    """The files that the release of Dovecot, Postfix and the spam filter read."""
    secrets = (PGPASS,) if configuration.dovecot == "2.4" else ()
    filters = (BEFORE, NOTES_MAP, REDIRECTED) if configuration.sieve_port else ()
    roles = (ROLE_MAP,) if configuration.postmaster else ()
    return (*FILES, *secrets, *filters, *roles, *(SPAM if configuration.spam else ()))


def installed_dovecot() -> str:
    """The release of the Dovecot of this machine, e.g. "2.4"; empty where there is none."""
    try:
        said = subprocess.run(["/usr/sbin/dovecot", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    found = re.match(rb"(\d+\.\d+)\.", said.stdout)
    return found[1].decode() if found else ""


def write(configuration: Configuration) -> Iterator[tuple[str, bool]]:
    """Write every file that is not as it should be; each path with whether it was written.

    A file appears whole or not at all. Where Dovecot and Postfix are installed, each can read its
    files. A file that only another release reads is removed.
    """
    wanted = files_of(configuration)
    for file in wanted:
        text = render(configuration, file.path)
        yield file.path, _write(configuration.folder / file.path, text, file)
    for file in {PGPASS, BEFORE, ROLE_MAP, NOTES_MAP, REDIRECTED, *SPAM} - set(wanted):
        (configuration.folder / file.path).unlink(missing_ok=True)


def compile_filters(configuration: Configuration) -> None:
    """Have Dovecot compile the script that runs before those of mailboxes, which LMTP may not.

    Raises `Invalid` where its programs are not installed or do not take the script.
    """
    if not (SIEVEC.exists() and MANAGESIEVE.exists()):
        raise Invalid(
            "dovecot-sieve and dovecot-managesieved are not installed here. Install them, or set "
            "MAILSERVER_SIEVE_PORT=0 to do without filters."
        )
    folder = configuration.folder / "dovecot"
    command = [
        str(SIEVEC),
        "-c",
        str(folder / "dovecot.conf"),
        str(configuration.folder / BEFORE.path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Invalid(f"Dovecot does not take its filter: {done.stderr.strip()}")


def render(configuration: Configuration, path: str) -> str:
    """One file's text."""
    engine = Engine(dirs=[str(TEMPLATES)], autoescape=False, string_if_invalid=_UNSET)
    own = f"dovecot-{configuration.dovecot}/"
    template = path if (TEMPLATES / path).exists() else re.sub(r"^dovecot/", own, path)
    text = engine.get_template(template).render(Context(_values(configuration), autoescape=False))
    assert _UNSET not in text, f"{path} names a value that nobody gives"
    return re.sub(r"\n{2,}", "\n" if path.endswith("master.cf") else "\n\n", text).strip() + "\n"


def refuse_foreign_addresses(configuration: Configuration) -> None:
    """Raise `Invalid` for an address to listen on that is named twice, or not this machine's."""
    for address in configuration.listen:
        if configuration.listen.count(address) > 1:
            raise Invalid(f"{address} is named twice.")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.bind((address, 0))
        except OSError:
            raise Invalid(
                f"{address} is not an address of this machine, so neither server would start."
            ) from None


def prepare_folders(configuration: Configuration) -> None:
    """Make the folders in which mail, queue, state and logs lie. Needs root and Postfix."""
    try:
        postfix = pwd.getpwnam(POSTFIX).pw_uid
    except KeyError:
        raise Invalid("Postfix is not installed here. Use --files-only to write files.") from None
    if configuration.spam and not _user_id(RSPAMD):
        raise Invalid("rspamd is not installed here. Install it, or leave --spam out.")
    own = configuration.vmail_id
    for path, owner, mode in (
        (configuration.vmail, own, 0o700),
        (configuration.state, 0, 0o755),
        (configuration.state / "dovecot", 0, 0o755),
        (configuration.state / "postfix", postfix, 0o700),
        (configuration.state / "spool", 0, 0o755),
        (configuration.log, 0, 0o755),
        *((configuration.state / "rspamd", _user_id(RSPAMD), 0o755),) * bool(configuration.spam),
    ):
        if not path.exists():
            path.mkdir(parents=True, mode=mode)
            path.chmod(mode)
            group = own if owner == own else -1
            os.chown(path, owner, group)


def _values(configuration: Configuration) -> dict[str, object]:
    """What the templates name. Every value was checked by `Configuration`."""
    values = {name: getattr(configuration, name) for name in configuration.__dataclass_fields__}
    listen = configuration.listen
    folder = configuration.folder
    return values | {
        "spool": configuration.state / "spool",
        "dovecot_listen": ", ".join(listen) or "*, ::",
        "postfix_interfaces": ", ".join(listen) or "all",
        "postfix_protocols": "ipv4" if listen and not any(":" in a for a in listen) else "all",
        # Before a port in master.cf; a port alone listens on all of inet_interfaces.
        "listens": [f"{_bracketed(address)}:" for address in listen] or [""],
        "maps": {
            name: f"proxy:pgsql:{folder}/postfix/maps/{name}.cf" for name in _maps(configuration)
        },
        "policy_default": "DUNNO"
        if configuration.policy_fails == "open"
        else "451 4.3.5 Nobody can tell whether this may be sent, please try again later",
        # Brackets tell Postfix not to look for an MX.
        "signer": re.sub(r"^\[?(.*?)\]?:(\d+)$", r"[\1]:\2", configuration.signer),
        "scripts_name": SCRIPTS,
        "host_pattern": re.escape(configuration.host),
        "milters": ", ".join(_milters(configuration)),
        "dns": ", ".join(f'"{resolver}"' for resolver in configuration.resolvers),
        "own_domains": configuration.folder / OWN_DOMAINS,
        # A message grows on its way in, by headers.
        "grace_mb": math.ceil(configuration.message_size / 2**20) + 1,
        # The MX host comes last.
        "own_name": (configuration.host, *configuration.own_names)[-1],
        "most_redirects": MOST_REDIRECTS,
        "admin_commands": configuration.admin_commands,
        "admin_port": configuration.admin_port,
        "admin_address": "127.0.0.1" if configuration.admin_is_local else "*",
        "admin_tls": "no" if configuration.admin_is_local else "yes",
    }


def _maps(configuration: Configuration) -> tuple[str, ...]:
    roles = (ROLES,) if configuration.postmaster else ()
    return (*MAPS, *roles, *((NOTES,) if configuration.sieve_port else ()))


def _milters(configuration: Configuration) -> list[str]:
    """Each with what happens while it is away: the sender comes again, nothing is lost."""
    addresses = list(configuration.milters)
    if configuration.spam:
        # Not over TCP, where each message waits some 40 ms for acknowledgements (wire: 16 ms less).
        addresses.append(f"unix:{configuration.state}/rspamd/milter.sock")
    return [f"{{ {address}, default_action=tempfail }}" for address in addresses]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _write(path: Path, text: str, file: ConfigurationFile) -> bool:
    is_root = os.getuid() == 0
    owner = _user_id(file.owner) if is_root and file.owner else 0
    group = _group_id(POSTFIX) if is_root and file.mode & 0o040 else 0
    if path.exists():
        now = path.stat()
        is_ours = not is_root or (now.st_uid, now.st_gid) == (owner, group)
        if is_ours and now.st_mode & 0o777 == file.mode and path.read_text() == text:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    if is_root:
        os.chown(written.name, owner, group)
    Path(written.name).chmod(file.mode)
    Path(written.name).replace(path)
    return True


def _user_id(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return 0


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return 0
