"""A domain is in the mail server's views only while it is verified.

An address belongs to a domain's row: when a name changes hands, the new owner's mailboxes stand
beside the former owner's, and only those of the verified row are ever served.
"""

from django.db import migrations, models

# What the mail server may see. Each row says on which server (its slug) it matters.
#
# SQLite checks views when a table is made anew. A migration that does so with mailboxes_mailbox,
# mailboxes_alias, mailboxes_maildomain, mailboxes_mailserver, domains_domain, tenants_tenant or
# billing_account drops these before and makes them after.
PLACE = """
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
LEFT JOIN mailboxes_mailserver s ON s.id = md.server_id
"""
RECEIVES = "('provisioning', 'active', 'warming', 'suspended', 'failed')"
VIEWS = {
    # Who may log in. `password` carries the scheme's name in front, as Dovecot reads it.
    "mail_login": f"""
SELECT m.id AS mailbox_id, m.address AS email,
       CASE WHEN m.proof_digest <> '' THEN m.proof_digest
            ELSE '{{BLF-CRYPT}}' || m.password_hash END AS password,
       m.quota_mb AS quota_mb,
       COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m {PLACE}
WHERE m.status IN ('provisioning', 'active', 'warming') AND m.password_hash <> ''
  AND m.provider = 'mailserver'
""",
    # Which mailboxes receive: a suspended one does.
    "mail_recipient": f"""
SELECT m.id AS mailbox_id, m.address AS email, m.quota_mb AS quota_mb,
       COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m {PLACE}
WHERE m.status IN {RECEIVES} AND m.provider = 'mailserver'
""",
    # The domains that the server is the last stop of. Nobody claims mail by a name alone.
    "mail_domain": """
SELECT d.name AS name, s.slug AS server
FROM mailboxes_maildomain md
JOIN domains_domain d ON d.id = md.domain_id
JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE md.provider = 'mailserver' AND d.verified_at IS NOT NULL
""",
    # Where mail for an address goes. Every mailbox stands for itself, or a catch-all would take
    # its mail: Postfix asks for the whole address first and for @domain then.
    "mail_alias": f"""
SELECT a.address AS address, m.address AS destination, COALESCE(s.slug, 'house') AS server
FROM mailboxes_alias a JOIN mailboxes_mailbox m ON m.id = a.mailbox_id {PLACE}
WHERE m.status IN {RECEIVES} AND m.provider = 'mailserver'
UNION ALL
SELECT m.address AS address, m.address AS destination, COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m {PLACE}
WHERE m.status IN {RECEIVES} AND m.provider = 'mailserver'
""",
    # As which addresses a login may send: itself and its aliases, never a catch-all.
    "mail_sender": f"""
SELECT m.address AS address, m.address AS login, COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m {PLACE}
WHERE m.status IN ('provisioning', 'active', 'warming') AND m.provider = 'mailserver'
UNION ALL
SELECT a.address AS address, m.address AS login, COALESCE(s.slug, 'house') AS server
FROM mailboxes_alias a JOIN mailboxes_mailbox m ON m.id = a.mailbox_id {PLACE}
WHERE a.local_part <> '' AND m.status IN ('provisioning', 'active', 'warming')
  AND m.provider = 'mailserver'
""",
    # Who may not send though the login is good, and the sentence they are told.
    "mail_sender_refusal": """
SELECT m.address AS email,
       CASE WHEN t.status <> 'active' THEN 'Your account is suspended.'
            WHEN m.status = 'suspended' THEN 'This mailbox is suspended.'
            WHEN m.paused_at IS NOT NULL THEN 'Sending is paused. See the mailbox in the panel.'
            ELSE 'Your trial has ended. Choose a plan to send again.' END AS reason
FROM mailboxes_mailbox m
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
JOIN tenants_tenant t ON t.id = m.tenant_id
LEFT JOIN billing_account a ON a.tenant_id = m.tenant_id
WHERE m.status <> 'deleted'
  AND (t.status <> 'active' OR m.status = 'suspended' OR m.paused_at IS NOT NULL
       OR (a.plan = 'trial' AND a.trial_ends_at <= CURRENT_TIMESTAMP))
""",
}


class Migration(migrations.Migration):
    dependencies = [
        ("domains", "0004_proof_of_control"),
        ("mailboxes", "0011_mail_views_away"),
    ]

    operations = [
        migrations.RemoveConstraint("mailbox", "one_mailbox_per_address"),
        migrations.AddConstraint(
            "mailbox",
            models.UniqueConstraint(
                fields=["address", "domain"],
                condition=~models.Q(status="deleted"),
                name="one_mailbox_per_address",
            ),
        ),
        *[
            migrations.RunSQL(f"CREATE VIEW {name} AS {query}", f"DROP VIEW {name}")
            for name, query in VIEWS.items()
        ],
    ]
