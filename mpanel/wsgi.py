"""The WSGI entry point, for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from mpanel.core.database import limit_waits_for_web
from mpanel.startup import load

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mpanel.settings")
application = load(get_wsgi_application)
limit_waits_for_web()
