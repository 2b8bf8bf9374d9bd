"""Nameservers are shown once a zone is complete; those that were shown before stay shown."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone


def keep_shown(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    domains = apps.get_model("domains", "Domain").objects.exclude(nameservers=[])
    domains.update(zone_complete_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("domains", "0002_registrations")]
    operations = [
        migrations.AddField(
            model_name="domain",
            name="zone_complete_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(keep_shown, migrations.RunPython.noop),
    ]
