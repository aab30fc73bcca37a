"""Cells of a CSV that a spreadsheet will not take for a formula."""

import re

# With a guard of its own before it, too: the import takes one off, so what was a guard to begin with must get a second.
_DANGEROUS = re.compile(r"'*[=+\-@\t\r]")


def safe_cell(value: object) -> object:
    """A cell as it is written: texts that begin like a formula get a `'` before them, which an import takes off again."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and _DANGEROUS.match(value) else value
