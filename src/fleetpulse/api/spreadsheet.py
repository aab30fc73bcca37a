"""Cells of a CSV that a spreadsheet will not take for a formula."""

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(value: object) -> object:
    """A cell as it is written: texts that begin like a formula get a `'` before them, which an import takes off again."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_DANGEROUS) else value
