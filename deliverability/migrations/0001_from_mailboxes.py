"""Counts and queued messages come from app `mailboxes`; their tables stay as they are."""

import django.db.models.deletion
import django.utils.timezone
import mpanel.core.models
from django.db import migrations, models

from mpanel.core.moved_models import rename_content_types


class Migration(migrations.Migration):
    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("mailboxes", "0021_deliverability_moves"),
        ("tenants", "0014_refused_invitations"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="QueuedMessage",
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
                        ("queue_id", models.CharField(max_length=32)),
                        ("deferred", models.JSONField(default=list)),
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
                            "server",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="mailboxes.mailserver",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "mailboxes_queuedmessage",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("server", "queue_id"), name="one_message_per_queue_id"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SendingDay",
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
                        ("kind", models.CharField(max_length=8)),
                        ("subject_id", models.UUIDField()),
                        ("day", models.DateField()),
                        ("sent", models.PositiveIntegerField(default=0)),
                        ("delivered", models.PositiveIntegerField(default=0)),
                        ("deferred", models.PositiveIntegerField(default=0)),
                        ("bounced", models.PositiveIntegerField(default=0)),
                        ("complaints", models.PositiveIntegerField(default=0)),
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
                        "db_table": "mailboxes_sendingday",
                        "ordering": ["-day"],
                        "indexes": [models.Index(fields=["day"], name="sending_by_day")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("subject_id", "day"), name="one_count_per_day"
                            )
                        ],
                    },
                ),
            ]
        ),
        rename_content_types("mailboxes", "deliverability", "sendingday", "queuedmessage"),
    ]
