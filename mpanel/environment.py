"""Reading settings from the environment: what cannot be read stops the start with a sentence.

django-environ takes every word that it does not know for "no", and keeps spaces after commas; a
value that it cannot read ends in a traceback. Values that can be read are judged by the boot checks
(`mpanel/operations/checks.py`).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

YES, NO = {"true", "on", "ok", "y", "yes", "1"}, {"false", "off", "n", "no", "0", ""}
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
DATABASES = ("postgres", "postgresql", "sqlite")


class Environment(environ.Env):
    """`environ.Env` that raises `ImproperlyConfigured`, naming the variable and what it takes."""

    def bool(self, var: str, default: Any = environ.Env.NOTSET) -> bool:
        """Yes or no; "" is no."""
        word = str(self.get_value(var, default=default)).lower().strip()
        if word in YES | NO:
            return word in YES
        raise ImproperlyConfigured(f"{var} must be yes or no, and is {word!r}.")

    def int(self, var: str, default: Any = environ.Env.NOTSET) -> int:
        """A whole number."""
        return int(self._number(var, int, default, "a whole number"))

    def float(self, var: str, default: Any = environ.Env.NOTSET) -> float:
        """A number."""
        return float(self._number(var, float, default, "a number"))

    def list(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET) -> list[Any]:
        """What commas separate, without spaces around it and without empty entries."""
        found = super().list(var, cast=cast, default=default)
        parts = [part.strip() if isinstance(part, str) else part for part in found]
        return [part for part in parts if part != ""]

    def one_of(self, var: str, words: tuple[str, ...], *, default: str) -> str:
        """One of these words, in any case."""
        word = str(self.get_value(var, default=default)).upper().strip()
        if word not in words:
            raise ImproperlyConfigured(f"{var} must be one of {', '.join(words)}, not {word!r}.")
        return word

    def database(self, var: str, *, default: str) -> dict[str, Any]:
        """Django's settings of a database. An address may hold a password, so none is repeated."""
        address = str(self.get_value(var, default=default))
        scheme, name = address.partition(":")[0], ""
        if scheme in DATABASES:
            try:
                parts = urlsplit(address)
                _ = parts.port  # raises for what is no number
                found: dict[str, Any] = self.db_url_config(address)
                name = str(found["NAME"] or "")
                if scheme != "sqlite" and not parts.hostname and "host" not in parts.query:
                    name = ""
            except (ValueError, KeyError):
                name = ""
        if not name:
            raise ImproperlyConfigured(
                f"{var} must be an address such as postgres://user:password@host:5432/name "
                "(special characters of the password percent-encoded) or sqlite:////path/to/file."
            )
        return found

    def mail_server(self, var: str, *, default: str) -> Mapping[str, Any]:
        """Django's settings of a mail server, which may hold a password as well."""
        address = str(self.get_value(var, default=default))
        try:
            _ = urlsplit(address).port
            found: Mapping[str, Any] = self.email_url_config(address)
        except (ValueError, KeyError, ImproperlyConfigured):
            raise ImproperlyConfigured(
                f"{var} must be an address such as smtp+tls://user:password@mail.example.com:587 "
                "(special characters of the password percent-encoded)."
            ) from None
        return found

    def _number(self, var: str, cast: Any, default: Any, what: str) -> Any:
        try:
            return self.get_value(var, cast=cast, default=default)
        except ValueError:
            given = str(self.get_value(var, default=""))
            raise ImproperlyConfigured(f"{var} must be {what}, and is {given!r}.") from None
