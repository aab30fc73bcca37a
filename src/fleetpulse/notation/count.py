"""Numbers with their nouns, for people."""


def count_text(count: int, noun: str, plural: str | None = None) -> str:
    """`1 device`, `5 devices`, `2 entries`: the plural has an s, unless `plural` is another word."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
