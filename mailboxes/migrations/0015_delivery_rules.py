"""Forwarding and vacation notes of mailboxes."""

import django.db.models.deletion
import django.utils.timezone
import mpanel.core.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0014_guesses_at_mailboxes"),
        ("tenants", "0011_who_guesses"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeliveryRules",
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
                ("forward_to", models.JSONField(default=list)),
                ("keeps_copy", models.BooleanField(default=True)),
                ("vacation_is_on", models.BooleanField(default=False)),
                ("vacation_subject", models.CharField(blank=True, max_length=200)),
                ("vacation_text", models.TextField(blank=True)),
                ("vacation_starts_on", models.DateField(null=True)),
                ("vacation_ends_on", models.DateField(null=True)),
                ("is_pending", models.BooleanField(default=False)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_message", models.TextField(blank=True)),
                (
                    "mailbox",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rules",
                        to="mailboxes.mailbox",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "delivery rules",
            },
        ),
    ]
