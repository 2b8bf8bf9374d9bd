"""What a tenant was told of its trial's end; of one that is over already, nobody is told now."""

from django.db import migrations, models
from django.utils import timezone


def over_already(apps, schema_editor):
    accounts = apps.get_model("billing", "Account").objects
    accounts.filter(trial_ends_at__lte=timezone.now()).update(trial_told="ended")


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="trial_told",
            field=models.CharField(blank=True, default="", max_length=8),
        ),
        migrations.RunPython(over_already, migrations.RunPython.noop),
    ]
