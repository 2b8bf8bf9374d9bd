"""What the mail server may see: who may log in, and which addresses receive.

`mail_login.password` carries the scheme's name in front, as Dovecot reads it. A suspended mailbox
cannot log in but still receives.
"""

from django.db import migrations

LOGIN = """
CREATE VIEW mail_login AS
SELECT address AS email,
       CASE WHEN proof_digest <> '' THEN proof_digest
            ELSE '{BLF-CRYPT}' || password_hash END AS password
FROM mailboxes_mailbox
WHERE status IN ('provisioning', 'active', 'warming') AND password_hash <> ''
"""
RECIPIENT = """
CREATE VIEW mail_recipient AS
SELECT address AS email
FROM mailboxes_mailbox
WHERE status IN ('provisioning', 'active', 'warming', 'suspended', 'failed')
"""


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0001_initial")]

    operations = [
        migrations.RunSQL(LOGIN, "DROP VIEW mail_login"),
        migrations.RunSQL(RECIPIENT, "DROP VIEW mail_recipient"),
    ]
