"""What a backup consists of, and whether it is all there."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.conf import settings

from mpanel.core.errors import Invalid
from mpanel.core.secrets import parse_key_ring

NAME = "manifest.json"
FORMAT = 1
DATABASES = {"postgresql": "database.pgdump", "sqlite": "database.sqlite3"}
MAIL, MAIL_LIST = "mail.tar", "mail.list"


@dataclass(frozen=True)
class Manifest:
    """`rows`: how many each table has. `migrations`: "app.name" of all that were applied.

    `keys`: a fingerprint of every entry of the key ring, by its id. `files`: SHA-256 and bytes of
    every file, by name. `mailboxes`: how many have mail in it, None where it holds no mail.
    """

    version: str
    made_at: str
    database: str
    rows: dict[str, int]
    migrations: list[str]
    keys: dict[str, str]
    files: dict[str, list[str | int]] = field(default_factory=dict)
    mailboxes: int | None = None
    format: int = FORMAT

    def text(self) -> str:
        """As it stands in its file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def read(backup: Path) -> Manifest:
    """The manifest of a whole backup; every checksum was compared. Raises `Invalid`."""
    try:
        manifest = Manifest(**json.loads((backup / NAME).read_text()))
    except FileNotFoundError:
        raise Invalid(f"{backup} is no whole backup: it has no {NAME}.") from None
    except (ValueError, TypeError):
        raise Invalid(f"{backup / NAME} cannot be read.") from None
    if manifest.format != FORMAT or manifest.database not in DATABASES:
        raise Invalid(f"{backup} was made by another release, {manifest.version}.")
    if DATABASES[manifest.database] not in manifest.files:
        raise Invalid(f"{backup} has no database.")
    for name, (checksum, size) in manifest.files.items():
        path = backup / Path(name).name
        if not path.is_file() or path.stat().st_size != size or checksum_of(path) != checksum:
            raise Invalid(f"{path} is not as it was written: the backup is damaged.")
    return manifest


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprints() -> dict[str, str]:
    """By which a key of the ring is known again; the keys are random, so these tell nothing."""
    ring = parse_key_ring(list(settings.ENCRYPTION_KEYS))
    return {
        key_id: hashlib.sha256(b"mpanel.backup:" + key).hexdigest()[:32]
        for key_id, key in ring.items()
    }
