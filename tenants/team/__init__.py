"""Who works in a tenant: members, their roles, and invitations by e-mail."""
