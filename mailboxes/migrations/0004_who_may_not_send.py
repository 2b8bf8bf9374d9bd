"""Which senders the mail server refuses though their login is good, and the sentence it tells them.

The end of a trial and a suspended tenant stop sending; mail still arrives and can be read, and a
paid plan lifts it at once. Postfix looks a sender up in its access map; no row, no refusal.
"""

from django.db import migrations

from mailservers.mailviews import change


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0003_names_in_the_admin"),
        ("billing", "0003_plan_chosen_for_later"),
        ("tenants", "0004_names_in_the_admin"),
    ]

    operations = [change(1, 2)]
