"""Servers and regions, Dovecot, Postfix and KumoMTA, mail views, the signer."""

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate

from mpanel.core import periodic, registry
from mpanel.operations.backups import register_check


class MailserversConfig(AppConfig):
    name = "mailservers"

    def ready(self) -> None:
        registry.load("mailservers.providers")
        post_migrate.connect(let_mail_server_read, sender=self)
        from domains.reserved import register_host_names
        from mailservers import kumomta, restored, vendors

        register_host_names(vendors.host_names)
        # Named after the app in which it began: rows of sweeps go by these names.
        periodic.register("mailboxes.kumomta", every=20, work=kumomta.sweep)
        register_check("DKIM", restored.keys_sign)
        register_check("mail server", restored.mail_server_reads)


def let_mail_server_read(**kwargs: object) -> None:
    """A view that a migration made anew has lost its grants; the mail server needs them at once."""
    from mailservers.role import grant_views_again

    grant_views_again([settings.MAILSERVER_ROLE])
