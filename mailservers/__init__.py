"""Running our own mail server: what Dovecot and Postfix are told, and the mail they keep."""
