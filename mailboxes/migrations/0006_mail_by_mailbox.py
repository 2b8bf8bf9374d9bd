"""Mail is kept by the mailbox's id: an address that is given again begins with an empty inbox."""

from django.db import migrations

from mailservers.mailviews import change


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0005_mail_that_flows")]

    operations = [change(3, 4)]
