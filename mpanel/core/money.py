"""Amounts of money: whole minor units with their currency, never a float."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation

# Minor units per major one are 100, but for these (ISO 4217).
WITHOUT_MINOR_UNITS = frozenset({"CLP", "ISK", "JPY", "KRW", "VND", "XAF", "XOF", "XPF"})


@dataclass(frozen=True)
class Money:
    """`amount` in minor units (cents) of `currency`, a code of ISO 4217."""

    amount: int
    currency: str

    @classmethod
    def of(cls, value: Decimal | str, currency: str) -> "Money":
        """From a decimal number; what is below a minor unit is rounded up.

        Raises `ValueError` for what is no amount.
        """
        try:
            exact = Decimal(value) * _units(currency)
            return cls(int(exact.to_integral_value(ROUND_CEILING)), currency.upper())
        except (InvalidOperation, OverflowError, ValueError) as error:
            raise ValueError("no amount of money") from error

    @property
    def decimal(self) -> Decimal:
        """In major units, such as 9.98."""
        return Decimal(self.amount) / _units(self.currency)

    def __str__(self) -> str:
        places = 0 if _units(self.currency) == 1 else 2
        return f"{self.decimal:,.{places}f} {self.currency}"


def _units(currency: str) -> int:
    return 1 if currency.upper() in WITHOUT_MINOR_UNITS else 100
