from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dnszones", "0004_zone_edits_dnssec_and_dkim_rotation"),
    ]

    operations = [
        migrations.AddField(
            model_name="zone",
            name="parent_ds",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="zone",
            name="parent_ds_at",
            field=models.DateTimeField(null=True),
        ),
    ]
