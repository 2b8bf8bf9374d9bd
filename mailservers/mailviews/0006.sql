-- Version 6. Also the addresses for reports.

-- Who may log in. `password` carries the scheme's name in front, as Dovecot reads it.
CREATE VIEW mail_login AS
SELECT m.id AS mailbox_id, m.address AS email,
       CASE WHEN m.proof_digest <> '' THEN m.proof_digest
            ELSE '{BLF-CRYPT}' || m.password_hash END AS password,
       m.quota_mb AS quota_mb,
       COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
LEFT JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE m.status IN ('provisioning', 'active', 'warming') AND m.password_hash <> ''
  AND m.provider = 'mailserver';

-- Which mailboxes receive: a suspended one does.
CREATE VIEW mail_recipient AS
SELECT m.id AS mailbox_id, m.address AS email, m.quota_mb AS quota_mb,
       COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
LEFT JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE m.status IN ('provisioning', 'active', 'warming', 'suspended', 'failed') AND m.provider = 'mailserver';

-- The domains that the server is the last stop of. Nobody claims mail by a name alone.
CREATE VIEW mail_domain AS
SELECT d.name AS name, s.slug AS server
FROM mailboxes_maildomain md
JOIN domains_domain d ON d.id = md.domain_id
JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE md.provider = 'mailserver' AND d.verified_at IS NOT NULL;

-- Where mail for an address goes. Every mailbox stands for itself, or a catch-all would take its
-- mail: Postfix asks for the whole address first and for @domain then.
CREATE VIEW mail_alias AS
SELECT a.address AS address, m.address AS destination, COALESCE(s.slug, 'house') AS server
FROM mailboxes_alias a JOIN mailboxes_mailbox m ON m.id = a.mailbox_id
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
LEFT JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE m.status IN ('provisioning', 'active', 'warming', 'suspended', 'failed') AND m.provider = 'mailserver'
UNION ALL
SELECT m.address AS address, m.address AS destination, COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
LEFT JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE m.status IN ('provisioning', 'active', 'warming', 'suspended', 'failed') AND m.provider = 'mailserver';

-- As which addresses a login may send: itself and its aliases, never a catch-all.
CREATE VIEW mail_sender AS
SELECT m.address AS address, m.address AS login, COALESCE(s.slug, 'house') AS server
FROM mailboxes_mailbox m
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
LEFT JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE m.status IN ('provisioning', 'active', 'warming') AND m.provider = 'mailserver'
UNION ALL
SELECT a.address AS address, m.address AS login, COALESCE(s.slug, 'house') AS server
FROM mailboxes_alias a JOIN mailboxes_mailbox m ON m.id = a.mailbox_id
JOIN domains_domain d ON d.id = m.domain_id AND d.verified_at IS NOT NULL
LEFT JOIN mailboxes_maildomain md ON md.domain_id = m.domain_id
LEFT JOIN mailboxes_mailserver s ON s.id = md.server_id
WHERE a.local_part <> '' AND m.status IN ('provisioning', 'active', 'warming')
  AND m.provider = 'mailserver';

-- Who may not send though the login is good, and the sentence they are told.
CREATE VIEW mail_sender_refusal AS
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
       OR (a.plan = 'trial' AND a.trial_ends_at <= CURRENT_TIMESTAMP));

-- Where domains have reports sent: the addresses come before a domain's first inbox.
-- only: postgresql
CREATE VIEW mail_report AS
SELECT d.name AS name, lower(found[1]) AS address, s.slug AS server
FROM dnszones_record r
JOIN dnszones_zone z ON z.id = r.zone_id
JOIN domains_domain d ON d.id = z.domain_id AND d.verified_at IS NOT NULL
JOIN mailboxes_maildomain md ON md.domain_id = d.id AND md.provider = 'mailserver'
JOIN mailboxes_mailserver s ON s.id = md.server_id
CROSS JOIN LATERAL
    regexp_matches(r.content, 'mailto:([^@,;!\s]{1,64}@[^,;!?\s]{1,253})', 'gi') AS found
WHERE r.purpose IN ('dmarc', 'tls-rpt');
