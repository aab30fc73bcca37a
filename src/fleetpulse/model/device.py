"""A device as people declare it, and the rules for its id, its labels and its note."""

import re

import msgspec

from fleetpulse.model.heartbeat_policy import GRACE_HIGHEST_S, INTERVAL_HIGHEST_S, HeartbeatPolicy
from fleetpulse.model.own_policy import unchanged
from fleetpulse.model.text import NAME_RULE, check_text, is_name

ID_CHARS_MAX = 128
ID_RULE = f"1 to {ID_CHARS_MAX} of the characters A-Z a-z 0-9 . _ ~ : @ + = , - (but not . or .. alone)"
ID_PATTERN = rf"(?!\.{{1,2}}$)[A-Za-z0-9._~:@+=,-]{{1,{ID_CHARS_MAX}}}"
"""These characters need no escape in a URL path; `.` and `..` alone would be taken for a relative path."""
_ID = re.compile(ID_PATTERN)
LABELS_MAX = 64
LABEL_VALUE_CHARS_MAX = 200
NOTE_CHARS_MAX = 2_000


class Device(msgspec.Struct, frozen=True, gc=False):
    """A device as people declare it. Its number, the index into all arrays, is given by the catalog and never changes.

    A struct, since a start makes one of each of a million devices: it costs a seventh of a frozen dataclass.

    `interval_s` and `grace_s` are None where the service's default heartbeat policy applies.
    """

    id: str
    labels: dict[str, str] = {}
    interval_s: int | None = None
    grace_s: int | None = None
    note: str = ""

    def policy(self, default: HeartbeatPolicy) -> HeartbeatPolicy:
        """The policy of this device; `default`, the service's own, gives what the device leaves out."""
        if self.interval_s is None and self.grace_s is None:
            return default
        return unchanged(self.interval_s, self.grace_s).under(default)


def is_device_id(text: str) -> bool:
    """Whether `text` can be a device id."""
    return _ID.fullmatch(text) is not None


def unknown_id_advice(text: str, *, registers_itself: bool = False, is_deleted: bool = False) -> str:
    """What to do about an id that no device has.

    Args:
        registers_itself: the first report of a device declares it.
        is_deleted: a device had it.
    """
    try:
        check_device_id(text)
    except ValueError as error:
        return f"{error}"
    declare = f'declare it with `fleetpulse devices add {text}`, or POST {{"id": "{text}"}} to /api/v1/devices'
    if is_deleted:
        return (
            f"the device {text} was deleted; its history is answered with include_deleted=true (--include-deleted); "
            f"to take it up again, {declare}"
        )
    if registers_itself:
        return f"no device has the id {text} yet: its first report declares it (--auto-register); or {declare}"
    return (
        f"no device has the id {text}: {declare}; or start the service with --auto-register, which declares a device "
        "with its first report"
    )


def check_device_id(text: str) -> None:
    """Raises: ValueError: `text` cannot be a device id; the error says what is expected."""
    if not is_device_id(text):
        raise ValueError(f"`{text[: 2 * ID_CHARS_MAX]}` is no device id; expected {ID_RULE}")


def check_device(device: Device) -> None:
    """Raises: ValueError: says what is wrong and what is expected."""
    check_device_id(device.id)
    check_labels(device.labels)
    if device.interval_s is not None and not 1 <= device.interval_s <= INTERVAL_HIGHEST_S:
        raise ValueError(f"interval must be 1s to {INTERVAL_HIGHEST_S}s, not {device.interval_s}s")
    if device.grace_s is not None and not 0 <= device.grace_s <= GRACE_HIGHEST_S:
        raise ValueError(f"grace must be 0s to {GRACE_HIGHEST_S}s, not {device.grace_s}s")
    check_text(device.note, field="note", chars_max=NOTE_CHARS_MAX)


def check_labels(labels: dict[str, str]) -> None:
    """Raises: ValueError: says which label is wrong and what is expected."""
    if len(labels) > LABELS_MAX:
        raise ValueError(f"{len(labels)} labels are more than {LABELS_MAX}")
    for name, value in labels.items():
        if not is_name(name):
            raise ValueError(f"label name `{name[:100]}` must be {NAME_RULE}")
        if not 1 <= len(value) <= LABEL_VALUE_CHARS_MAX or "\0" in value:
            raise ValueError(f"label {name} must have 1 to {LABEL_VALUE_CHARS_MAX} characters, none of them NUL")
