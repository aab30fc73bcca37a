"""A device: the id that people and devices know, and the number that arrays are indexed by."""

import re
from dataclasses import dataclass, field

ID_CHARS_MAX = 128
ID_RULE = f"1 to {ID_CHARS_MAX} of the characters A-Z a-z 0-9 . _ ~ : @ + = , -"
_ID = re.compile(rf"[A-Za-z0-9._~:@+=,-]{{1,{ID_CHARS_MAX}}}", re.ASCII)


def is_device_id(text: str) -> bool:
    """Whether `text` can be a device id: characters that stand in a URL path as they are."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Device:
    """A device as people declare it; its number is given by the catalog, once and for good."""

    id: str
    labels: dict[str, str] = field(default_factory=dict)
