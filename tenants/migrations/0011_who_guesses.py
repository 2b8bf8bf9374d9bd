"""Guesses as rows, and who is known: by device or network."""

import django.utils.timezone
import mpanel.core.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0010_one_form_for_good"),
    ]

    operations = [
        migrations.CreateModel(
            name="Guess",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=mpanel.core.models.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("kind", models.CharField(max_length=32)),
                ("account", models.CharField(max_length=64)),
                ("asker", models.CharField(max_length=64)),
                ("known", models.BooleanField(default=False)),
            ],
            options={
                "verbose_name_plural": "guesses",
            },
        ),
        migrations.RemoveIndex(
            model_name="onetimecode",
            name="code_by_address",
        ),
        migrations.AddField(
            model_name="onetimecode",
            name="asker",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="onetimecode",
            name="known",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="onetimecode",
            name="tries_elsewhere",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="session",
            name="device_key",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="session",
            name="network",
            field=models.CharField(blank=True, max_length=45),
        ),
        migrations.AddIndex(
            model_name="onetimecode",
            index=models.Index(fields=["asker", "-created_at"], name="code_by_asker"),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["device_key"], name="session_by_device"),
        ),
        migrations.AddIndex(
            model_name="guess",
            index=models.Index(fields=["account", "created_at"], name="guess_by_account"),
        ),
        migrations.AddIndex(
            model_name="guess",
            index=models.Index(fields=["asker", "created_at"], name="guess_by_asker"),
        ),
        migrations.AddIndex(
            model_name="guess",
            index=models.Index(fields=["created_at"], name="guess_by_age"),
        ),
    ]
