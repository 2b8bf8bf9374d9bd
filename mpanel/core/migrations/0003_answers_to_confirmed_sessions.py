from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0002_role_of_idempotent_answers")]

    operations = [
        migrations.AddField(
            model_name="idempotentanswer",
            name="was_confirmed",
            field=models.BooleanField(default=False),
        ),
    ]
