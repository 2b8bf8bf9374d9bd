"""Every tenant that exists gets its customer: the contact is its first owner."""

from django.db import migrations


def add_customers(apps, schema_editor):
    Tenant = apps.get_model("tenants", "Tenant")
    Customer = apps.get_model("tenants", "Customer")
    Membership = apps.get_model("tenants", "Membership")
    owners = {}
    for membership in (
        Membership.objects.filter(role="owner").select_related("user").order_by("-id")
    ):
        owners[membership.tenant_id] = membership.user
    Customer.objects.bulk_create(
        Customer(tenant=tenant, name=owner.name, email=owner.email)
        for tenant in Tenant.objects.filter(customer=None)
        if (owner := owners.get(tenant.pk))
    )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_sessions_keys_and_second_factors")]

    operations = [migrations.RunPython(add_customers, migrations.RunPython.noop)]
