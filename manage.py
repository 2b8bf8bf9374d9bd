#!/usr/bin/env python
"""Django's command line for mPanel."""

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
