-- Version 2. Also which senders the mail server refuses, and why.

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

-- Who may not send though the login is good, and the sentence they are told.
CREATE VIEW mail_sender_refusal AS
SELECT m.address AS email,
       CASE WHEN t.status <> 'active' THEN 'Your account is suspended.'
            ELSE 'Your trial has ended. Choose a plan to send again.' END AS reason
FROM mailboxes_mailbox m
JOIN tenants_tenant t ON t.id = m.tenant_id
LEFT JOIN billing_account a ON a.tenant_id = m.tenant_id
WHERE m.status <> 'deleted'
  AND (t.status <> 'active' OR (a.plan = 'trial' AND a.trial_ends_at <= CURRENT_TIMESTAMP));
