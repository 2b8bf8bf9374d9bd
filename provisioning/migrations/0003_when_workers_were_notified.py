"""A job's column gets the name of what it holds."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0002_heartbeats_of_queues")]

    operations = [migrations.RenameField("job", "rung_at", "notified_at")]
