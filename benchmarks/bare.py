"""The floor of the API's benchmark: the same answers by hand-written SQL, and the gunicorn app.

A bare view knows no caller, no tenant, no limits, no log and no errors; it asks the database once
and writes JSON.
"""

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import django
from django.core.wsgi import get_wsgi_application
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

MANY = """
    SELECT m.id::text, m.address, d.name, m.status, m.created_at::text
    FROM mailboxes_mailbox m JOIN domains_domain d ON d.id = m.domain_id
    WHERE m.tenant_id = %s AND m.status <> 'deleted' ORDER BY m.address
"""
ONE = """
    SELECT m.id::text, m.address, d.name, m.status, m.created_at::text
    FROM mailboxes_mailbox m JOIN domains_domain d ON d.id = m.domain_id
    WHERE m.id = %s
"""
NAMES = ("id", "email", "domain", "status", "created_at")
TEXTS = {"/bare/inboxes": MANY, "/bare/inbox": ONE}

product = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """mPanel, and the bare views beside it in the same process."""
    sql = TEXTS.get(environ["PATH_INFO"])
    if sql is None:
        answer: Iterable[bytes] = product(environ, start_response)
        return answer
    with connection.cursor() as cursor:
        cursor.execute(sql, [environ["QUERY_STRING"]])
        rows = [dict(zip(NAMES, row, strict=True)) for row in cursor]
    body = json.dumps({"inboxes": rows, "total": len(rows)}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
