"""The file into which the terminal writes credentials: it grows with the domain's inboxes."""

import os
from collections.abc import Sequence
from pathlib import Path

from mailboxes.csvfiles import COLUMNS, CredentialRow, credentials_csv
from mailboxes.models import Batch
from mailboxes.services import AlreadyRevealed, Credential, NothingToReveal, reveal_batch
from mailboxes.vendors import mail_provider_of
from mpanel.core.actor import Actor
from wizard.onboarding import CannotGoOn

HEADER = ",".join(COLUMNS)


class CredentialsFile:
    """A CSV file, readable by this user only. What it holds already stays in it."""

    def __init__(self, target: Path) -> None:
        """Raises `CannotGoOn` for a place where no such file can be, before anything is done."""
        self.target = target
        if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
            raise CannotGoOn(f"--csv: The folder {target.parent} is not there, or not writable.")
        if target.exists() and not target.is_file():
            raise CannotGoOn(f"--csv: {target} is no file.")
        if self._present() and not self._present().startswith(HEADER):
            raise CannotGoOn(f"--csv: {target} holds something else. Name another file.")

    def _present(self) -> str:
        """What the file holds now."""
        if not self.target.exists():
            return ""
        with self.target.open(encoding="utf-8", errors="replace", newline="") as file:
            return file.read()

    def write(self, actor: Actor, batches: Sequence[Batch]) -> str:
        """Add the credentials that nobody took yet; a sentence about the file.

        Raises `CannotGoOn` where all were taken before and are not here.
        """
        present = self._present()
        partial = self.target.with_name(f".{self.target.name}.part")
        # Opened first: a disk that takes no file must not use up the one reveal.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(present)
            new = [one for batch in batches for one in _revealed(actor, batch)]
            known = {line.partition(",")[0] for line in present.splitlines()}
            new = [one for one in new if one.mailbox.address not in known]
            if new:
                file.write(_lines(new, with_header=not present))
        if not new:
            partial.unlink()
            return self._of_former_file(present)
        partial.replace(self.target)
        here = f", beside the {len(present.splitlines()) - 1} from before" if present else ""
        return f"{len(new)} verified inboxes{here}: {self.target}"

    def _of_former_file(self, present: str) -> str:
        if not present:
            raise CannotGoOn(
                f"The inboxes are ready, but their credentials are not in {self.target}: they "
                "were taken before, or the inboxes were made in the panel. Reveal single "
                "passwords there."
            )
        return f"Everything is done already. The credentials are in {self.target}."


def _revealed(actor: Actor, batch: Batch) -> list[Credential]:
    try:
        return reveal_batch(actor, batch.pk)
    except (AlreadyRevealed, NothingToReveal):
        return []


def _lines(credentials: Sequence[Credential], *, with_header: bool) -> str:
    login = mail_provider_of(credentials[0].mailbox).login_settings()
    rows = (CredentialRow(one.mailbox.address, login, one.password) for one in credentials)
    text = credentials_csv(rows, hidden=False)
    return text if with_header else text.partition("\r\n")[2]
