from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dnszones", "0005_ds_at_the_parent"),
    ]

    operations = [
        migrations.AddField(
            model_name="changeplan",
            name="questions",
            field=models.JSONField(default=list),
        ),
    ]
