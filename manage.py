#!/usr/bin/env python
"""Django's command line for mPanel."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mpanel.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        from mpanel.startup import refuse

        try:
            execute_from_command_line(sys.argv)
        except ImproperlyConfigured as error:
            refuse(str(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(130)  # as a shell counts what Ctrl-C ended


if __name__ == "__main__":
    main()
