-- Version 1. What the mail server may see: who may log in, and which addresses receive.

-- Who may log in. `password` carries the scheme's name in front, as Dovecot reads it.
CREATE VIEW mail_login AS
SELECT address AS email,
       CASE WHEN proof_digest <> '' THEN proof_digest
            ELSE '{BLF-CRYPT}' || password_hash END AS password
FROM mailboxes_mailbox
WHERE status IN ('provisioning', 'active', 'warming') AND password_hash <> '';

-- Which mailboxes receive: a suspended one does.
CREATE VIEW mail_recipient AS
SELECT address AS email
FROM mailboxes_mailbox
WHERE status IN ('provisioning', 'active', 'warming', 'suspended', 'failed');
