from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0001_rate_windows_and_idempotent_answers")]

    operations = [
        migrations.AddField(
            model_name="idempotentanswer",
            name="role",
            field=models.CharField(blank=True, default="", max_length=20),
        ),
    ]
