"""Where domains have reports sent, for the mail server: they come before a domain's first inbox."""

from django.db import migrations

from mailservers.mailviews import change


class Migration(migrations.Migration):
    dependencies = [
        ("dnszones", "0010_confirmation_by_digest"),
        ("domains", "0004_proof_of_control"),
        ("mailboxes", "0017_outside_senders"),
    ]

    operations = [change(5, 6)]
