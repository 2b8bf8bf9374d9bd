from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="heartbeat",
            name="queue",
            field=models.CharField(blank=True, default="", max_length=32),
        ),
    ]
