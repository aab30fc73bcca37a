"""Rules for the texts that people give: names of labels and metrics, titles, notes, units and descriptions."""

import re

NAME_RULE = "a letter or _, then up to 63 of A-Z a-z 0-9 _ . -"
NAME_PATTERN = "[A-Za-z_][A-Za-z0-9_.-]{0,63}"
_NAME = re.compile(NAME_PATTERN, re.ASCII)


def is_name(text: str) -> bool:
    """Whether `text` can name a label or a metric."""
    return _NAME.fullmatch(text) is not None


def check_text(text: str, *, field: str, chars_max: int) -> None:
    """Raises: ValueError: `text` is too long or has a NUL, which databases refuse; the error names `field`."""
    if len(text) > chars_max or "\0" in text:
        raise ValueError(f"{field} must be at most {chars_max} characters, none of them NUL")
