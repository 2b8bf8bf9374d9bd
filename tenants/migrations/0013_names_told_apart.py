"""Tenants that share the name they began with get the whole address of their first owner."""

from django.db import migrations
from django.db.models import Count


def tell_apart(apps, schema_editor):
    tenants = apps.get_model("tenants", "Tenant").objects
    members = apps.get_model("tenants", "Membership").objects
    shared = tenants.values("name").annotate(number=Count("pk")).filter(number__gt=1)
    names = list(shared.values_list("name", flat=True))
    for tenant in tenants.filter(name__in=names).iterator():
        first = members.filter(tenant=tenant, role="owner").order_by("created_at", "pk")
        email = first.values_list("user__email", flat=True).first() or ""
        # A name that somebody chose stays.
        if email.partition("@")[2] == tenant.name:
            tenants.filter(pk=tenant.pk).update(name=email[:120])


class Migration(migrations.Migration):
    dependencies = [("tenants", "0012_invitations")]
    operations = [migrations.RunPython(tell_apart, migrations.RunPython.noop)]
