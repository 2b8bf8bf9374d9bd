"""`manage.py mailserver`: configuring our own mail servers, and the mail that they keep."""

import os
import secrets
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from mailservers import files, owndomains, purge, role, rotation, servers
from mailservers.configuration import DOVECOTS, FORGED_OWN, SPAM_FILTERS, Configuration, Database
from mailservers.models import MailServer
from mailservers.shared_keys import key_of
from mpanel.core.errors import MPanelError


class Command(BaseCommand):
    help = "Configure Dovecot and Postfix, and keep the rows of mail servers."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        _configure_arguments(
            actions.add_parser("configure", help="write Dovecot's and Postfix' files")
        )
        _role_arguments(
            actions.add_parser("role", help="make the database's role that they read by")
        )
        for name, text in (("add", "enter a further mail server"), ("change", "change its row")):
            _server_arguments(actions.add_parser(name, help=text), required=name == "add")
        actions.add_parser("list", help="show all mail servers")
        domains = actions.add_parser("domains", help="write the customers' domains for rspamd")
        domains.add_argument("--dir", type=Path, required=True, help="as for configure")
        domains.add_argument("--follow", action="store_true", help="go on as domains come and go")
        purging = actions.add_parser("purge", help="remove the mail of mailboxes deleted long ago")
        purging.add_argument("--dir", type=Path, required=True, help="where mail lies: /var/vmail")
        purging.add_argument("--server", default=MailServer.HOUSE, help="whose mail lies there")
        rotating = actions.add_parser("rotate", help="rotate the logs, losing no bounces")
        rotating.add_argument("--dir", type=Path, required=True, help="as given to configure")
        rotating.add_argument("--server", default=MailServer.HOUSE, help="whose logs they are")
        rotating.add_argument("--group", default="", help="who may read Postfix' log; as before")
        rotating.add_argument("--keep", type=int, default=30, help="old files of each: 30")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        work: dict[str, Callable[[dict[str, Any]], Iterable[str]]] = {
            "configure": configure,
            "role": make_role,
            "add": add,
            "change": change,
            "list": list_servers,
            "domains": write_domains,
            "purge": purge_mail,
            "rotate": rotate_logs,
        }
        try:
            for line in work[action](options):
                self.stdout.write(line)
        except MPanelError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'The files'}: {error.strerror}") from error


def configure(options: dict[str, Any]) -> Iterable[str]:
    """Write what is not as it should be, and say so."""
    configuration = _configuration(options)
    if not options["files_only"]:
        files.refuse_foreign_addresses(configuration)
    if os.getuid() == 0 and not options["files_only"]:
        files.prepare_folders(configuration)
    changed = [path for path, is_new in files.write(configuration) if is_new]
    if configuration.sieve_port and not options["files_only"]:
        files.compile_filters(configuration)
    if configuration.postmaster and not servers.receives(
        configuration.postmaster, configuration.server
    ):
        yield (
            f"Mail to postmaster and abuse is refused until {configuration.postmaster} is a "
            "mailbox on this server."
        )
    if configuration.spam:
        owndomains.write_own_domains(configuration.folder)
    yield from (f"wrote {configuration.folder / path}" for path in changed)
    if changed:
        names = ["Dovecot", *(["rspamd"] if configuration.spam else []), "Postfix"]
        yield f"Reload {', '.join(names[:-1])} and {names[-1]} if they run."
    else:
        yield "Nothing has changed."


def make_role(options: dict[str, Any]) -> Iterable[str]:
    """Make or mend the role; a password that was made is the only line on standard output."""
    password = ""
    if options["make_password"]:
        password = secrets.token_hex(24)  # nothing in it needs quoting
    elif options["password_stdin"]:
        password = sys.stdin.readline().strip()
    is_new = role.make_role(options["name"], password)
    print(
        f"The role {options['name']} {'is there' if is_new else 'was there'}"
        " and reads the mail views only.",
        file=sys.stderr,
    )
    if role.may_create(options["name"]):
        print(
            "This database lets everybody make tables. As its owner, run:"
            " REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
            file=sys.stderr,
        )
    if options["make_password"]:
        yield password


def add(options: dict[str, Any]) -> Iterable[str]:
    key = sys.stdin.readline().strip() if options["admin_key_stdin"] else ""
    values = _server_values(options)
    values.setdefault("mx_host", values["host"])
    server = servers.add_server(options["slug"], values, admin_key=key)
    yield f"Added {server.slug}, {server.region_label}."


def change(options: dict[str, Any]) -> Iterable[str]:
    key = sys.stdin.readline().strip() if options["admin_key_stdin"] else None
    changed = servers.change_server(options["slug"], _server_values(options), admin_key=key)
    yield f"Changed {', '.join(changed)}." if changed else "Nothing has changed."


def list_servers(options: dict[str, Any]) -> Iterable[str]:
    servers.get_server(MailServer.HOUSE)
    for server in MailServer.objects.all():
        number = server.domains.count()
        yield (
            f"{server.slug}: {server.host} ({server.kind}), {server.region_label}, "
            f"{number} {'domain' if number == 1 else 'domains'}, "
            f"{'open' if server.is_open else 'closed'} to new ones"
        )


def write_domains(options: dict[str, Any]) -> Iterable[str]:
    if options["follow"]:
        owndomains.follow(options["dir"].absolute())
    number = owndomains.write_own_domains(options["dir"].absolute())
    yield "Nothing has changed." if number is None else f"Wrote {number} domains."


def purge_mail(options: dict[str, Any]) -> Iterable[str]:
    done = purge.purge(options["dir"], server=options["server"])
    yield from (f"removed the mail of {address}" for address in done.mailboxes)
    yield from (f"removed {mailbox_id}, of which nothing is known" for mailbox_id in done.orphans)
    if done.waiting:
        yield f"{done.waiting} folders without a mailbox wait for their time."
    if done.failures:
        raise CommandError("Not removed:\n" + "\n".join(done.failures))
    if not (done.mailboxes or done.orphans):
        yield "There is nothing to remove."


def rotate_logs(options: dict[str, Any]) -> Iterable[str]:
    return rotation.rotate(
        options["dir"], server=options["server"], group=options["group"], keep=options["keep"]
    )


def _configuration(options: dict[str, Any]) -> Configuration:
    server = servers.get_server(options["server"])
    if server.kind != "mailserver":
        raise CommandError(f"{server.slug} is no Dovecot and Postfix: it is {server.kind}.")
    folder: Path = options["dir"].absolute()
    chosen = {
        name: options[name]
        for name in (
            *("smtp_port", "submissions_port", "vmail", "vmail_id", "state", "run", "log"),
            *("failure_delay", "login_processes"),
        )
        if options[name] is not None
    }
    return Configuration(
        server=server.slug,
        host=server.host,
        folder=folder,
        certificate=options["certificate"],
        private_key=options["private_key"],
        database=_database(options, folder),
        dovecot=_dovecot(options),
        listen=tuple(options["listen"] or ()),
        submission_port=options["submission_port"] or server.submission_port,
        imaps_port=options["imaps_port"] or server.imaps_port,
        policy="" if options["no_policy"] else settings.MAILPOLICY_ADDRESS,
        policy_fails=settings.MAILPOLICY_FAILS,
        login_policy="" if options["no_login_policy"] else settings.LOGINPOLICY_ADDRESS,
        login_policy_key=key_of("key"),
        login_policy_nonce=key_of("nonce"),
        authors="" if options["no_signer"] else settings.MAILSIGNER_AUTHORS,
        signer="" if options["no_signer"] else settings.MAILSIGNER_ADDRESS,
        next_hop="" if options["no_signer"] else settings.MAILSIGNER_NEXT_HOP,
        outside=not options["no_outside"],
        message_size=settings.MAIL_SIZE_LIMIT,
        admin_url=server.admin_url,
        admin_key=server.admin_key(),
        own_names=tuple(dict.fromkeys((server.host, server.mx_host))),
        postmaster=settings.MAILSERVER_POSTMASTER
        if options["postmaster"] is None
        else options["postmaster"],
        sieve_port=settings.MAILSERVER_SIEVE_PORT,
        sieve_next_hop=settings.MAILSIEVE_NEXT_HOP,
        spam=options["spam"] or "",
        resolvers=tuple(options["resolver"] or ()),
        forged_own=options["forged_own"],
        milters=tuple(settings.MAIL_MILTERS),
        **chosen,
    )


def _dovecot(options: dict[str, Any]) -> str:
    """The release that will read the files: as it was told, else the one that is installed."""
    known = " or ".join(f"--dovecot {release}" for release in DOVECOTS)
    if options["dovecot"]:
        return str(options["dovecot"])
    if options["files_only"]:
        raise CommandError(f"Say which Dovecot will read the files: {known}.")
    if not (installed := files.installed_dovecot()):
        raise CommandError(f"Dovecot is not installed here. Install it, or say {known}.")
    return installed


def _database(options: dict[str, Any], folder: Path) -> Database:
    """Where the views are. Without a password on standard input, the one written before stays."""
    if connection.vendor != "postgresql":
        raise CommandError("The mail server reads PostgreSQL. Set DATABASE_URL to a server of it.")
    ours = connection.settings_dict
    if options["password_stdin"]:
        password = sys.stdin.readline().strip()
    else:
        password = _written_password(folder / "postfix/maps/domains.cf")
    return Database(
        host=options["database_host"] or ours["HOST"] or "/var/run/postgresql",
        port=int(options["database_port"] or ours["PORT"] or 5432),
        name=ours["NAME"],
        user=options["role"],
        password=password,
    )


def _written_password(path: Path) -> str:
    if path.exists():
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" = ")
            if name == "password":
                return value
    raise CommandError(
        "Give the role's password: manage.py mailserver role --make-password"
        " | manage.py mailserver configure --password-stdin ..."
    )


def _server_values(options: dict[str, Any]) -> dict[str, Any]:
    """The columns that were named on the command line."""
    values = {name: options[name] for name in servers.CHANGEABLE if options.get(name) is not None}
    if "region_label" in values:
        values.setdefault("label", values["region_label"])
    return values


def _configure_arguments(parser: CommandParser) -> None:
    add = parser.add_argument
    add("--dir", type=Path, required=True, help="where the files go: /etc/mpanel-mail")
    add("--server", default=MailServer.HOUSE, help="the slug of its row")
    add("--certificate", type=Path, required=True, help="PEM with the whole chain")
    add("--private-key", type=Path, required=True)
    add("--listen", action="append", metavar="ADDRESS", help="repeat it for more; all by default")
    add("--smtp-port", type=int, help="25")
    add("--submission-port", type=int, help="as the row says")
    add("--submissions-port", type=int, help="465; 0 for none")
    add("--imaps-port", type=int, help="as the row says")
    add("--vmail", type=Path, help="where mail lies: /var/vmail")
    add("--vmail-id", type=int, help="user and group of the mail: 5000")
    add("--state", type=Path, help="the queue and what servers remember: /var/lib/mpanel-mail")
    add("--run", type=Path, default=settings.MAILSERVER_RUN_DIR, help="sockets")
    add("--log", type=Path, help="logs: /var/log/mpanel-mail")
    add("--failure-delay", type=int, metavar="SECONDS", help="after a wrong password: 2")
    add("--login-processes", type=int, help="IMAP logins served side by side: 2")
    add("--role", default=settings.MAILSERVER_ROLE, help="the database's role")
    add("--password-stdin", action="store_true", help="read the role's password")
    add("--database-host", help="as DATABASE_URL says")
    add("--database-port", type=int)
    add("--no-policy", action="store_true", help="send without asking for limits")
    add("--no-login-policy", action="store_true", help="let everybody guess passwords")
    add("--no-signer", action="store_true", help="send without DKIM signatures")
    add("--no-outside", action="store_true", help="refuse mail that would leave this server")
    add("--postmaster", metavar="ADDRESS", help="as MAILSERVER_POSTMASTER says")
    add("--spam", choices=SPAM_FILTERS, help="look at mail from outside; none by default")
    add("--resolver", action="append", metavar="ADDRESS:PORT", help="the filter's; the system's")
    add("--forged-own", choices=FORGED_OWN, default=FORGED_OWN[0], help="mail of own domains")
    add("--dovecot", choices=DOVECOTS, help="its release; the installed one by default")
    add("--files-only", action="store_true", help="make no folders; for another machine")


def _role_arguments(parser: CommandParser) -> None:
    parser.add_argument("--name", default=settings.MAILSERVER_ROLE)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--password-stdin", action="store_true", help="read its password")
    choice.add_argument("--make-password", action="store_true", help="make one and print it")


def _server_arguments(parser: CommandParser, *, required: bool) -> None:
    add = parser.add_argument
    add("slug")
    add("--host", required=required, help="as mail programs reach it")
    add("--region", required=required, help="its region's slug")
    add("--region-label", required=required, help="the region as customers read it")
    add("--label", help="the server as operators read it")
    add("--kind", help="mailserver (Dovecot and Postfix) or kumomta")
    add("--submission-port", type=int)
    add("--imaps-port", type=int)
    add("--mx-host", help="where other servers bring mail; the host by default")
    add("--spf-name", required=required, help="what customers' SPF records include")
    add("--ca-file", help="CA of its certificate; empty for the system's")
    add("--addresses", nargs="*", metavar="ADDRESS", help="IP addresses from which it sends")
    add("--admin-url", help="its own HTTP interface")
    add("--admin-key-stdin", action="store_true", help="read the key of that interface")
    add("--directory", help="where a server that reads files finds them")
    opening = parser.add_mutually_exclusive_group()
    opening.add_argument("--open", action="store_true", default=None, dest="is_open")
    opening.add_argument("--closed", action="store_false", default=None, dest="is_open")
