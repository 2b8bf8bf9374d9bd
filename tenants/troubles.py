"""What can be wrong with a credential."""

from django.db.models import Q

from mpanel.core import troubles
from mpanel.core.troubles import Trouble
from tenants.models import ProviderCredential
from tenants.selectors import credentials


def _gone() -> Q:
    return Q(is_included=True) & ~Q(pk__in=ProviderCredential.objects.usable().values("pk"))


troubles.watch(
    ProviderCredential,
    noun="credential,credentials",
    url_name="credential-list",
    rows=credentials,
)
troubles.register(
    ProviderCredential,
    Trouble(
        "refused",
        "Refused",
        "The provider refuses it, so nothing that needs it works. Renew it, then test it.",
        lambda: Q(result=ProviderCredential.REFUSED) & ~_gone(),
        in_status=True,
    ),
    Trouble(
        "unreachable",
        "No answer",
        "The provider did not answer when it was tested last. Test it again.",
        lambda: Q(result=ProviderCredential.UNREACHABLE) & ~_gone(),
        tone="warning",
        in_status=True,
    ),
    Trouble(
        "gone",
        "No longer included",
        "The host no longer includes it. Use a credential of your own.",
        _gone,
        tone="warning",
        in_status=True,
    ),
)
