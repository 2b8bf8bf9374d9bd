"""Tenants that share the name they began with get the whole address of their first owner."""

from itertools import batched

from django.db import migrations
from django.db.models import Count, OuterRef, Subquery

AT_ONCE = 500


def tell_apart(apps, schema_editor):
    tenants = apps.get_model("tenants", "Tenant").objects
    members = apps.get_model("tenants", "Membership").objects
    names = tenants.values("name").annotate(number=Count("pk")).filter(number__gt=1)
    owners = members.filter(tenant=OuterRef("pk"), role="owner").order_by("created_at", "pk")
    shared = tenants.filter(name__in=names.values("name")).annotate(
        first=Subquery(owners.values("user__email")[:1])
    )
    # A name that somebody chose stays.
    begun = [one for one in shared if (one.first or "").partition("@")[2] == one.name]
    for some in batched(begun, AT_ONCE):
        for tenant in some:
            tenant.name = tenant.first[:120]
        tenants.bulk_update(some, ["name"])


class Migration(migrations.Migration):
    dependencies = [("tenants", "0012_invitations")]
    operations = [migrations.RunPython(tell_apart, migrations.RunPython.noop)]
