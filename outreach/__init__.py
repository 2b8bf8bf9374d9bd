"""Mailboxes at outreach tools: connected, warmed up, in campaigns, and taken back."""
