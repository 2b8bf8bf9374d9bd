"""What the mail server may see: who may log in, and which addresses receive."""

from django.db import migrations

from mailservers.mailviews import change


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0001_initial")]

    operations = [change(None, 1)]
