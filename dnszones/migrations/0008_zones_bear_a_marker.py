"""What a zone that we made bears at its provider."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dnszones", "0007_zone_discovery")]

    operations = [
        migrations.AddField(
            model_name="zone",
            name="marker",
            field=models.CharField(blank=True, default="", max_length=40),
            preserve_default=False,
        ),
    ]
