"""A plan is confirmed by its digest; plans that were shown without their losses are made anew."""

from django.db import migrations, models


def supersede_shown_plans(apps, schema_editor):
    apps.get_model("dnszones", "ChangePlan").objects.filter(status="ready").update(
        status="superseded"
    )


def name_microsoft_hosts(apps, schema_editor):
    """Setups of Microsoft 365 keep the host that they were made with."""
    plans = apps.get_model("dnszones", "ChangePlan").objects.select_related("zone__domain")
    for plan in plans.filter(kind="setup", setup__platform="microsoft-365").iterator():
        derived = plan.zone.domain.name.replace(".", "-")
        plan.setup["microsoft_mx"] = f"{derived}.mail.protection.outlook.com"
        plan.save(update_fields=["setup"])


class Migration(migrations.Migration):
    dependencies = [("dnszones", "0009_flattened_spf")]

    operations = [
        migrations.RemoveField(model_name="changeplan", name="confirmed"),
        migrations.AddField(
            model_name="changeplan",
            name="confirmation",
            field=models.CharField(blank=True, default="", max_length=64),
            preserve_default=False,
        ),
        migrations.RunPython(supersede_shown_plans, migrations.RunPython.noop),
        migrations.RunPython(name_microsoft_hosts, migrations.RunPython.noop),
    ]
