"""`manage.py demo`: an operator whose name is in the README is for the sandbox alone."""

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from tenants.models import User

pytestmark = pytest.mark.django_db


def test_the_demo_account_is_no_operator_of_a_real_installation(settings: LazySettings) -> None:
    settings.SANDBOX = False
    with pytest.raises(CommandError, match="SANDBOX"):
        call_command("demo")
    assert not User.objects.exists()


def test_the_demo_account_is_an_operator_of_the_sandbox() -> None:
    call_command("demo")
    call_command("demo")
    assert User.objects.get().is_operator
