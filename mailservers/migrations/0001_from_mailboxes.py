"""Mail servers and what stands on them come from app `mailboxes`; their tables stay as they are."""

import django.db.models.deletion
import django.utils.timezone
import mpanel.core.models
from django.db import migrations, models

from mpanel.core.moved_models import rename_content_types


class Migration(migrations.Migration):
    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("domains", "0005_confirmed_losses"),
        ("mailboxes", "0022_how_full_mailboxes_are"),
        ("tenants", "0015_confirmed_sessions"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="LogPosition",
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
                        ("name", models.CharField(max_length=200, unique=True)),
                        ("inode", models.PositiveBigIntegerField(default=0)),
                        ("offset", models.PositiveBigIntegerField(default=0)),
                        ("head", models.CharField(blank=True, default="", max_length=64)),
                        ("trouble", models.CharField(blank=True, default="", max_length=300)),
                        ("lost_at", models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        "db_table": "mailboxes_logposition",
                    },
                ),
                migrations.CreateModel(
                    name="MailServer",
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
                        ("slug", models.SlugField(max_length=32, unique=True)),
                        ("label", models.CharField(max_length=80)),
                        ("kind", models.CharField(default="mailserver", max_length=32)),
                        ("region", models.SlugField(max_length=32)),
                        ("region_label", models.CharField(max_length=80)),
                        ("host", models.CharField(max_length=253)),
                        ("submission_port", models.PositiveIntegerField(default=587)),
                        ("imaps_port", models.PositiveIntegerField(default=993)),
                        ("mx_host", models.CharField(max_length=253)),
                        ("spf_name", models.CharField(max_length=253)),
                        ("ca_file", models.CharField(blank=True, max_length=500)),
                        ("addresses", models.JSONField(blank=True, default=list)),
                        ("admin_url", models.CharField(blank=True, max_length=500)),
                        ("sealed_admin_key", models.TextField(blank=True)),
                        ("directory", models.CharField(blank=True, max_length=500)),
                        ("is_open", models.BooleanField(default=True)),
                        ("storage_failed_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "mailboxes_mailserver",
                        "ordering": ["slug"],
                    },
                ),
                migrations.CreateModel(
                    name="MailDomain",
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
                        ("provider", models.CharField(default="mailserver", max_length=32)),
                        ("status", models.CharField(default="active", max_length=32)),
                        ("error_code", models.CharField(blank=True, max_length=64)),
                        ("error_message", models.TextField(blank=True)),
                        ("verification", models.CharField(blank=True, max_length=253)),
                        ("daily_ceiling", models.PositiveIntegerField(null=True)),
                        ("roles_at", models.DateTimeField(null=True)),
                        ("health_score", models.PositiveSmallIntegerField(null=True)),
                        ("health", models.JSONField(default=list)),
                        ("health_at", models.DateTimeField(null=True)),
                        ("storage_at", models.DateTimeField(null=True)),
                        (
                            "credential",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="mail_domains",
                                to="tenants.providercredential",
                            ),
                        ),
                        (
                            "domain",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="mail",
                                to="domains.domain",
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
                        (
                            "server",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="domains",
                                to="mailservers.mailserver",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "mailboxes_maildomain",
                        "ordering": ["domain"],
                        "indexes": [
                            models.Index(
                                fields=["server", "storage_at"], name="mail_domain_to_measure"
                            )
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("server__isnull", False),
                                    ("credential__isnull", False),
                                    _connector="OR",
                                ),
                                name="mail_is_somewhere",
                            )
                        ],
                    },
                ),
            ]
        ),
        rename_content_types("mailboxes", "mailservers", "mailserver", "maildomain", "logposition"),
    ]
