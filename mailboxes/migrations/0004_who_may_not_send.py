"""Which senders the mail server refuses though their login is good, and the sentence it tells them.

The end of a trial and a suspended tenant stop sending; mail still arrives and can be read, and a
paid plan lifts it at once. Postfix looks a sender up in its access map; no row, no refusal.

SQLite checks views when a table is made anew: a later migration that does so with one of these
tables drops the mail views first, and makes them again.
"""

from django.db import migrations

REFUSAL = """
CREATE VIEW mail_sender_refusal AS
SELECT m.address AS email,
       CASE WHEN t.status <> 'active' THEN 'Your account is suspended.'
            ELSE 'Your trial has ended. Choose a plan to send again.' END AS reason
FROM mailboxes_mailbox m
JOIN tenants_tenant t ON t.id = m.tenant_id
LEFT JOIN billing_account a ON a.tenant_id = m.tenant_id
WHERE m.status <> 'deleted'
  AND (t.status <> 'active' OR (a.plan = 'trial' AND a.trial_ends_at <= CURRENT_TIMESTAMP))
"""


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0003_names_in_the_admin"),
        ("billing", "0003_plan_chosen_for_later"),
        ("tenants", "0004_names_in_the_admin"),
    ]

    operations = [migrations.RunSQL(REFUSAL, "DROP VIEW mail_sender_refusal")]
