"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): the same request once.

The key's row, the effect and the answer are one transaction, except of what is done in slices
(`in_slices`). Whoever comes second waits at the
row's unique key until the first has committed, and gets its answer; a crash takes row and effect
away together, so that the next try begins anew.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from mpanel.core.actor import Actor
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.models import IdempotentAnswer
from mpanel.core.pruning import prune
from mpanel.core.secrets import digest

KEPT = timedelta(hours=24)
RUNS_FOR = timedelta(minutes=5)  # more than any request may take: what ran longer was cut off
LONGEST = 200


class KeyReused(Conflict):
    """This Idempotency-Key was used for another request. Make a new key for a new request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class StillRunning(Conflict):
    """The first request with this Idempotency-Key is still running. Try again in a minute."""

    code = "REQUEST_STILL_RUNNING"


def clean_key(text: str) -> str:
    """A key as it may be: printable ASCII of a sane length. Raises `Invalid`."""
    key = text.strip()
    if not key or len(key) > LONGEST or not (key.isascii() and key.isprintable()):
        raise Invalid.field(
            "Idempotency-Key", f"Send 1 to {LONGEST} printable ASCII characters, e.g. a UUID."
        )
    return key


def answered(key: str, *, whose: str, request: str, actor: Actor | None) -> Response | None:
    """The answer that this key of this caller was given already. Raises `KeyReused`.

    `actor`: who calls, None where nobody signs in. Raises `Forbidden` where the role that the
    answer was given to is theirs no longer, and `CodeNeeded` where a browser that was confirmed
    then needs a fresh code now: the answer may hold a secret.
    """
    name, wanted = _digests(key, whose, request)
    row = IdempotentAnswer.objects.filter(pk=name).first()
    if row is None or (row.request_digest == wanted and not row.status):
        return None  # it runs a slice at a time: `in_slices` says what becomes of it
    return _again(row, wanted, actor)


def once(
    key: str,
    *,
    whose: str,
    request: str,
    actor: Actor | None,
    work: Callable[[], Response],
) -> Response:
    """Do `work` once for this key of this caller; its answer again for the same `request`.

    Only a success is kept: what was refused had no effect, and may succeed later. Raises
    `KeyReused` for another request, and what `answered` raises.
    """
    name, wanted = _digests(key, whose, request)
    with transaction.atomic():
        if row := _new_row(name, wanted, actor):
            answer = work()
            if _is_success(answer):
                row.keep(status=answer.status_code, body=_rendered(answer))
            else:
                row.delete()
            return answer
    # Opened behind the transaction: nobody waits for that.
    return _again(IdempotentAnswer.objects.get(pk=name), wanted, actor)


def in_slices(
    key: str,
    *,
    whose: str,
    request: str,
    actor: Actor | None,
    work: Callable[[], Response],
) -> Response:
    """`once` for work that commits a slice at a time, and that done again ends in the same state.

    Who comes while it runs gets `StillRunning`; where it was cut off, the next request with this
    key does it again. Raises what `once` raises.
    """
    name, wanted = _digests(key, whose, request)
    begun = timezone.now()
    row = _new_row(name, wanted, actor, created_at=begun)
    if row is None:
        row = IdempotentAnswer.objects.filter(pk=name).first()
        if row is None:
            raise StillRunning  # it failed just now, and took its row away: the key is free
        if row.status or row.request_digest != wanted:
            return _again(row, wanted, actor)
        cut_off = IdempotentAnswer.objects.filter(
            pk=name, status=0, created_at=row.created_at, created_at__lt=begun - RUNS_FOR
        )
        if not cut_off.update(created_at=begun, was_confirmed=_is_confirmed(actor)):
            raise StillRunning
        row.created_at = begun
    mine = IdempotentAnswer.objects.filter(pk=name, status=0, created_at=begun)
    try:
        answer = work()
    except Exception:
        mine.delete()
        raise
    if not _is_success(answer):
        mine.delete()
        return answer
    with transaction.atomic():
        if mine.select_for_update().exists():
            row.keep(status=answer.status_code, body=_rendered(answer))
    return answer


def _new_row(
    name: str, wanted: str, actor: Actor | None, **more: datetime
) -> IdempotentAnswer | None:
    """The row of a key that is new; None where it is there already."""
    try:
        with transaction.atomic():
            return IdempotentAnswer.objects.create(
                pk=name,
                request_digest=wanted,
                role=actor.role if actor else "",
                was_confirmed=_is_confirmed(actor),
                **more,
            )
    except IntegrityError:
        return None


def _is_confirmed(actor: Actor | None) -> bool:
    return actor is not None and not actor.needs_code


def _is_success(answer: Response) -> bool:
    return 200 <= answer.status_code < 300


def _rendered(answer: Response) -> str:
    return JSONRenderer().render(answer.data).decode()


def _digests(key: str, whose: str, request: str) -> tuple[str, str]:
    return digest(f"idempotency:{whose}:{key}"), digest(f"request:{request}")


def _again(row: IdempotentAnswer, wanted: str, actor: Actor | None) -> Response:
    if actor is not None and row.role:
        actor.require(row.role)
    if actor is not None and row.was_confirmed:
        actor.require_fresh_code()
    if row.request_digest != wanted:
        raise KeyReused
    body = row.answer()
    answer = Response(json.loads(body) if body else None, row.status)
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


def forget_old_answers() -> bool:
    """Drop the answers whose time is over."""
    return prune(IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT))
