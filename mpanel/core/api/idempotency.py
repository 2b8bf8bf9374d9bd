"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): the same request once.

The key's row, the effect and the answer are one transaction. Whoever comes second waits at the
row's unique key until the first has committed, and gets its answer; a crash takes row and effect
away together, so that the next try begins anew.
"""

import json
from collections.abc import Callable
from datetime import timedelta

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
LONGEST = 200


class KeyReused(Conflict):
    """This Idempotency-Key was used for another request. Make a new key for a new request."""

    code = "IDEMPOTENCY_KEY_REUSED"


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
    answer was given to is theirs no longer.
    """
    name, wanted = _digests(key, whose, request)
    row = IdempotentAnswer.objects.filter(pk=name).first()
    return _again(row, wanted, actor) if row else None


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
        try:
            with transaction.atomic():
                row = IdempotentAnswer.objects.create(
                    pk=name, request_digest=wanted, role=actor.role if actor else ""
                )
        except IntegrityError:
            return _again(IdempotentAnswer.objects.get(pk=name), wanted, actor)
        answer = work()
        if 200 <= answer.status_code < 300:
            row.keep(status=answer.status_code, body=JSONRenderer().render(answer.data).decode())
        else:
            row.delete()
    return answer


def _digests(key: str, whose: str, request: str) -> tuple[str, str]:
    return digest(f"idempotency:{whose}:{key}"), digest(f"request:{request}")


def _again(row: IdempotentAnswer, wanted: str, actor: Actor | None) -> Response:
    if actor is not None and row.role:
        actor.require(row.role)
    if row.request_digest != wanted:
        raise KeyReused
    body = row.answer()
    answer = Response(json.loads(body) if body else None, row.status)
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


def forget_old_answers() -> bool:
    """Drop the answers whose time is over."""
    return prune(IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT))
