"""Keeping the files of our KumoMTA servers as the rows say: limits, refusals, signing keys.

Logins are written by the states of each mailbox; what changes with the day, the plan or a key's
rotation is swept.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.template import Context, Engine

from dnszones.models import DkimKey
from mailservers.configuration import check_server
from mailservers.files import TEMPLATES
from mailservers.models import MailServer
from mailservers.providers.kumomta import KumoMTA, SenderStatus, SigningKeyFile, write_whole
from mailservers.vendors import kumomta
from mpanel.core.errors import Invalid, ProviderError
from mpanel.core.secrets import Unsealable

logger = logging.getLogger(__name__)

_PLAIN = re.compile(r"[A-Za-z0-9._:/@+\[\]-]+")


# What each mailbox on a server may send now.
ReadSenderStatuses = Callable[[MailServer], list[SenderStatus]]

_sender_statuses: list[ReadSenderStatuses] = []


def register_sender_statuses(read: ReadSenderStatuses) -> None:
    """Have servers told what `read` answers; the app above that knows the limits registers it."""
    _sender_statuses.append(read)


def sweep() -> None:
    """Bring the files of every server about; one that cannot be written holds up no other."""
    for server in MailServer.objects.filter(kind=KumoMTA.key):
        try:
            keep(server)
        except ProviderError as error:
            logger.error("%s: %s", server.slug, error.message)


def keep(server: MailServer) -> bool:
    """Bring one server's files about; whether anything differed. Raises `ProviderError`."""
    provider = kumomta(server)
    changed = provider.keep_sender_statuses(
        [one for read in _sender_statuses for one in read(server)]
    )
    if provider.keep_keys(signing_keys(server)) or changed:
        provider.reload()
        return True
    return False


@transaction.atomic
def signing_keys(server: MailServer) -> list[SigningKeyFile]:
    """The key that each domain on a server signs with, unsealed; without one that does not open."""
    keys = DkimKey.objects.filter(
        zone__domain__mail__server=server,
        zone__domain__verified_at__isnull=False,
        status=DkimKey.SIGNING,
    ).select_related("zone__domain")
    return [
        SigningKeyFile(domain=key.zone.domain.name, selector=key.selector, pem=_pem(key))
        for key in keys
    ]


def _pem(key: DkimKey) -> str | None:
    try:
        return key.private_pem()
    except Unsealable as error:
        logger.error("the DKIM key of %s: %s", key.zone.domain, error)
        return None


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """What the policy is told beside the server's row. Raises `Invalid`: nothing is quoted."""

    certificate: str
    private_key: str
    listen: str = "0.0.0.0"  # noqa: S104  (submission is for everybody)
    admin_listen: str = "127.0.0.1:8000"
    spool: str = "/var/spool/kumomta"
    log: str = "/var/log/kumomta"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not _PLAIN.fullmatch(value):
                raise Invalid(f"This is no {name.replace('_', ' ')} for a policy: {value!r}.")


def write_policy(server: MailServer, places: PolicySettings) -> bool:
    """Write the Lua policy into the server's directory; whether it differed. Raises `Invalid`."""
    if server.kind != KumoMTA.key or not server.directory:
        raise Invalid(f"{server.slug} is no KumoMTA server with a directory.")
    check_server(server)
    engine = Engine(dirs=[str(TEMPLATES)], autoescape=False)
    values = {
        **vars(places),
        "directory": server.directory,
        "host": server.host,
        "submission_port": server.submission_port,
    }
    text = engine.get_template("kumomta/init.lua").render(Context(values, autoescape=False))
    return write_whole(Path(server.directory) / "init.lua", text, mode=0o644)
