"""`manage.py onboard DOMAIN`: the whole main job in the terminal, resumable, with progress."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dnszones.discovery.selectors import records_found
from dnszones.models import ZoneDiscovery
from dnszones.plans import Plan
from dnszones.records import value_of
from domains.models import Domain
from domains.names import clean_domain
from domains.registrars import REGISTRARS, nameserver_instructions
from mailboxes.naming import CONVENTIONS, MAX_ADDRESSES
from mpanel.core.actor import Actor
from mpanel.core.addresses import clean_address
from mpanel.core.errors import MPanelError
from tenants.models import User
from tenants.selectors import actor_for
from wizard.credentialsfile import CredentialsFile
from wizard.onboarding import CannotGoOn, Onboarding, OnboardingRequest
from wizard.terminal import Terminal

STEPS = ("Nameservers", "DNS records", "Propagation", "Inboxes")


def number_of_inboxes(text: str) -> int:
    """The value of `--inboxes`."""
    if not (text.isdecimal() and 1 <= int(text) <= MAX_ADDRESSES):
        raise argparse.ArgumentTypeError(f"“{text}” is not a number from 1 to {MAX_ADDRESSES:,}")
    return int(text)


def seconds(text: str) -> float:
    """The value of `--timeout`."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        raise argparse.ArgumentTypeError(f"“{text}” is not a number of seconds above 0")
    return found


class Command(BaseCommand):
    """Connects a domain, writes its records, provisions inboxes and writes their CSV."""

    help = "Take a domain to working inboxes, and write their credentials to a CSV file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument(
            "--inboxes",
            type=number_of_inboxes,
            default=50,
            metavar="N",
            help="how many the domain has in the end, with those that it has; 50",
        )
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
        parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="for each step")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.onboard(**options)
        except (CannotGoOn, MPanelError, OSError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. What runs goes on; run this again to resume.") from None

    def onboard(self, **options: Any) -> None:
        self.takes_over: bool = options["take_over"]
        name = clean_domain(options["domain"], extra_suffixes=settings.EXTRA_SUFFIXES)
        actor = find_actor(options["account"] or settings.ONBOARD_ACCOUNT)
        file = CredentialsFile(options["csv"] or Path(f"{name.ascii}-inboxes.csv"))
        request = OnboardingRequest(
            domain=name.ascii,
            inboxes=options["inboxes"],
            naming=options["naming"],
            dmarc=options["dmarc"],
            registrar=options["registrar"],
            replace=options["replace"],
            confirmation=options["confirm"],
            timeout=options["timeout"],
        )
        with Terminal(STEPS) as self.terminal:
            batches = Onboarding(
                actor=actor,
                request=request,
                tell=self.terminal.tell,
                say=self.terminal.say,
                show_nameservers=self.show_nameservers,
                show_plan=self.show_plan,
                ask_to_take_over=self.ask_to_take_over,
            ).run()
        self.terminal.say(file.write(actor, batches))

    def show_nameservers(self, domain: Domain) -> None:
        told = nameserver_instructions(
            domain.registrar, domain.shown_nameservers, dns_provider=domain.dns_provider_name
        )
        at = "your registrar" if domain.registrar == "other" else told.provider_name
        self.terminal.say(
            f"Set these nameservers for {domain} at {at} "
            f"(usually {told.estimated_propagation_time}):"
        )
        for nameserver in told.nameservers:
            self.terminal.say(f"  {nameserver}")

    def ask_to_take_over(self, row: ZoneDiscovery) -> bool:
        """Show what the domain publishes now, and ask; without a terminal the option decides."""
        self.terminal.say("What the domain publishes now:")
        for one in records_found(row):
            what = f"{one.record.type} {one.record.name}"
            self.terminal.say_record(what, value_of(one.record), note=one.source)
        for note in [*(why for _, _, why in row.left_out), *row.notes]:
            self.terminal.say(note)
        if self.takes_over or not sys.stdin.isatty():
            return self.takes_over
        return self.terminal.ask("Write these into the new zone? [y/N] ") in {"y", "yes"}

    def show_plan(self, plan: Plan) -> None:
        self.terminal.say("DNS plan:")
        for change in plan.changes:
            record = change.after or change.before[0].data
            what = f"{change.action} {record.type} {record.name}"
            self.terminal.say_record(what, value_of(record))


def find_actor(email: str) -> Actor:
    """Whom to act for. Raises `CommandError` when that is not clear."""
    users = User.objects.filter(is_active=True)
    try:
        wanted = clean_address(email) if email else ""
    except MPanelError as error:
        raise CommandError(f"--account {email}: {error.message}") from error
    found = list(users.filter(email=wanted) if email else users[:2])
    if len(found) != 1:
        raise CommandError(
            f"--account: There is no account {email}."
            if email
            else "Say whose domain it becomes with --account EMAIL."
        )
    actor = actor_for(found[0], address="")
    if actor is None:
        raise CommandError(f"--account: The account {found[0]} is suspended.")
    return actor
