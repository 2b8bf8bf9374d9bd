"""Our DKIM keys in a zone: each is made at its first use and kept sealed."""

from dataclasses import replace

from django.db import transaction
from django.utils import timezone

from dnszones.dkim import key_choice
from dnszones.dkim import records as dkim
from dnszones.mail_records import MailSetup
from dnszones.models import DkimKey, Zone
from mpanel.core.errors import Conflict

OWN_DKIM = ("mailserver", "custom")


MOST_DKIM_KEYS = 10  # in one zone: each is made and kept for anyone who names a new selector


class TooManyKeys(Conflict):
    """This zone has the most DKIM keys that it can have. Use one of its selectors."""

    code = "TOO_MANY_DKIM_KEYS"


def with_own_key(zone: Zone, setup: MailSetup) -> MailSetup:
    """The setup with our DKIM key filled in, where the platform signs with ours."""
    if setup.platform not in OWN_DKIM or setup.dkim_value:
        return setup
    key = dkim_key(zone, key_choice.selector_for(zone, setup))
    return replace(setup, dkim_selector=key.selector, dkim_value=key.public_value)


@transaction.atomic
def dkim_key(zone: Zone, selector: str) -> DkimKey:
    """Our DKIM key of a selector, made at the first call. Raises `TooManyKeys`."""
    Zone.objects.select_for_update().get(pk=zone.pk)
    if known := zone.dkim_keys.filter(selector=selector).first():
        return known
    if zone.dkim_keys.exclude(status=DkimKey.RETIRED).count() >= MOST_DKIM_KEYS:
        raise TooManyKeys
    pair = dkim.make_key()
    is_first = not zone.dkim_keys.filter(status=DkimKey.SIGNING).exists()
    key = DkimKey(zone=zone, selector=selector, public_value=pair.value)
    if is_first:
        key.status, key.signing_since = DkimKey.SIGNING, timezone.now()
    key.seal_private(pair.private_pem)
    key.save()
    return key
