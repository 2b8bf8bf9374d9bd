#!/usr/bin/env python
"""Django's command line for mPanel."""

import contextlib
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mpanel.settings")
    try:
        from mpanel.startup import refuse, without_collecting

        with without_collecting():
            import django
            from django.core.exceptions import ImproperlyConfigured
            from django.core.management import execute_from_command_line
            from django.core.management.base import (
                CommandError,
                CommandParser,
                handle_default_options,
            )

            # Settings are read here, before Django looks at its own options that say which.
            parser = CommandParser(add_help=False, allow_abbrev=False)
            parser.add_argument("--settings")
            parser.add_argument("--pythonpath")
            with contextlib.suppress(CommandError):
                handle_default_options(parser.parse_known_args(sys.argv[2:])[0])
            try:
                django.setup()
            except ImproperlyConfigured as error:
                refuse(str(error))
        try:
            execute_from_command_line(sys.argv)
        except ImproperlyConfigured as error:
            refuse(str(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(130)  # as a shell counts what Ctrl-C ended


if __name__ == "__main__":
    main()
