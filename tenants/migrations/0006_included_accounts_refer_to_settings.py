"""Copies of the host's accounts become references to the settings.

A row is such a copy if it holds the host's secret, whatever else a customer wrote beside it; or if
it has the label of an included account and nobody changed it since it was made, so that its secret
is the host's of that time. Every PowerDNS row is one: the server is the host's. A tenant's copies
of one account become one row.
"""

import json

from django.db import migrations

from mpanel.core.secrets import Unsealable, unseal
from tenants import included

SECRETS = {
    ("dns", "cloudflare"): "api_token",
    ("dns", "powerdns"): "api_key",
    ("registrar", "namecheap"): "api_key",
    ("mail", "google-workspace"): "service_account_json",
    ("outreach", "smartlead"): "api_key",
    ("outreach", "instantly"): "api_key",
}


def refer_to_settings(apps, schema_editor):
    credentials = apps.get_model("tenants", "ProviderCredential").objects
    changes = apps.get_model("events", "Event").objects.filter(action="credential.updated")
    for (port, provider), secret in SECRETS.items():
        account = included.ACCOUNTS[port, provider]
        hosts = (account.read() or {}).get(secret)
        kept = {}
        for row in credentials.filter(port=port, provider=provider).order_by("pk"):
            updated = changes.filter(subject_id=row.pk)
            is_copy = (
                provider == "powerdns"
                or (hosts and hosts == _secret(row, secret))
                or (row.label == account.label and not updated.exists())
            )
            if not is_copy:
                if row.label == account.label:
                    credentials.filter(pk=row.pk).update(label=_free(credentials, row))
                continue
            first = kept.setdefault(row.tenant_id, row)
            if first.pk != row.pk:
                _move(apps, row, first)
                row.delete()
                continue
            credentials.filter(pk=row.pk).update(
                is_included=True,
                label=account.label,
                public={},
                sealed="",
                result="untested",
                result_message="",
            )


def _secret(row, name):
    try:
        value = json.loads(unseal(row.sealed, row=row, column="sealed")).get(name, "")
    except Unsealable:
        return ""
    return value.strip()


def _free(credentials, row):
    """The label of an included account is the host's: a customer's own gets another one."""
    label = f"{row.label} (own)"
    taken = set(credentials.filter(tenant_id=row.tenant_id).values_list("label", flat=True))
    number = 2
    while label in taken:
        label, number = f"{row.label} (own {number})", number + 1
    return label


def _move(apps, row, other):
    """Whatever refers to this row refers to the other one."""
    for app, model, column in (
        ("domains", "Domain", "dns_credential_id"),
        ("domains", "Registration", "credential_id"),
        ("mailboxes", "MailDomain", "credential_id"),
        ("mailboxes", "OutreachLink", "credential_id"),
    ):
        rows = apps.get_model(app, model).objects.filter(**{column: row.pk})
        rows.update(**{column: other.pk})


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0005_included_accounts"),
        ("domains", "0002_registrations"),
        ("events", "0003_sealed_events_are_final"),
        ("mailboxes", "0009_outreach_links_let_go"),
    ]

    operations = [migrations.RunPython(refer_to_settings, migrations.RunPython.noop)]
