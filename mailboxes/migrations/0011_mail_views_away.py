"""The views of the mail server go while `domains_domain` changes; 0012 makes them anew."""

from django.db import migrations

from mailservers.mailviews import change


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0010_role_addresses")]

    operations = [change(4, None)]
