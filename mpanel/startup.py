"""How a process starts: with settings that make sense, or with a sentence and not at all."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from django.core.exceptions import ImproperlyConfigured

# gunicorn takes this from a worker as "failed to boot", and stops instead of trying for ever.
EXIT = 3


def load[T](application: Callable[[], T]) -> T:
    """What `application` makes, after the boot checks that every `manage.py` command runs as well.

    Ends the process with status 3 and sentences on stderr where a setting is bad.
    """
    from django.core import checks

    try:
        with without_collecting():
            loaded = application()
        bad = [found for found in checks.run_checks() if found.is_serious()]
    except ImproperlyConfigured as error:
        refuse(str(error))
    if bad:
        refuse(*(f"{one.msg}{f' {one.hint}' if one.hint else ''}" for one in bad))
    return loaded


@contextmanager
def without_collecting() -> Iterator[None]:
    """Load modules without the garbage collector, and have it leave them alone afterwards.

    What is imported stays, so that each of its looks would be for nothing: an eighth of the time
    that a process takes to start, and pages of memory that processes forked later can share.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def refuse(*sentences: str) -> NoReturn:
    """Say what is wrong, and end."""
    sys.stderr.write("mPanel cannot start:\n" + "".join(f"- {one}\n" for one in sentences))
    sys.stderr.flush()
    sys.exit(EXIT)
