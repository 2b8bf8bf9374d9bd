from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0014_refused_invitations"),
    ]

    operations = [
        migrations.AddField(
            model_name="session",
            name="confirmed_at",
            field=models.DateTimeField(null=True),
        ),
    ]
