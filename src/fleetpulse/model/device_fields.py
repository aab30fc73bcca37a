"""The fields of a device by name, as CSV has them in columns and merges compare them.

`interval` and `grace` in seconds, `note`, and every label under its own name. No value is None.
"""

from fleetpulse.model.declaration_merge import Fields, Value
from fleetpulse.model.device import Device, check_device

DEVICE_FIELDS = ("interval", "grace", "note")
"""Fields that are not labels."""
RESERVED_NAMES = frozenset({"device_id", *DEVICE_FIELDS})
"""No label can be called so, in any case: a CSV of devices has columns of these names."""


def device_fields(device: Device) -> dict[str, Value]:
    """The fields of a device that have a value, and those that are not labels in any case."""
    return {"interval": device.interval_s, "grace": device.grace_s, "note": device.note or None, **device.labels}


def device_with(device: Device, fields: Fields) -> Device:
    """The checked device with these fields in place of its own; None takes one away.

    Raises: ValueError: says what is wrong and what is expected.
    """
    merged = {**device_fields(device), **fields}
    interval, grace, note = (merged.pop(name) for name in DEVICE_FIELDS)
    labels = {name: str(value) for name, value in merged.items() if value is not None}
    changed = Device(device.id, labels, _seconds(interval), _seconds(grace), "" if note is None else str(note))
    check_device(changed)
    return changed


def _seconds(value: Value) -> int | None:
    assert value is None or isinstance(value, int), "intervals and graces are whole seconds"
    return value
