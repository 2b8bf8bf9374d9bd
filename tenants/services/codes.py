"""One-time codes by e-mail: asked for in a request, made and sent by a worker, used once."""

import contextlib
import smtplib
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F, Q
from django.template.loader import render_to_string
from django.utils import timezone
from django_q.tasks import async_task

from mpanel.core.addresses import clean_address
from mpanel.core.errors import Invalid, TooManyRequests
from mpanel.core.locks import hold
from mpanel.core.secrets import digest, numeric_code, same
from tenants.models import OneTimeCode

GOOD_FOR = timedelta(minutes=10)
TRIES = 5
WINDOW = timedelta(minutes=15)
PER_EMAIL = 5  # codes per window
PER_ADDRESS = 20  # codes per window
WRONG_PER_ADDRESS = 30  # wrong tries per window


class CodeRefused(Invalid):
    """That code is wrong or has expired. Ask for a new one and use the newest."""

    code = "CODE_REFUSED"


@transaction.atomic
def ask_for_code(
    email: str,
    *,
    address: str,
    purpose: str = OneTimeCode.SIGN_IN,
    subject_id: UUID | None = None,
    params: dict[str, Any] | None = None,
) -> OneTimeCode:
    """Ask for a code by e-mail, whether or not the address is known to us.

    Raises `TooManyRequests` beyond the limits per e-mail address and per network address.
    """
    email = clean_address(email)
    # Whoever counts and then inserts does both under these, taken in one order.
    hold(f"codes for {email}")
    hold(f"codes from {address}")
    since = timezone.now() - WINDOW
    recent = OneTimeCode.objects.filter(created_at__gt=since)
    if (
        recent.filter(email=email).count() >= PER_EMAIL
        or recent.filter(address=address).count() >= PER_ADDRESS
    ):
        raise TooManyRequests(
            "Too many codes were asked for. Use the newest one, or wait a quarter of an hour.",
            retry_after=int(WINDOW.total_seconds()),
        )
    asked = OneTimeCode.objects.create(
        email=email,
        purpose=purpose,
        subject_id=subject_id,
        params=params or {},
        address=address,
        expires_at=timezone.now() + GOOD_FOR,
    )
    async_task("tenants.tasks.send_code", str(asked.pk))
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
        OneTimeCode.REVEAL: f"{code} reveals a mailbox password",
        OneTimeCode.KEY: f"{code} makes an API key that may see mailbox passwords",
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
    """Send what was asked for but not sent: its message was lost, or the mail server was down."""
    now = timezone.now()
    waiting = OneTimeCode.objects.filter(
        sent_at=None, expires_at__gt=now, created_at__lt=now - timedelta(seconds=5)
    ).values_list("pk", flat=True)[:100]
    for code_id in waiting:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            send_code(code_id)


def use_code(
    email: str,
    code: str,
    *,
    address: str,
    purpose: str = OneTimeCode.SIGN_IN,
    subject_id: UUID | None = None,
) -> OneTimeCode:
    """Use up the newest code of this address and purpose. Raises `CodeRefused`."""
    checked = check_code(
        email, code, address=address, purpose=purpose, about=Q(subject_id=subject_id)
    )
    use_up(checked)
    return checked


def check_code(email: str, code: str, *, address: str, purpose: str, about: Q) -> OneTimeCode:
    """The newest request for a code of this purpose, if this is its code; it stays usable.

    Every try counts, before it is compared, so parallel guesses cannot have more than `TRIES`.
    Raises `CodeRefused`, `TooManyRequests`.
    """
    now = timezone.now()
    wrong = OneTimeCode.objects.filter(address=address, created_at__gt=now - WINDOW, used_at=None)
    if sum(wrong.values_list("tries", flat=True)) >= WRONG_PER_ADDRESS:
        raise TooManyRequests(
            "Too many wrong codes. Wait a quarter of an hour, then ask for a new one.",
            retry_after=int(WINDOW.total_seconds()),
        )
    newest = (
        OneTimeCode.objects.filter(
            about,
            email=clean_address(email),
            purpose=purpose,
            sent_at__isnull=False,
            expires_at__gt=now,
        )
        .order_by("-id")
        .first()
    )
    if newest is None:
        raise CodeRefused
    open_tries = OneTimeCode.objects.filter(pk=newest.pk, used_at=None, tries__lt=TRIES)
    if not open_tries.update(tries=F("tries") + 1):
        raise CodeRefused
    given = digest(f"{newest.pk}:{''.join(code.split())}")
    if not newest.code_hash or not same(given, newest.code_hash):
        raise CodeRefused
    return newest


def use_up(checked: OneTimeCode) -> None:
    """Nobody can use this code again; of two at once the second is refused."""
    now = timezone.now()
    if not OneTimeCode.objects.filter(pk=checked.pk, used_at=None).update(used_at=now):
        raise CodeRefused


def forget_old_codes() -> None:
    """Drop requests for codes that can no longer be used nor count against a limit."""
    OneTimeCode.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1)).delete()
