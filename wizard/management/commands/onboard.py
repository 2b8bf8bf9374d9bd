"""`manage.py onboard DOMAIN`: the whole main job in the terminal, resumable, with progress bars."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from dnszones.changes import ChangePlan as Plan
from dnszones.discovery.selectors import records_found
from dnszones.models import ZoneDiscovery
from dnszones.records import value_of
from domains.models import Domain
from domains.names import clean_domain
from domains.registrars import REGISTRARS, nameserver_instructions
from mailboxes.csvfiles import CredentialRow, credentials_csv
from mailboxes.models import Batch
from mailboxes.naming import CONVENTIONS
from mailboxes.services import AlreadyRevealed, reveal_batch
from mailboxes.vendors import mail_provider_of
from mpanel.core.actor import Actor
from mpanel.core.addresses import clean_address
from mpanel.core.errors import MPanelError
from tenants.models import User
from tenants.selectors import actor_for
from wizard.onboarding import CannotGoOn, Onboarding, Progress, Wish

STEPS = ("Nameservers", "DNS records", "Propagation", "Inboxes")


class Command(BaseCommand):
    """Connects a domain, writes its records, provisions inboxes and writes their CSV."""

    help = "Take a domain to working inboxes, and write their credentials to a CSV file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("--inboxes", type=int, default=50, metavar="N", help="how many; 50")
        conventions = [key for key in CONVENTIONS if key != "custom"]
        parser.add_argument("--naming", choices=conventions, default="firstname.lastname")
        parser.add_argument("--account", metavar="EMAIL", help="whose domain it becomes")
        parser.add_argument(
            "--csv", type=Path, metavar="FILE", help="where to write; DOMAIN-inboxes.csv"
        )
        parser.add_argument("--registrar", choices=list(REGISTRARS), default="other")
        parser.add_argument("--dmarc", choices=["none", "quarantine", "reject"], default="none")
        parser.add_argument(
            "--take-over",
            action="store_true",
            help="copy what the domain publishes now into its zone, without asking",
        )
        parser.add_argument("--replace", action="store_true", help="overwrite conflicting records")
        parser.add_argument(
            "--confirm",
            default="",
            metavar="DIGEST",
            help="agree to what a refused plan takes away",
        )
        parser.add_argument("--timeout", type=float, metavar="SECONDS", help="for each step")

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = Console(highlight=False)
        try:
            name = clean_domain(options["domain"], extra_suffixes=settings.EXTRA_SUFFIXES)
            actor = find_actor(options["account"] or settings.ONBOARD_ACCOUNT)
        except MPanelError as error:
            raise CommandError(error.message) from error
        target: Path = options["csv"] or Path(f"{name.ascii}-inboxes.csv")
        if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
            raise CommandError(f"The folder {target.parent} is not there, or not writable.")
        wish = Wish(
            domain=name.ascii,
            inboxes=options["inboxes"],
            naming=options["naming"],
            dmarc=options["dmarc"],
            registrar=options["registrar"],
            replace=options["replace"],
            confirmation=options["confirm"],
            timeout=options["timeout"],
        )
        self.takes_over: bool = options["take_over"]
        try:
            batch = self.run_with_bars(actor, wish)
            self.write_csv(actor, batch, target)
        except (CannotGoOn, MPanelError, OSError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. What runs goes on; run this again to resume.") from None

    def run_with_bars(self, actor: Actor, wish: Wish) -> Batch:
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[line]}"),
        )
        with Bars(*columns, console=self.console) as bars:
            tasks = {step: bars.add_task(step, total=100, start=False, line="") for step in STEPS}

            def tell(progress: Progress) -> None:
                task = tasks[progress.step]
                bars.start_task(task)
                bars.update(task, completed=progress.percent, line=progress.line[:100])
                if progress.percent == 100:
                    bars.stop_task(task)

            return Onboarding(
                actor=actor,
                wish=wish,
                tell=tell,
                show_nameservers=self.show_nameservers,
                show_plan=self.show_plan,
                ask_to_take_over=self.ask_to_take_over,
            ).run()

    def show_nameservers(self, domain: Domain) -> None:
        told = nameserver_instructions(
            domain.registrar, domain.shown_nameservers, dns_provider=domain.dns_provider_name
        )
        at = "your registrar" if domain.registrar == "other" else told.provider_name
        self.console.print(
            f"Set these nameservers for {domain} at {at} "
            f"(usually {told.estimated_propagation_time}):"
        )
        for nameserver in told.nameservers:
            self.console.print(f"  {nameserver}")

    def ask_to_take_over(self, row: ZoneDiscovery) -> bool:
        """Show what the domain publishes now, and ask; without a terminal the option decides."""
        title = "What the domain publishes now"
        table = Table("Record", "Value", "Found by", title=title, title_justify="left")
        for one in records_found(row):
            name = f"{one.record.type} {one.record.name}"
            table.add_row(name, value_of(one.record)[:60], one.source)
        self.console.print(table)
        for note in [*(why for _, _, why in row.left_out), *row.notes]:
            self.console.print(note)
        if self.takes_over or not sys.stdin.isatty():
            return self.takes_over
        answer = self.console.input("Write these into the new zone? [y/N] ")
        return answer.strip().lower() in {"y", "yes"}

    def show_plan(self, plan: Plan) -> None:
        table = Table("Change", "Record", "Value", title="DNS plan", title_justify="left")
        for change in plan.changes:
            record = change.after or change.before[0].data
            table.add_row(change.action, f"{record.type} {record.name}", value_of(record)[:60])
        self.console.print(table)

    def write_csv(self, actor: Actor, batch: Batch, target: Path) -> None:
        """Write the credentials, readable by this user only. A former run's file stays."""
        partial = target.with_name(f".{target.name}.part")
        # Opened first: a disk that takes no file must not use up the one reveal.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            try:
                credentials = reveal_batch(actor, batch.pk)
            except AlreadyRevealed:
                partial.unlink()
                self.tell_of_former_file(target)
                return
            login = mail_provider_of(credentials[0].mailbox).login_settings()
            rows = (CredentialRow(one.mailbox.address, login, one.password) for one in credentials)
            file.write(credentials_csv(rows, hidden=False))
        partial.replace(target)
        self.console.print(f"{len(credentials)} proved inboxes: {target}")

    def tell_of_former_file(self, target: Path) -> None:
        """The credentials were taken before: here, if the file is still there."""
        if not target.exists():
            raise CannotGoOn(
                "The inboxes are ready, but their credentials were revealed before and are not in "
                f"{target}. Reveal single passwords in the panel."
            )
        self.console.print(f"Everything is done already. The credentials are in {target}.")


def find_actor(email: str) -> Actor:
    """Whom to act for. Raises `CommandError` when that is not clear."""
    users = User.objects.filter(is_active=True)
    found = list(users.filter(email=clean_address(email)) if email else users[:2])
    if len(found) != 1:
        raise CommandError(
            f"There is no account {email}." if email else "Say whose with --account EMAIL."
        )
    actor = actor_for(found[0], address="")
    if actor is None:
        raise CommandError(f"The account {found[0]} is suspended.")
    return actor
