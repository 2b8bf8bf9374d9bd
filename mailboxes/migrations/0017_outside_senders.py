"""Who may write From addresses of outside domains: operators allow it."""

import django.db.models.deletion
import django.utils.timezone
import mpanel.core.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0016_places_in_rotated_logs"),
        ("tenants", "0011_who_guesses"),
    ]

    operations = [
        migrations.CreateModel(
            name="OutsideSender",
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
                (
                    "mailbox",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
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
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(fields=("mailbox",), name="one_permission_per_mailbox"),
                    models.UniqueConstraint(
                        condition=models.Q(("mailbox", None)),
                        fields=("tenant",),
                        name="one_permission_per_tenant",
                    ),
                ],
            },
        ),
    ]
