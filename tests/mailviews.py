"""The shapes of the views that a mail server reads, as plain tables that tests fill."""

STATEMENTS = (
    "CREATE TABLE mail_login (email text PRIMARY KEY, password text)",
    "CREATE TABLE mail_recipient (email text PRIMARY KEY)",
    "CREATE TABLE mail_sender_refusal (email text PRIMARY KEY, reason text)",
    "CREATE VIEW mail_alias AS SELECT email AS address, email AS destination FROM mail_recipient",
    "CREATE VIEW mail_sender AS SELECT email AS address, email AS login FROM mail_recipient",
)
