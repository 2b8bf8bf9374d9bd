"""`manage.py operator`: who runs this installation."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mpanel.core.addresses import clean_address
from mpanel.core.errors import Conflict, Invalid
from tenants.models import User
from tenants.services.operators import make_operator, unmake_operator


class Command(BaseCommand):
    help = "Make somebody who has an account an operator, or no longer. Twice is harmless."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the address with which they sign in")
        parser.add_argument("--remove", action="store_true", help="take it back")

    def handle(self, *args: Any, email: str, remove: bool, **options: Any) -> None:
        try:
            user = User.objects.filter(email=clean_address(email)).first()
        except Invalid as error:
            raise CommandError(error.message) from None
        if user is None:
            raise CommandError(f"Nobody signed up as {email} yet. Sign in once, then try again.")
        try:
            (unmake_operator if remove else make_operator)(user)
        except Conflict as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{user} is {'no operator' if remove else 'an operator'}.")
