"""What came of one try to deliver a message."""

from typing import NamedTuple

TEXT_CHARS_MAX = 300


class Outcome(NamedTuple):
    """Whether the receiver has the message.

    Attributes:
        text: what happened, for people: no URL and no secret is in it.
        is_refused: the receiver answered that it does not take the message as it is, so another try hardly helps.
        retry_after_s: how long the receiver asked to wait; 0: it did not.
    """

    is_delivered: bool
    text: str
    is_refused: bool = False
    retry_after_s: float = 0.0


def failed(text: str, *, is_refused: bool = False, retry_after_s: float = 0.0) -> Outcome:
    """A try that failed; what the text has of control characters is replaced, and it is cut."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return Outcome(is_delivered=False, text=clean[:TEXT_CHARS_MAX], is_refused=is_refused, retry_after_s=retry_after_s)


def without(text: str, secrets: list[str]) -> str:
    """`text` with … in place of each of the secrets."""
    for secret in sorted({one for one in secrets if len(one) > 3}, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text
