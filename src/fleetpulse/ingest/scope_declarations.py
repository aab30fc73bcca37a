"""The scope of keys and of people, as it is declared: labels name:value."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta

from fleetpulse.errors import OutOfRange
from fleetpulse.model.access import Scope
from fleetpulse.model.device import LABELS_MAX, check_labels

ScopeTexts = Annotated[
    list[str],
    Meta(
        description="labels name:value that devices must have, all of them; empty: every device",
        examples=[[]],
        extra_json_schema={"maxItems": LABELS_MAX},
    ),
]


def read_scope(texts: Sequence[str], *, reason: str) -> Scope:
    """The labels of a scope, sorted. Raises: OutOfRange: one is none, or there are two values for a name."""
    labels: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name or not value:
            raise OutOfRange(f"a scope is name:value such as site:paris, not `{text[:100]}`", reason=reason)
        if labels.setdefault(name, value) != value:
            raise OutOfRange(f"no device has two values of the label {name[:64]}", reason=reason)
    try:
        check_labels(labels)
    except ValueError as error:
        raise OutOfRange(str(error), reason=reason) from error
    return tuple(sorted(labels.items()))


def scope_texts(scope: Iterable[tuple[str, str]]) -> list[str]:
    """A scope as name:value."""
    return [f"{name}:{value}" for name, value in scope]
