"""A domain is in the mail server's views only while it is verified.

An address belongs to a domain's row: when a name changes hands, the new owner's mailboxes stand
beside the former owner's, and only those of the verified row are ever served.
"""

from django.db import migrations, models

from mailservers.mailviews import change


class Migration(migrations.Migration):
    dependencies = [
        ("domains", "0004_proof_of_control"),
        ("mailboxes", "0011_mail_views_away"),
    ]

    operations = [
        migrations.RemoveConstraint("mailbox", "one_mailbox_per_address"),
        migrations.AddConstraint(
            "mailbox",
            models.UniqueConstraint(
                fields=["address", "domain"],
                condition=~models.Q(status="deleted"),
                name="one_mailbox_per_address",
            ),
        ),
        change(None, 5),
    ]
