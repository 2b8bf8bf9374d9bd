"""How a process starts: with settings that make sense, or with a sentence and not at all."""

import sys
from collections.abc import Callable
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
        loaded = application()
        bad = [found for found in checks.run_checks() if found.is_serious()]
    except ImproperlyConfigured as error:
        refuse(str(error))
    if bad:
        refuse(*(f"{one.msg}{f' {one.hint}' if one.hint else ''}" for one in bad))
    return loaded


def refuse(*sentences: str) -> NoReturn:
    """Say what is wrong, and end."""
    sys.stderr.write("mPanel cannot start:\n" + "".join(f"- {one}\n" for one in sentences))
    sys.stderr.flush()
    sys.exit(EXIT)
