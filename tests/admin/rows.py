"""Rows of any model, made from its columns, with a mark in every column that holds a secret."""

import itertools
import re
from typing import Any
from uuid import uuid4

from django.db import models
from django.utils import timezone

# What a secret's column is called. Wider than the admin's own rule, so that a new one is met.
SECRET = re.compile(r"seal|hash|secret|token|pass|digest|refresh|recovery|private|^code_|params")
HARMLESS = {
    "provisioning.Job.params",
    "tenants.OneTimeCode.error_code",
    "mailboxes.Mailbox.password_pending",
}
MARK = "tell-nobody"

_numbers = itertools.count(1)


def is_secret(field: "models.Field[Any, Any]") -> bool:
    return bool(SECRET.search(field.name)) and str(field) not in HARMLESS


def make_rows(model: type[models.Model], count: int) -> list[models.Model]:
    """So many rows, each with related rows of its own, so that looking them up one by one shows."""
    return [_make(model) for _ in range(count)]


def _make(model: type[models.Model]) -> models.Model:
    row = model()
    for field in model._meta.concrete_fields:
        value = _value(row, field)
        if value is not None:
            setattr(row, field.attname, value)
    row.save(force_insert=True)
    return row


def _value(row: models.Model, field: "models.Field[Any, Any]") -> Any:
    """What this column gets; None leaves it as it is."""
    number = next(_numbers)
    if isinstance(field, models.ForeignKey):
        related: Any = field.related_model
        return None if related is type(row) else _make(related).pk
    if is_secret(field):
        return _secret(field, number)
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    if isinstance(field, models.DateField):
        return timezone.localdate()
    is_made = isinstance(field, models.AutoField) or field.has_default()
    return None if is_made and field.name != "status" else _plain(row, field, number)


def _secret(field: "models.Field[Any, Any]", number: int) -> Any:
    mark = f"{MARK}-{number}"
    if isinstance(field, models.JSONField):
        return {"password": mark} if field.default is dict else [mark]
    if isinstance(field, models.UUIDField):
        return None
    return mark[: field.max_length] if field.max_length else mark


def _plain(row: models.Model, field: "models.Field[Any, Any]", number: int) -> Any:
    if isinstance(field, models.UUIDField):
        return uuid4()
    if isinstance(field, models.EmailField):
        return f"x{number}@rows.test"
    if isinstance(field, models.CharField | models.TextField):
        if field.name == "status":
            statuses: dict[str, str] = getattr(row, "STATUSES", {"pending": ""})
            return next(iter(statuses))
        known = {"port": "dns", "provider": "cloudflare"}
        return known.get(field.name) or f"{field.name}-{number}"[-(field.max_length or 99) :]
    if isinstance(field, models.JSONField):
        return None
    return number % 2 == 0 if isinstance(field, models.BooleanField) else number % 30_000
