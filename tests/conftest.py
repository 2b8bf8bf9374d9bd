"""Fixtures that more than one room's tests use."""

import gc
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import LazySettings, settings
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis
from pytest_django import DjangoDbBlocker
from xdist.remote import Producer

from mpanel.core.api import waiting
from sandbox.management.commands.sandbox import database_url
from tests.cast import Person, helper_of, owner
from tests.dovecot_postfix import PrivateMailServer
from tests.keypool import keys
from tests.placing import Scheduling, order, place
from tests.powerdns import PrivatePowerDNS
from tests.sandboxes import RunningSandbox

# How long an example takes tells of the machine, not of the product.
hypothesis.register_profile("mpanel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.load_profile("mpanel")


def pytest_collection() -> None:
    """What is imported and collected stays, so the garbage collector need not look at it."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Place every test: before `-m` chooses among them, and after pytest-django sorts them."""
    for item in items:
        place(item)
    yield
    items.sort(key=order)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """`--dist loadgroup` with our groups."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session", autouse=True)
def pooled_keys() -> Iterator[None]:
    """RSA keys come from a pool: see `tests.keypool`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rsa, "generate_private_key", keys)
        yield


def pytest_runtest_setup() -> None:
    keys.begin_test()


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


@pytest.fixture(scope="session")
def powerdns_process(sandbox_process: RunningSandbox) -> Iterator[PrivatePowerDNS]:
    """PowerDNS, where the sandbox's DNS says that its nameservers are."""
    with PrivatePowerDNS(dns_port=sandbox_process.dns_port) as running:
        yield running


@pytest.fixture
def powerdns(
    powerdns_process: PrivatePowerDNS, sandbox: RunningSandbox, settings: LazySettings
) -> PrivatePowerDNS:
    """The host's PowerDNS without any zone. Mark such tests with `pytest.mark.powerdns`."""
    powerdns_process.reset()
    for name, value in powerdns_process.settings.items():
        setattr(settings, name, value)
    return powerdns_process


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch) -> str:
    """A `Prefer` header that waits for as long as a busy machine needs."""
    monkeypatch.setattr(waiting, "LONGEST", 600)
    return "wait=600"


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


@pytest.fixture(scope="session")
def mail_server_process(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[PrivateMailServer]:
    """Dovecot and Postfix that read the suite's database."""
    if connection.vendor != "postgresql":
        pytest.skip("Dovecot and Postfix read PostgreSQL: the pass with DATABASE_URL runs this.")
    with django_db_blocker.unblock():
        running = PrivateMailServer()
        running.make_role()
        running.configure()
    with running:
        yield running
    with django_db_blocker.unblock():
        running.drop_role()


@pytest.fixture
def mail_server(
    mail_server_process: PrivateMailServer, settings: LazySettings
) -> PrivateMailServer:
    """The house's mail server for real. Mark such tests with `pytest.mark.mailserver`."""
    for name, value in mail_server_process.settings.items():
        setattr(settings, name, value)
    mail_server_process.begin_test()
    return mail_server_process
