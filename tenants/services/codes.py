"""One-time codes by e-mail: asked for in a request, made and sent by a worker, used once."""

import contextlib
import smtplib
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F, Q
from django.template.loader import render_to_string
from django.utils import timezone

from mpanel.core import queues
from mpanel.core.addresses import clean_address
from mpanel.core.errors import Invalid, TooManyRequests
from mpanel.core.locks import advisory_lock
from mpanel.core.periodic import Slice
from mpanel.core.pruning import prune
from mpanel.core.secrets import digest, numeric_code, same
from tenants.models import OneTimeCode
from tenants.services.guesses import WINDOW, Asker, asker_of, count_guess, forgive

GOOD_FOR = timedelta(minutes=10)
TRIES = 5  # of a code by who asked for it, and as many by all others together
PER_PAIR = 5  # codes of one purpose, per window, that one asker gets for one mailbox
PER_MAILBOX = 6  # usable codes of one purpose in one mailbox, asked for by who is not known
KNOWN_PER_MAILBOX = 20  # codes of one purpose, per window, asked for by who is known


class CodeRefused(Invalid):
    """That code is wrong or has expired. Ask for a new one and use the newest."""

    code = "CODE_REFUSED"


@transaction.atomic
def ask_for_code(
    email: str,
    *,
    address: str,
    device: UUID | None = None,
    purpose: str = OneTimeCode.SIGN_IN,
    subject_id: UUID | None = None,
    params: dict[str, Any] | None = None,
) -> OneTimeCode:
    """Ask for a code by e-mail, whether or not the address is known to us.

    Who is refused because of strangers finds a usable code in the mailbox: theirs go there, too.
    Raises `Invalid`, and `TooManyRequests` beyond the limits of the asker or the mailbox.
    """
    email = clean_address(email)
    asker = asker_of(email, address=address, device=device)
    # Locked before they are counted, in one order.
    advisory_lock(f"codes for {email}")
    advisory_lock(f"codes by {asker.key}")
    _require_few_codes(email, purpose, asker)
    asked = OneTimeCode.objects.create(
        email=email,
        purpose=purpose,
        subject_id=subject_id,
        params=params or {},
        address=address,
        asker=asker.key,
        known=asker.known,
        expires_at=timezone.now() + GOOD_FOR,
    )
    queues.send("tenants.tasks.send_code", str(asked.pk), queue=queues.URGENT)
    return asked


def send_code(code_id: UUID) -> bool:
    """Make the code and send it, once: a second message for the same request has no effect."""
    claimed = OneTimeCode.objects.filter(
        pk=code_id, sent_at=None, used_at=None, expires_at__gt=timezone.now()
    )
    if not claimed.update(sent_at=timezone.now()):
        return False
    asked = OneTimeCode.objects.get(pk=code_id)
    code = numeric_code()
    OneTimeCode.objects.filter(pk=code_id).update(code_hash=digest(f"{code_id}:{code}"))
    context = {"code": code, "purpose": asked.purpose, "minutes": GOOD_FOR.seconds // 60}
    subject = {
        OneTimeCode.SIGN_IN: f"{code} is your mPanel sign-in code",
        OneTimeCode.REVEAL: f"{code} lets you see or set mailbox passwords",
        OneTimeCode.CONFIRM: f"{code} confirms that it is you in mPanel",
        OneTimeCode.REGISTER: f"{code} confirms your e-mail address for mPanel",
        OneTimeCode.RESET: f"{code} sets a new mPanel password",
    }[asked.purpose]
    try:
        send_mail(subject, render_to_string("tenants/code_email.txt", context), None, [asked.email])
    except (OSError, smtplib.SMTPException):
        # Not sent, so the next look may try again; the code of this try is forgotten.
        OneTimeCode.objects.filter(pk=code_id).update(sent_at=None, code_hash="")
        raise
    return True


def send_forgotten_codes() -> None:
    """Send what was asked for but not sent: its message was lost, or the mail server was down.

    The newest first: people wait for those.
    """
    present = Slice()
    now = timezone.now()
    waiting = OneTimeCode.objects.filter(
        sent_at=None, expires_at__gt=now, created_at__lt=now - timedelta(seconds=5)
    ).order_by("-id")
    for code_id in waiting.values_list("pk", flat=True)[:100]:
        if present.is_over:
            break
        with contextlib.suppress(OSError, smtplib.SMTPException):
            send_code(code_id)


def use_code(
    email: str,
    code: str,
    *,
    address: str,
    device: UUID | None = None,
    purpose: str = OneTimeCode.SIGN_IN,
    subject_id: UUID | None = None,
) -> OneTimeCode:
    """Use up the newest code of this address and purpose. Raises `CodeRefused`."""
    checked = check_code(
        email, code, address=address, device=device, purpose=purpose, about=Q(subject_id=subject_id)
    )
    use_up(checked)
    return checked


def check_code(
    email: str, code: str, *, address: str, device: UUID | None = None, purpose: str, about: Q
) -> OneTimeCode:
    """The request for a code of this purpose whose code this is; it stays usable.

    The newest that this asker sent counts, and the newest that others sent to the mailbox: they
    can neither replace the asker's own nor use up its tries. Every try counts, before it is
    compared, so parallel guesses cannot have more. Raises `CodeRefused`, `TooManyRequests`.
    """
    email = clean_address(email)
    asker = asker_of(email, address=address, device=device)
    guess = count_guess(f"code {purpose}", email, asker)
    usable = OneTimeCode.objects.filter(
        about, email=email, purpose=purpose, sent_at__isnull=False, expires_at__gt=timezone.now()
    ).order_by("-id")
    for column, newest in (
        ("tries", usable.filter(asker=asker.key).first()),
        ("tries_elsewhere", usable.exclude(asker=asker.key).first()),
    ):
        if newest and _is_code_of(newest, code, column):
            forgive(guess)
            return newest
    raise CodeRefused


def _is_code_of(asked: OneTimeCode, code: str, column: str) -> bool:
    """Whether this is the code, at the cost of one try."""
    open_tries = OneTimeCode.objects.filter(pk=asked.pk, used_at=None, **{f"{column}__lt": TRIES})
    if not open_tries.update(**{column: F(column) + 1}):
        return False
    given = digest(f"{asked.pk}:{''.join(code.split())}")
    return bool(asked.code_hash) and same(given, asked.code_hash)


def _require_few_codes(email: str, purpose: str, asker: Asker) -> None:
    now = timezone.now()
    recent = OneTimeCode.objects.filter(created_at__gt=now - WINDOW)
    here = recent.filter(email=email, purpose=purpose)
    too_many = here.filter(asker=asker.key).count() >= PER_PAIR
    if asker.known:
        too_many = too_many or here.filter(known=True).count() >= KNOWN_PER_MAILBOX
    else:
        # Those that the asker could enter: codes that others guessed away would lock them out.
        strangers = OneTimeCode.objects.filter(
            email=email,
            purpose=purpose,
            known=False,
            used_at=None,
            expires_at__gt=now,
            tries_elsewhere__lt=TRIES,
        )
        too_many = (
            too_many
            or recent.filter(asker=asker.key, known=False).count() >= settings.CODES_PER_NETWORK
            or strangers.count() >= PER_MAILBOX
        )
    if too_many:
        raise TooManyRequests(
            "Too many codes were asked for. Use the newest one, or wait a quarter of an hour.",
            retry_after=int(WINDOW.total_seconds()),
        )


def use_up(checked: OneTimeCode) -> None:
    """Nobody can use this code again; of two at once the second is refused."""
    now = timezone.now()
    if not OneTimeCode.objects.filter(pk=checked.pk, used_at=None).update(used_at=now):
        raise CodeRefused


def forget_old_codes() -> bool:
    """Drop requests for codes that can no longer be used nor count against a limit."""
    return prune(OneTimeCode.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1)))
