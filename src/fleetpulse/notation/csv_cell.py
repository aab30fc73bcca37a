"""Cells of a CSV that a spreadsheet must not run as formulas.

A spreadsheet runs a cell that begins with one of `= + - @`, also in their full-width forms, a tab, a carriage return or
a line feed, and some leave out blanks before it. An export guards such a cell with a `'` before it, and an import takes
that `'` off again, so that a device id such as `=a` survives the round trip.
"""

import re

# A cell such as `'=a` is guarded too, since the import would take its own `'` for a guard.
_DANGEROUS = re.compile(r"'*\s*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+\s*[=+\-@\t\r\n＝＋－＠]")


def safe_cell(value: object) -> object:
    """The cell to write for `value`: guarded where it is a text that a spreadsheet would run; "" for None."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and _DANGEROUS.match(value) else value


def unguarded_cell(cell: str) -> str:
    """The text that `safe_cell` was given, from the cell as it was written."""
    return cell[1:] if _GUARDED.match(cell) else cell
