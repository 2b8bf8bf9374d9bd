"""Secrets that the servers' files and the login policy share."""

from django.utils.crypto import salted_hmac


def key_of(purpose: str) -> str:
    """A secret that Dovecot's files and the service share, made of SECRET_KEY."""
    return salted_hmac("mailboxes.logins", purpose, algorithm="sha256").hexdigest()[:48]
