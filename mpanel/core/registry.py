"""The one registry of providers: a class under a port and its key, found by its package.

An app calls `load("dnszones.providers")` when Django starts; every module of that package is
imported, and each provider class registers itself with the `provider` decorator of this module.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol


@dataclass(frozen=True)
class CredentialField:
    """One value that a customer gives so that a provider may act for them."""

    name: str
    label: str
    secret: bool = False
    required: bool = True
    help: str = ""
    is_long: bool = False  # of several lines
    # What is wrong with a value, as a sentence; "" for nothing.
    check: Callable[[str], str] | None = None
    # The one form in which a value is kept. Raises `Invalid`.
    clean: Callable[[str], str] | None = None


class Provider(Protocol):
    """What every provider declares, whatever its port."""

    key: ClassVar[str]
    label: ClassVar[str]
    credential_fields: ClassVar[tuple[CredentialField, ...]]


_providers: dict[tuple[str, str], Any] = {}
# Of providers that not every host has: whether this one does.
_offers: dict[tuple[str, str], Callable[[], bool]] = {}


def provider[P: Provider](port: str) -> Callable[[type[P]], type[P]]:
    """Register the decorated class under its port. A key taken twice is a programming error."""

    def register(cls: type[P]) -> type[P]:
        known = _providers.setdefault((port, cls.key), cls)
        if known is not cls:
            raise ValueError(f"two providers of port {port} are called {cls.key}")
        return cls

    return register


def offer(port: str, key: str, *, when: Callable[[], bool]) -> None:
    """Offer a provider only while `when` says so; all others always are."""
    _offers[port, key] = when


def is_offered(port: str, key: str) -> bool:
    """Whether a customer may add a credential for this provider. Raises `KeyError` for none."""
    get(port, key)
    return _offers.get((port, key), lambda: True)()


def load(package: str) -> None:
    """Import every module of a `providers` package, so that its classes register."""
    module = importlib.import_module(package)
    for found in pkgutil.iter_modules(module.__path__):
        importlib.import_module(f"{package}.{found.name}")


def get(port: str, key: str) -> Any:
    """The provider class. Raises `KeyError` for one that is not installed."""
    return _providers[(port, key)]


def offered() -> dict[tuple[str, str], Any]:
    """The provider classes that customers may choose, by port and key."""
    return {name: cls for name, cls in _providers.items() if is_offered(*name)}


def all_providers() -> dict[tuple[str, str], Any]:
    """Every provider class by port and key."""
    return dict(_providers)
