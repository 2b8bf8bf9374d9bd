"""Connections to outreach tools come from app `mailboxes`; their tables stay as they are."""

import django.db.models.deletion
import django.utils.timezone
import mpanel.core.models
from django.db import migrations, models

from mpanel.core.moved_models import rename_content_types


class Migration(migrations.Migration):
    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("mailboxes", "0020_outreach_moves"),
        ("tenants", "0014_refused_invitations"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="OutreachLink",
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
                        ("provider", models.CharField(max_length=32)),
                        ("remote_id", models.CharField(blank=True, max_length=320)),
                        ("status", models.CharField(default="connecting", max_length=32)),
                        ("error_code", models.CharField(blank=True, max_length=64)),
                        ("error_message", models.TextField(blank=True)),
                        ("warmup_enabled", models.BooleanField(default=True)),
                        ("max_email_per_day", models.PositiveIntegerField(default=50)),
                        ("total_warmup_per_day", models.PositiveIntegerField(default=40)),
                        ("daily_rampup", models.PositiveIntegerField(default=5)),
                        ("reputation", models.PositiveSmallIntegerField(null=True)),
                        ("connected_at", models.DateTimeField(null=True)),
                        ("disconnected_at", models.DateTimeField(null=True)),
                        ("stats_at", models.DateTimeField(null=True)),
                        (
                            "credential",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="outreach_links",
                                to="tenants.providercredential",
                            ),
                        ),
                        (
                            "mailbox",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="outreach_links",
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
                        "db_table": "mailboxes_outreachlink",
                        "ordering": ["-id"],
                    },
                ),
                migrations.CreateModel(
                    name="CampaignSeat",
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
                        ("campaign_id", models.CharField(max_length=64)),
                        ("campaign_name", models.CharField(max_length=200)),
                        ("joined_at", models.DateTimeField(null=True)),
                        ("left_at", models.DateTimeField(null=True)),
                        (
                            "link",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="seats",
                                to="outreach.outreachlink",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "mailboxes_campaignseat",
                        "ordering": ["campaign_name"],
                    },
                ),
                migrations.CreateModel(
                    name="WarmupDay",
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
                        ("date", models.DateField()),
                        ("sent", models.PositiveIntegerField(default=0)),
                        ("delivered", models.PositiveIntegerField(null=True)),
                        ("bounced", models.PositiveIntegerField(null=True)),
                        ("replied", models.PositiveIntegerField(default=0)),
                        ("saved_from_spam", models.PositiveIntegerField(default=0)),
                        (
                            "link",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="days",
                                to="outreach.outreachlink",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "mailboxes_warmupday",
                        "ordering": ["date"],
                    },
                ),
                migrations.AddIndex(
                    model_name="outreachlink",
                    index=models.Index(fields=["tenant", "status"], name="link_by_tenant"),
                ),
                migrations.AddConstraint(
                    model_name="outreachlink",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("status", "disconnected"), _negated=True),
                        fields=("mailbox", "provider"),
                        name="one_link_per_tool",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="campaignseat",
                    constraint=models.UniqueConstraint(
                        fields=("link", "campaign_id"), name="one_seat_per_campaign"
                    ),
                ),
                migrations.AddConstraint(
                    model_name="warmupday",
                    constraint=models.UniqueConstraint(
                        fields=("link", "date"), name="one_row_per_warmup_day"
                    ),
                ),
            ]
        ),
        rename_content_types("mailboxes", "outreach", "outreachlink", "campaignseat", "warmupday"),
    ]
