"""Where domains have reports sent, for the mail server: they come before a domain's first inbox.

On PostgreSQL only, which the mail server reads. A migration there that changes the type of a column
of dnszones_record or dnszones_zone that is named here drops the view before and makes it after.
"""

from typing import Any

from django.db import migrations

VIEW = r"""
CREATE VIEW mail_report AS
SELECT d.name AS name, lower(found[1]) AS address, s.slug AS server
FROM dnszones_record r
JOIN dnszones_zone z ON z.id = r.zone_id
JOIN domains_domain d ON d.id = z.domain_id AND d.verified_at IS NOT NULL
JOIN mailboxes_maildomain md ON md.domain_id = d.id AND md.provider = 'mailserver'
JOIN mailboxes_mailserver s ON s.id = md.server_id
CROSS JOIN LATERAL
    regexp_matches(r.content, 'mailto:([^@,;!\s]{1,64}@[^,;!?\s]{1,253})', 'gi') AS found
WHERE r.purpose IN ('dmarc', 'tls-rpt')
"""


def make_view(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(VIEW)


def drop_view(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP VIEW mail_report")


class Migration(migrations.Migration):
    dependencies = [
        ("dnszones", "0010_confirmation_by_digest"),
        ("domains", "0004_proof_of_control"),
        ("mailboxes", "0017_outside_senders"),
    ]

    operations = [migrations.RunPython(make_view, drop_view)]
