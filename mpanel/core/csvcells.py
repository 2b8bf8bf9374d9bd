"""Cells of CSV files that people open in a spreadsheet."""

# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def inert(cell: str) -> str:
    """The cell, with a leading apostrophe where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
