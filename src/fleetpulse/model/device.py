"""A device: the id that people and devices know, and the number that arrays are indexed by."""

import re
from dataclasses import dataclass, field

from fleetpulse.model.heartbeat_policy import GRACE_HIGHEST_S, INTERVAL_HIGHEST_S, HeartbeatPolicy

ID_CHARS_MAX = 128
ID_RULE = f"1 to {ID_CHARS_MAX} of the characters A-Z a-z 0-9 . _ ~ : @ + = , - (but not . or .. alone)"
_ID = re.compile(rf"(?!\.{{1,2}}$)[A-Za-z0-9._~:@+=,-]{{1,{ID_CHARS_MAX}}}", re.ASCII)


def is_device_id(text: str) -> bool:
    """Whether `text` can be a device id: characters that stand in a URL path as they are."""
    return _ID.fullmatch(text) is not None


LABELS_MAX = 64
LABEL_NAME_RULE = "a letter or _, then up to 63 of A-Z a-z 0-9 _ . -"
LABEL_VALUE_CHARS_MAX = 200
NOTE_CHARS_MAX = 2_000
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Device:
    """A device as people declare it; its number is given by the catalog, once and for good.

    `interval_s` and `grace_s` are None where the service's own hold.
    """

    id: str
    labels: dict[str, str] = field(default_factory=dict)
    interval_s: int | None = None
    grace_s: int | None = None
    note: str = ""

    def policy(self, default: HeartbeatPolicy) -> HeartbeatPolicy:
        """What is expected of the device; `default`, the service's own, fills in what the device does not say."""
        return HeartbeatPolicy(
            default.interval_s if self.interval_s is None else self.interval_s,
            default.grace_s if self.grace_s is None else self.grace_s,
        )


def check_device(device: Device) -> None:
    """Raises: ValueError: says what is wrong and what is expected."""
    if not is_device_id(device.id):
        raise ValueError(f"`{device.id[: 2 * ID_CHARS_MAX]}` is no device id; expected {ID_RULE}")
    check_labels(device.labels)
    if device.interval_s is not None and not 1 <= device.interval_s <= INTERVAL_HIGHEST_S:
        raise ValueError(f"interval must be 1s to {INTERVAL_HIGHEST_S}s, not {device.interval_s}s")
    if device.grace_s is not None and not 0 <= device.grace_s <= GRACE_HIGHEST_S:
        raise ValueError(f"grace must be 0s to {GRACE_HIGHEST_S}s, not {device.grace_s}s")
    if len(device.note) > NOTE_CHARS_MAX or "\0" in device.note:
        raise ValueError(f"note must be at most {NOTE_CHARS_MAX} characters, none of them NUL")


def check_labels(labels: dict[str, str]) -> None:
    """Raises: ValueError: says which label is wrong and what is expected."""
    if len(labels) > LABELS_MAX:
        raise ValueError(f"{len(labels)} labels are more than {LABELS_MAX}")
    for name, value in labels.items():
        if not _LABEL_NAME.fullmatch(name):
            raise ValueError(f"label name `{name[:100]}` must be {LABEL_NAME_RULE}")
        if not 1 <= len(value) <= LABEL_VALUE_CHARS_MAX or "\0" in value:
            raise ValueError(f"label {name} must have 1 to {LABEL_VALUE_CHARS_MAX} characters, none of them NUL")
