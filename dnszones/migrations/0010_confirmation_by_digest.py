"""A plan is confirmed by its digest; plans that were shown without their losses are made anew."""

from django.db import migrations, models


def supersede_shown_plans(apps, schema_editor):
    apps.get_model("dnszones", "ChangePlan").objects.filter(status="ready").update(
        status="superseded"
    )


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
    ]
