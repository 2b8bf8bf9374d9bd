"""Shapes of JSON: strict ones in, paged lists out, and the body of errors."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.core.validators import EmailValidator
from django.db.models import QuerySet
from rest_framework import serializers

from mpanel.core.addresses import MAX_ADDRESS, clean_address
from mpanel.core.api.parsing import FORBIDDEN_CHARACTERS, NO_TEXT
from mpanel.core.countries import country_problem
from mpanel.core.errors import Invalid

PAGE_SIZE, LARGEST_PAGE = 20, 100
FARTHEST_PAGE = 1_000_000  # beyond it, an offset would not fit the database's integers


class Serializer(serializers.Serializer[Any]):
    """An object of JSON. Coming in, a field that is not listed here is refused."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := sorted(set(data) - known):
                raise serializers.ValidationError(
                    {str(name)[:80]: ["There is no such field."] for name in unknown[:20]}
                )
        return super().to_internal_value(data)


def confirmation_field() -> serializers.CharField:
    """The digest of a refusal CONFIRMATION_REQUIRED, sent along with the same request."""
    return serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=64,
        help_text="Of the refusal CONFIRMATION_REQUIRED, to go on with exactly what it told.",
    )


def camel(name: str) -> str:
    """`page_size` as `pageSize`."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


class CamelSerializer(Serializer):
    """A shape of the panel's API: fields are declared in snake_case and spoken in camelCase."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        spoken: dict[str, Any] = {}
        for name, field in cls._declared_fields.items():
            said = camel(name)
            spoken[said] = field if said == name else _renamed(field, name)
        cls._declared_fields = spoken


def _renamed(field: Any, name: str) -> Any:
    """A copy of a field that is read from and written to `name`."""
    renamed: Any = copy.deepcopy(field)
    if isinstance(field, serializers.SerializerMethodField):
        renamed._kwargs.setdefault("method_name", f"get_{name}")
        renamed.method_name = renamed._kwargs["method_name"]
    else:
        renamed._kwargs.setdefault("source", name)
        renamed.source = renamed._kwargs["source"]
    return renamed


class Text(serializers.CharField):
    """A text of bounded length. Numbers and booleans are not texts."""

    def __init__(self, *, max_length: int = 200, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if FORBIDDEN_CHARACTERS.search(data):
            raise serializers.ValidationError(NO_TEXT)
        return super().to_internal_value(data)


class Email(serializers.EmailField):
    """An e-mail address, in the one form in which it is stored (see `clean_address`)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_ADDRESS, **kwargs)
        # What `clean_address` gives is an address; Django's rules differ from it and the page's.
        self.validators = [one for one in self.validators if not isinstance(one, EmailValidator)]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return clean_address(data)
        except Invalid as error:
            raise serializers.ValidationError(error.message) from None


class Country(Text):
    """A country's two letters (ISO 3166-1), stored as capitals."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if problem := country_problem(code):
            raise serializers.ValidationError(problem)
        return code.upper()


class Whole(serializers.IntegerField):
    """A whole number as JSON has it: no text, no truth value, no fraction."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class YesNo(serializers.BooleanField):
    """true or false, and nothing that looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Id(serializers.UUIDField):
    """An id. It is a text, although a UUID could be read from a number."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=str(data)[:80])
        return super().to_internal_value(data)


class PageQuerySerializer(Serializer):
    """Which page of a list."""

    page = serializers.IntegerField(min_value=1, max_value=FARTHEST_PAGE, default=1)
    page_size = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, default=PAGE_SIZE)


class CamelPageQuerySerializer(CamelSerializer):
    """Which page of a list of the panel."""

    page = serializers.IntegerField(min_value=1, max_value=FARTHEST_PAGE, default=1)
    page_size = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, default=PAGE_SIZE)


class WholeListQuerySerializer(Serializer):
    """Which page of a list that answers whole without one: those of source 1 (contract, 3)."""

    page = serializers.IntegerField(
        min_value=1,
        max_value=FARTHEST_PAGE,
        required=False,
        help_text="Without page and page_size, all are answered.",
    )
    page_size = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, required=False)


def name_of(item: type[Serializer]) -> str:
    """What a serializer shows, as the API's schema names it."""
    return item.__name__.removesuffix("Serializer")


@cache
def paged(item: type[Serializer]) -> type[Serializer]:
    """The shape of a page of these: `{items, total, page, page_size}`; the panel's has no more
    than `{items, total}` (contract, 3)."""
    base = Serializer
    fields: dict[str, Any] = {
        "items": item(many=True),
        "total": serializers.IntegerField(help_text="How many there are on all pages."),
    }
    if not issubclass(item, CamelSerializer):
        fields["page"] = serializers.IntegerField()
        fields["page_size"] = serializers.IntegerField()
    return type(
        f"{name_of(item)}PageSerializer", (base,), {**fields, "__doc__": "One page of a list."}
    )


def rows_of_page[R](
    found: "QuerySet[Any, R] | Sequence[R]", query: Mapping[str, Any]
) -> tuple[list[R], int]:
    """The rows of the page that is asked for, and how many there are on all pages.

    Two queries, whatever the size. All rows in one query where `query` is a `WholeListQuery` that
    names no page. Rows that are equal in the order of a query set are in the order of their ids, so
    that no row is on two pages.
    """
    rows = _in_one_order(found) if isinstance(found, QuerySet) else found
    if "page" not in query and "page_size" not in query:
        everything = list(rows)
        return everything, len(everything)
    size = query.get("page_size", PAGE_SIZE)
    start = (query.get("page", 1) - 1) * size
    total = found.count() if isinstance(found, QuerySet) else len(found)
    return (list(rows[start : start + size]) if start < total else []), total


def _in_one_order[R](found: "QuerySet[Any, R]") -> "QuerySet[Any, R]":
    order = found.query.order_by or (
        found.model._meta.ordering if found.query.default_ordering else ()
    )
    if any(str(name).lstrip("-") in {"pk", "id"} for name in order):
        return found
    return found.order_by(*order, "pk")


def page_of[R](
    found: "QuerySet[Any, R] | Sequence[R]",
    query: Mapping[str, Any],
    item: type[Serializer],
    *,
    show: Callable[[R], Any] | None = None,
    **context: Any,
) -> dict[str, Any]:
    """The answer of `paged(item)`. `show`: what the shape reads of a row, the row itself if None;
    `context`: for the shape."""
    rows, total = rows_of_page(found, query)
    shown = [show(row) for row in rows] if show else rows
    answer: dict[str, Any] = {"items": item(shown, many=True, context=context).data, "total": total}
    if not issubclass(item, CamelSerializer):
        answer |= {"page": query["page"], "page_size": query["page_size"]}
    return answer


@cache
def single(item: type[Serializer]) -> type[Serializer]:
    """The shape of one thing where source 4 is the source: `{data: {...}}`."""
    return type(
        f"{name_of(item)}SingleSerializer", (Serializer,), {"data": item(), "__doc__": "One thing."}
    )


class ErrorDetailSerializer(Serializer):
    """What went wrong, and where."""

    code = serializers.CharField(help_text="Stable, upper case.")
    message = serializers.CharField(help_text="A sentence for the person who must act.")
    details = serializers.DictField(help_text="Where input is invalid: field to messages.")


class ErrorBodySerializer(Serializer):
    """The body of every error."""

    error = ErrorDetailSerializer()
    detail = serializers.CharField()
    error_code = serializers.CharField()
    status = serializers.IntegerField()
