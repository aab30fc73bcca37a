"""The roster: what people declared of every device, as columns indexed by device number, for questions about many of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = 0


class LabelColumn:
    """One label of all devices: codes into the values it has; code 0 where a device has no such label."""

    def __init__(self, capacity: int) -> None:
        # Zeroed pages that nobody touches cost no memory.
        self.codes = np.zeros(capacity, np.int32)
        self.values: list[str] = [""]
        self._code_of: dict[str, int] = {}

    def code(self, value: str) -> int | None:
        """The code of a value; None where no device ever had it."""
        return self._code_of.get(value)

    def put(self, device: int, value: str | None) -> None:
        """Set the label of a device, or take it away."""
        if value is None:
            if self.codes[device]:
                self.codes[device] = ABSENT
            return
        code = self._code_of.get(value)
        if code is None:
            code = self._code_of[value] = len(self.values)
            self.values.append(value)
        self.codes[device] = code


class Roster:
    """Labels and deletion of devices 0 .. count - 1. `version` changes with every change."""

    def __init__(self) -> None:
        self.count = 0
        self.version = 0
        self.is_deleted = np.zeros(0, bool)
        self.labels: dict[str, LabelColumn] = {}

    def resize(self, count: int) -> None:
        """Make room for devices 0 .. count - 1."""
        if count > len(self.is_deleted):
            capacity = max(1024, count + count // 4)
            self.is_deleted = _grown(self.is_deleted, capacity)
            for column in self.labels.values():
                column.codes = _grown(column.codes, capacity)
        self.count = max(self.count, count)
        self.version += 1

    def put(self, device: int, labels: Mapping[str, str], *, is_deleted: bool = False) -> None:
        """Replace what is known of a device."""
        if self.is_deleted[device] != is_deleted:
            self.is_deleted[device] = is_deleted
        for name in labels.keys() - self.labels.keys():
            self.labels[name] = LabelColumn(len(self.is_deleted))
        for name, column in self.labels.items():
            column.put(device, labels.get(name))
        self.version += 1

    def frozen(self) -> "Roster":
        """The roster as it is, to be read by another thread while this one grows."""
        copy = Roster()
        copy.count, copy.version, copy.is_deleted, copy.labels = (
            self.count,
            self.version,
            self.is_deleted,
            dict(self.labels),
        )
        return copy

    def labels_of(self, device: int) -> dict[str, str]:
        """The labels of one device."""
        return {
            name: column.values[code] for name, column in self.labels.items() if (code := int(column.codes[device]))
        }

    def there(self) -> NDArray[np.bool_]:
        """Devices that are not deleted, shape (count,)."""
        return ~self.is_deleted[: self.count]

    def with_labels(self, wanted: Sequence[tuple[str, str]]) -> NDArray[np.bool_]:
        """Devices, not deleted, that have all of these labels; shape (count,)."""
        chosen = self.there()
        for name, value in wanted:
            column = self.labels.get(name)
            code = None if column is None else column.code(value)
            if column is None or code is None:
                return np.zeros(self.count, bool)
            chosen &= column.codes[: self.count] == code
        return chosen

    def groups(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """Codes, shape (count,), and the values they stand for; 0 is for devices without the label, and is called ""."""
        column = self.labels.get(name)
        if column is None:
            return np.zeros(self.count, np.int32), [""]
        return column.codes[: self.count].copy(), list(column.values)


def _grown(column: NDArray[Any], capacity: int) -> NDArray[Any]:
    grown = np.zeros(capacity, column.dtype)
    grown[: len(column)] = column
    return grown
