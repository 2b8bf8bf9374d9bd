"""Fixtures that more than one room's tests use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from sandbox.management.commands.sandbox import database_url
from tests.cast import Person, helper_of, owner
from tests.sandboxes import RunningSandbox


@pytest.fixture(scope="session")
def sandbox_process(django_db_setup: None) -> Iterator[RunningSandbox]:
    """The sandbox at the addresses that the settings name, reading the suite's database."""
    running = RunningSandbox(
        Path(settings.SANDBOX_DIR),
        port=settings.SANDBOX_PORT,
        database_url=database_url(connection.settings_dict),
    )
    with running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: RunningSandbox) -> RunningSandbox:
    """The sandbox, as new: no zones, no faults, every server up."""
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def ada(db: None) -> Person:
    """Owns a tenant."""
    return owner("ada")


@pytest.fixture
def bo(ada: Person) -> Person:
    """Is a member of Ada's tenant."""
    return helper_of(ada, "bo")


@pytest.fixture
def cy(db: None) -> Person:
    """Owns another tenant: a stranger."""
    return owner("cy")
