"""What rspamd compiled in former runs of the tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def kept_patterns(state: Path) -> Iterator[None]:
    """Give rspamd, which starts in the block, the patterns of before, and keep what it makes.

    It compiles them when it starts for the first time, which takes minutes on a busy machine.
    """
    kept = Path(tempfile.gettempdir()) / "mpanel-rspamd-patterns"
    for pattern in kept.glob("*.hs*"):
        if not (state / pattern.name).exists():
            shutil.copy(pattern, state)
            shutil.chown(state / pattern.name, "_rspamd", "_rspamd")
    yield
    kept.mkdir(exist_ok=True)
    for pattern in state.glob("*.hs*"):
        if not (kept / pattern.name).exists():
            shutil.copy(pattern, kept / f".{os.getpid()}")
            (kept / f".{os.getpid()}").rename(kept / pattern.name)
