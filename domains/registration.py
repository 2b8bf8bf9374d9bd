"""Registering new domains: what they cost, buying them once, and what came of it.

A request reads one thing outside, bounded in time: whether the domain is free, at what price, and
whether the account can pay (docs/decisions/0007). Only the state `DomainBought` buys.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from domains import selectors
from domains.contacts import clean_contact
from domains.models import Domain, Registration
from domains.names import DomainName, clean_domain
from domains.providers.base import Contact, Offer, RegisteredDomain
from domains.registrars import REGISTRARS
from domains.services import DomainTaken, check_claim, chosen_dns_credential, claim
from domains.vendors import registrar
from events.services import record
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid, LimitExceeded, ProviderError
from mpanel.core.money import Money
from provisioning.run import progress, say
from provisioning.services import start_job
from tenants.models import ProviderCredential
from tenants.selectors import chosen_credential

MOST_YEARS = 10
# An order whose answer was lost may still be under way; it is not repeated sooner.
SETTLES = timedelta(minutes=2)
# Registrars tell the day on which a domain was created, in a time zone of their own.
DAY_OF_ORDER = timedelta(days=2)
# For so long a domain whose order is open is kept, so that what was paid is not lost sight of.
MAY_ARRIVE = timedelta(days=1)


class RegistrarNotConnected(Conflict):
    """No registrar is connected yet. Add your Namecheap account under Credentials first."""

    code = "REGISTRAR_NOT_CONNECTED"


class DomainUnavailable(Invalid):
    """This domain is registered already. If it is yours, connect it instead."""

    code = "DOMAIN_UNAVAILABLE"


class PriceChanged(Conflict):
    """The domain costs more than was agreed. Nothing was bought."""

    code = "PRICE_CHANGED"


class PremiumDomain(Conflict):
    """This is a premium name. Agree to its price first."""

    code = "PREMIUM_DOMAIN"


class PaymentFailed(LimitExceeded):
    """The registrar's account has not enough funds for this domain. Add funds, then try again."""

    code = "PAYMENT_FAILED"


class AlreadyOwned(Conflict):
    """The domain is in your registrar's account already. Connect it instead of registering it."""

    code = "ALREADY_OWNED"


@dataclass(frozen=True)
class Quote:
    """What a domain costs now, for so many years, and who would pay.

    `balance` is what the account has to spend, None where the registrar did not say.
    `shown_balance` is the same where it is the customer's own to know.
    """

    name: DomainName
    years: int
    price: Money
    is_premium: bool
    credential: ProviderCredential
    balance: Money | None

    @property
    def shown_balance(self) -> Money | None:
        """What the customer may see of the balance: nothing of the host's account."""
        return None if self.credential.is_included else self.balance

    @property
    def is_affordable(self) -> bool:
        """Whether the account can pay, as far as we know."""
        return (
            self.balance is None
            or self.balance.currency != self.price.currency
            or self.balance.amount >= self.price.amount
        )


def look_up(actor: Actor, text: str, *, credential_id: UUID | None = None, years: int = 1) -> Quote:
    """Ask the registrar about a domain as a customer typed it; at most `LOOKUP_TIMEOUT` seconds.

    Raises `Invalid`, `DomainUnavailable`, `RegistrarNotConnected`, `ProviderError`, and whatever
    stands in the way of having one more domain (see `connect_domain`).
    """
    actor.require(ADMIN, "domains:write")
    credential = _chosen_registrar(actor, credential_id)
    if not 1 <= years <= MOST_YEARS:
        raise Invalid.field("years", f"Choose between 1 and {MOST_YEARS} years.")
    name = clean_domain(text, extra_suffixes=settings.EXTRA_SUFFIXES)
    with transaction.atomic():
        check_claim(actor, name)
    started = time.monotonic()
    try:
        (offer,) = registrar(credential, timeout=settings.LOOKUP_TIMEOUT).check(
            [name.ascii], years=years
        )
    except ProviderError as error:
        raise _nothing_bought(error) from error
    if not offer.is_available:
        raise DomainUnavailable(details={"domain": [_sentence(DomainUnavailable)]})
    if offer.price is None:
        raise DomainUnavailable(
            f"{name.unicode} cannot be bought here for that many years.",
            details={"domain": [f"{name.unicode} cannot be bought here for that many years."]},
        )
    left = max(0.5, settings.LOOKUP_TIMEOUT - (time.monotonic() - started))
    return Quote(name, years, offer.price, offer.is_premium, credential, _balance(credential, left))


def _nothing_bought(error: ProviderError) -> ProviderError:
    """The same failure, with what it means for who asked."""
    then = " Try again in a few minutes." if error.retryable else ""
    return ProviderError(
        error.error_code,
        f"{error.message} Nothing was bought.{then}",
        retryable=error.retryable,
        retry_after=error.retry_after,
    )


def _balance(credential: ProviderCredential, timeout: float) -> Money | None:
    """What the account can spend; buying would tell too, so no answer is no reason to stop."""
    try:
        return registrar(credential, timeout=timeout).balance()
    except ProviderError:
        return None


@dataclass(frozen=True)
class Order:
    """What may be bought: a domain at a price that can be paid, for whom, and with which DNS."""

    quote: Quote
    contact: Contact
    dns_credential: ProviderCredential
    max_cost: int


def prepare_order(
    actor: Actor,
    text: str,
    *,
    credential_id: UUID | None = None,
    dns_credential_id: UUID | None = None,
    years: int = 1,
    contact: Mapping[str, object] | None = None,
    max_cost: int | None = None,
    max_price: Decimal | None = None,
) -> Order:
    """Ask the registrar, and agree to its price; nothing is written.

    `contact`: the fields of `Contact`; without it, the one that was used last. `max_cost`: the
    most that may be spent, in minor units of the registrar's currency; without it, the price of
    this moment, which is refused for premium names; `max_price` says the same in major units.
    Raises what `look_up` raises, `PriceChanged`, `PremiumDomain`, `PaymentFailed`, `Invalid` with
    the contact's fields that are missing.
    """
    actor.require(ADMIN, "domains:write")
    person = clean_contact(contact) if contact is not None else _last_contact(actor)
    dns_credential = chosen_dns_credential(actor, dns_credential_id)
    quote = look_up(actor, text, credential_id=credential_id, years=years)
    if max_price is not None:
        max_cost = Money.of(max_price, quote.price.currency).amount
    _agree(quote, max_cost)
    return Order(
        quote, person, dns_credential, quote.price.amount if max_cost is None else max_cost
    )


@transaction.atomic
def register_domain(actor: Actor, order: Order) -> Registration:
    """Register a new domain and set it up like a connected one; the registrar's account pays."""
    actor.require(ADMIN, "domains:write")
    quote, provider = order.quote, order.quote.credential.provider
    domain = claim(
        actor,
        quote.name,
        credential=order.dns_credential,
        registrar=provider if provider in REGISTRARS else "other",
    )
    registration = Registration(
        tenant_id=actor.tenant_id,
        domain=domain,
        name=domain.name,
        credential=quote.credential,
        provider=provider,
        years=quote.years,
        cost=quote.price.amount,
        max_cost=order.max_cost,
        currency=quote.price.currency,
    )
    registration.set_contact(order.contact)
    registration.save()
    record(
        actor,
        "domain.registering",
        domain,
        f"Asked to register {domain} for {quote.price}.",
        changes={
            "years": quote.years,
            "cost": quote.price.amount,
            "currency": quote.price.currency,
        },
    )
    start_job(
        actor,
        "domains.register",
        label="Register the domain",
        subject_id=domain.pk,
        subject_label=str(domain),
        lock=f"domain:{domain.pk}",
    )
    return registration


def _agree(quote: Quote, max_cost: int | None) -> None:
    """Raise unless the price may be spent, and can be."""
    shown = {"cost": quote.price.amount, "currency": quote.price.currency}
    if max_cost is None and quote.is_premium:
        raise PremiumDomain(
            f"{quote.name.unicode} is a premium name and costs {quote.price}. Agree to that "
            "price first.",
            details=shown,
        )
    if max_cost is not None and quote.price.amount > max_cost:
        raise PriceChanged(
            f"{quote.name.unicode} costs {quote.price} now, more than was agreed. Nothing was "
            "bought.",
            details=shown,
        )
    if not quote.is_affordable and quote.credential.is_included:
        raise PaymentFailed(
            f"The host’s account cannot pay for {quote.name.unicode} now. Ask the host, or use a "
            "registrar’s account of your own.",
            details=shown,
        )
    if not quote.is_affordable:
        raise PaymentFailed(
            f"{quote.name.unicode} costs {quote.price}, and the account “{quote.credential}” has "
            f"{quote.balance}. Add funds at {quote.credential.provider_label}, then try again.",
            details={**shown, "balance": quote.balance.amount if quote.balance else None},
        )


def _chosen_registrar(actor: Actor, credential_id: UUID | None) -> ProviderCredential:
    found = chosen_credential(actor, credential_id, port="registrar", of="registrar")
    if found is None:
        raise RegistrarNotConnected
    return found


def _last_contact(actor: Actor) -> Contact:
    """The contact that was used last. Raises `Invalid` with what is needed where there is none."""
    known = selectors.last_contact(actor)
    return clean_contact(asdict(known) if known is not None else {})


def _sentence(error: type[Invalid]) -> str:
    return error().message


# --- Called by states, not by people -----------------------------------------------------------


def buy(domain: Domain) -> None:
    """Buy the domain, which was just seen not to be in the account.

    The intent is committed before the one call. An order whose answer was lost is not repeated
    before it has had time to appear.
    """
    registration = domain.registration
    if domain.status == Domain.DELETING:
        raise Conflict(f"{domain} is being disconnected, so it is not registered.")
    vendor = registrar(credential_of(registration))
    asked = registration.asked_at
    if asked is not None and timezone.now() - asked < SETTLES:
        raise _unsettled(registration)
    (offer,) = vendor.check([domain.name], years=registration.years)
    if not offer.is_available and asked is not None:
        raise _unsettled(registration)
    _check_still_agreed(registration, offer)
    progress(1, 2)  # a runner that lost its lease stops here, before it spends anything
    _ask(registration)
    try:
        order = vendor.register(
            offer,
            years=registration.years,
            contact=registration.contact,
            nameservers=domain.nameservers,
        )
    except ProviderError as error:
        if not error.ambiguous:
            Registration.objects.filter(pk=registration.pk).update(asked_at=None)
        raise
    charged = order.charged or offer.price
    registration.remote_ids = order.ids or {"ordered": "yes"}
    if charged is not None:
        registration.cost, registration.currency = charged.amount, charged.currency
    registration.save(update_fields=["remote_ids", "cost", "currency", "updated_at"])
    say(f"Bought {domain} for {registration.price}.")


def may_be_ordered(registration: Registration, owned: RegisteredDomain) -> bool:
    """Whether a domain in the account may come from our order, whose answer we do not know.

    One that is older than the order is the account holder's, or another tenant's.
    """
    asked = registration.asked_at
    if asked is None:
        return False
    return owned.created_at is None or owned.created_at > asked - DAY_OF_ORDER


def credential_of(registration: Registration) -> ProviderCredential:
    """The registrar's account that pays."""
    if registration.credential is None:
        raise Conflict(
            "The registrar's credential was removed. Disconnect the domain, and begin again."
        )
    return registration.credential


def _unsettled(registration: Registration) -> ProviderError:
    return ProviderError(
        "ORDER_UNSETTLED",
        f"{registration} was ordered, but the answer was lost. We look whether it arrives before "
        "we order again.",
        retryable=True,
    )


def _check_still_agreed(registration: Registration, offer: Offer) -> None:
    if not offer.is_available or offer.price is None:
        raise DomainUnavailable("Somebody else has registered this domain. Nothing was bought.")
    agreed = Money(registration.max_cost, registration.currency)
    if offer.price.currency != agreed.currency or offer.price.amount > agreed.amount:
        raise PriceChanged(
            f"The domain costs {offer.price} now; {agreed} was agreed. Nothing was bought. "
            "Disconnect it here and register it again at the new price."
        )


def _ask(registration: Registration) -> None:
    """Commit that the registrar is about to be asked; one runner, one tenant at a time."""
    try:
        with transaction.atomic():
            now = Registration.objects.select_for_update().get(pk=registration.pk)
            if (now.status, now.asked_at) != (registration.status, registration.asked_at):
                raise _unsettled(registration)
            registration.move(Registration.BUYING, asked_at=timezone.now())
    except IntegrityError:
        raise DomainTaken("Another account is registering this domain just now.") from None


def note(domain: Domain) -> None:
    """The domain is in the account: keep that it is this tenant's, once."""
    registration = domain.registration
    vendor = registrar(credential_of(registration))
    owned = vendor.info(domain.name)
    if owned is None:
        raise ProviderError("NOT_THERE_YET", f"{domain} cannot be seen just now.", retryable=True)
    renews = vendor.renews_itself(domain.name)
    try:
        with transaction.atomic():
            if registration.status != Registration.BUYING:
                registration.move(Registration.BUYING)
            registration.move(
                Registration.REGISTERED,
                remote_id=owned.id,
                registered_at=timezone.now(),
                expires_at=owned.expires_at,
                auto_renews=renews,
                error_code="",
                error_message="",
            )
            record(
                system(domain.tenant_id),
                "domain.registered",
                domain,
                f"Registered {domain} for {registration.price}.",
                changes={"cost": registration.cost, "currency": registration.currency},
            )
    except IntegrityError:
        raise DomainTaken("Another account here has registered this domain.") from None


@transaction.atomic
def fail_registration(domain: Domain, code: str, message: str) -> None:
    """The job gave up. What is registered stays so; else the domain can be retried or removed."""
    registration = Registration.objects.get(domain=domain)
    if registration.status in {Registration.REGISTERED, Registration.FAILED}:
        return
    registration.move(Registration.FAILED, error_code=code, error_message=message)
    record(
        system(domain.tenant_id),
        "registration.failed",
        domain,
        f"{_how_it_stands(registration)}: {message}",
        changes={"code": code},
    )


def _how_it_stands(registration: Registration) -> str:
    """What a job that ended early leaves: whoever pays must know whether money was spent."""
    if registration.was_ordered:
        return f"{registration} was bought for {registration.price}, but is not set up"
    if registration.asked_at is not None:
        return f"{registration} was ordered and may have been bought, but is not set up"
    return f"{registration} was not registered"


def cancel_registration(domain: Domain) -> None:
    """Somebody stopped the job."""
    fail_registration(domain, "CANCELLED", "Cancelled before it was done.")


@transaction.atomic
def reopen_registration(domain: Domain) -> None:
    """A person retries the job."""
    registration = Registration.objects.get(domain=domain)
    if registration.status == Registration.FAILED:
        registration.move(Registration.PENDING, error_code="", error_message="")


def purchase_under_way(domain: Domain) -> str:
    """Why a domain cannot be disconnected: its purchase is not decided yet. "" when it can.

    An order that was cancelled or lost may have been paid: trying the job again finds what was
    bought. Where that cannot be, the domain may go after a day.
    """
    found = Registration.objects.filter(domain=domain).exclude(status=Registration.REGISTERED)
    registration = found.first()
    if registration is None:
        return ""
    if registration.status == Registration.BUYING:
        return "It is being bought just now. Wait until that is done or has failed."
    asked = registration.asked_at
    if asked is None or asked < timezone.now() - MAY_ARRIVE:
        return ""
    return (
        "It was ordered, and may have been paid. Try its registration again, so that what was "
        "bought is found; then it can be disconnected."
    )
