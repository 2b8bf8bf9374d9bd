"""Write every stored e-mail address in its one form.

Several users of one mailbox are kept apart: the one whose address was in that form already keeps
it, else the oldest. The others keep tenant, data, sessions and keys, get a placeholder that
nobody can sign in with, and are listed in the log and in the admin (filter "address").
"""

import logging

from django.db import migrations

from mpanel.core.addresses import clean_address, placeholder_address
from mpanel.core.errors import Invalid
from mpanel.core.invisible import is_invisible

logger = logging.getLogger("mpanel.migrations")


def written_out(text):
    """The address to which mail went; "" where none can have arrived."""
    try:
        return clean_address("".join(letter for letter in text if not is_invisible(letter)))
    except Invalid:
        return ""


def clean_users(apps, schema_editor):
    User = apps.get_model("tenants", "User")
    users = list(User.objects.order_by("created_at", "id"))
    wanted = {user.pk: written_out(user.email) for user in users}
    keeps = {user.email: user.pk for user in users if wanted[user.pk] == user.email}
    for user in users:
        keeps.setdefault(wanted[user.pk], user.pk)
    changed = [user for user in users if wanted[user.pk] != user.email]
    # Those that give theirs up first, so that no address is there twice in between.
    for user in sorted(changed, key=lambda one: keeps[wanted[one.pk]] == one.pk):
        address = wanted[user.pk]
        if address and keeps[address] == user.pk:
            user.email = address
        else:
            user.former_email, user.email = user.email, placeholder_address(user.pk)
            why = f"{address} is another user" if address else "no mail can arrive there"
            logger.warning("user %s gave up %a: %s", user.pk, user.former_email, why)
        user.save(update_fields=["email", "former_email"])


def clean_others(apps, schema_editor):
    for name in ("Customer", "OneTimeCode"):
        for row in apps.get_model("tenants", name).objects.all():
            address = written_out(row.email)
            if address and address != row.email:
                row.email = address
                row.save(update_fields=["email"])
    credentials = apps.get_model("tenants", "ProviderCredential").objects
    for credential in credentials.filter(provider="google-workspace"):
        address = written_out(credential.public.get("admin_email", ""))
        if address and address != credential.public["admin_email"]:
            credential.public["admin_email"] = address
            credential.save(update_fields=["public"])


class Migration(migrations.Migration):
    dependencies = [("tenants", "0008_former_addresses")]

    operations = [
        migrations.RunPython(clean_users, migrations.RunPython.noop),
        migrations.RunPython(clean_others, migrations.RunPython.noop),
    ]
