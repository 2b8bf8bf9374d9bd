"""Many customers at once, as rows made by PostgreSQL itself: for plans and benchmarks at scale."""

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from billing.models import Account
from deliverability.models import SendingDay
from dnszones.dkim.keys import dkim_key
from dnszones.models import Record, Zone
from domains.models import Domain
from mailboxes.models import Alias, Mailbox
from mailboxes.services import place_domain
from mailservers.models import MailDomain
from tenants.models import Tenant
from tests.cast import owner

REAL = "box@pattern.test"
A_DOMAIN, A_TENANT = 10, 20  # mailboxes of each


class Crowd:
    """So many mailboxes, ten of a domain and two domains of a tenant, beside one that is real.

    10,000 mailboxes take a second. Statistics are made anew, as autovacuum would. Mailbox
    number `n` is `address(n)`; a tenth of the mailboxes have an alias, every domain has a key, and
    everybody has sent something today. The keys of copies
    open nowhere, as a key is bound to its row: only `REAL`'s mail can be signed.
    """

    def __init__(self, number: int, *, beside: "Crowd | None" = None) -> None:
        self.number = number
        self.first = beside.number if beside else 0
        self._pattern: tuple[Model, ...] = beside._pattern if beside else _one_of_everything()
        self._grow()

    def address(self, number: int) -> str:
        """Of a mailbox, counted from 0."""
        return f"box{number}@d{number // A_DOMAIN}.test"

    def alias(self, number: int) -> str:
        """Of a mailbox whose number is divisible by ten."""
        return f"team{number}@d{number // A_DOMAIN}.test"

    def _grow(self) -> None:
        tenant, account, domain, place, zone, record, key, mailbox, alias, sent = self._pattern
        of_domain, of_tenant = f"(n / {A_DOMAIN})", f"(n / {A_TENANT})"
        at = f"'@d' || {of_domain} || '.test'"
        name = "'d' || n || '.test'"
        self._multiply(tenant, A_TENANT, name="'t' || n")
        self._multiply(account, A_TENANT, tenant_id=_id(Tenant, "n"))
        owned = _id(Tenant, f"(n / {A_TENANT // A_DOMAIN})")
        self._multiply(domain, A_DOMAIN, name=name, unicode_name=name, tenant_id=owned)
        self._multiply(place, A_DOMAIN, domain_id=_id(Domain, "n"), tenant_id=owned)
        self._multiply(zone, A_DOMAIN, domain_id=_id(Domain, "n"), remote_id=name)
        for purpose in ("dmarc", "tls-rpt", "mx", "spf", "dkim"):
            columns = {"purpose": f"'{purpose}'", "zone_id": _id(Zone, "n")}
            self._multiply(record, A_DOMAIN, salt=purpose, **columns)
        self._multiply(key, A_DOMAIN, zone_id=_id(Zone, "n"))
        theirs = {"domain_id": _id(Domain, of_domain), "tenant_id": _id(Tenant, of_tenant)}
        self._multiply(mailbox, 1, local_part="'box' || n", address=f"'box' || n || {at}", **theirs)
        aliased = {"local_part": "'team' || n * 10", "mailbox_id": _id(Mailbox, "n * 10")}
        self._multiply(
            alias,
            10,
            address=f"'team' || n * 10 || '@d' || n * 10 / {A_DOMAIN} || '.test'",
            domain_id=_id(Domain, f"(n * 10 / {A_DOMAIN})"),
            tenant_id=_id(Tenant, f"(n * 10 / {A_TENANT})"),
            **aliased,
        )
        self._multiply(sent, 1, subject_id=_id(Mailbox, "n"), tenant_id=_id(Tenant, of_tenant))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def _multiply(self, pattern: Model, per: int, *, salt: str = "", **columns: str) -> None:
        """Copies of a row, one for `per` mailboxes; columns are SQL over their number `n`.

        `salt`: tells the ids of several copies per number apart.
        """
        first, last = -(-self.first // per), (self.number - 1) // per
        columns["id"] = _id(type(pattern), f"'{salt}' || n" if salt else "n")
        table = pattern._meta.db_table
        names = [str(field.column) for field in pattern._meta.concrete_fields]
        values = [columns.get(name, f'pattern."{name}"') for name in names]
        listed = ", ".join(f'"{name}"' for name in names)
        statement = (
            f'INSERT INTO "{table}" ({listed}) SELECT {", ".join(values)}'  # noqa: S608
            f' FROM "{table}" pattern, generate_series({first}, {last}) n WHERE pattern.id = %s'
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, [pattern.pk])


def _id(model: type[Model], number: str) -> str:
    """The id of a row by its number, in SQL; spread as random ones are."""
    return f"md5('{model.__name__}' || {number})::uuid"


def _one_of_everything() -> tuple[Model, ...]:
    """The rows that are copied."""
    person = owner("pattern")
    tenant = person.tenant
    account, _ = Account.objects.get_or_create(tenant=tenant)
    Account.objects.filter(pk=account.pk).update(plan="enterprise")
    domain = Domain.objects.create(
        tenant=tenant,
        name="pattern.test",
        unicode_name="pattern.test",
        dns_credential=person.credential,
        status=Domain.PROVISIONED,
        verified_at=timezone.now(),
    )
    place_domain(domain)
    zone = Zone.objects.create(domain=domain, provider="cloudflare", remote_id="pattern.test")
    record = Record.objects.create(
        zone=zone,
        purpose="dmarc",
        name="_dmarc.pattern.test",
        type="TXT",
        content="v=DMARC1; p=none; rua=mailto:dmarc@pattern.test",
        ttl=300,
    )
    key = dkim_key(zone, "mpanel")
    mailbox = Mailbox(tenant=tenant, domain=domain, local_part="box", address=REAL, daily_limit=99)
    mailbox.status = Mailbox.ACTIVE
    mailbox.set_password("Right3password4here")
    mailbox.password_hash = "$2b$04$" + "x" * 53
    mailbox.save()
    alias = Alias.objects.create(
        tenant=tenant,
        domain=domain,
        mailbox=mailbox,
        local_part="team",
        address="team@pattern.test",
    )
    sent = SendingDay.objects.create(
        tenant=tenant, kind=SendingDay.MAILBOX, subject_id=mailbox.pk, day=timezone.now().date()
    )
    place = MailDomain.objects.get(domain=domain)
    return tenant, account, domain, place, zone, record, key, mailbox, alias, sent
