"""The roster: labels of all devices, and which are deleted, as columns for questions about many devices.

A question of somebody with a scope sees a roster in which there are only the devices of that scope: so whatever is
chosen, grouped, counted and hinted at from it is about these alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = 0


class LabelColumn:
    """One label of all devices: `codes[device]` is an index into `values`, and 0 where the device has no such label."""

    def __init__(self, capacity: int) -> None:
        # Pages of zeros cost no memory until they are written to.
        self.codes = np.zeros(capacity, np.int32)
        self.values: list[str] = [""]
        self._code_of: dict[str, int] = {}

    def code(self, value: str) -> int | None:
        """The code of a value, or None where no device ever had this value."""
        return self._code_of.get(value)

    def put(self, device: int, value: str | None) -> None:
        """Set the label of a device; None removes it."""
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
    """Labels and deletion of devices 0 .. count - 1. `version` changes with every change.

    `scope`: the labels that a device must have to be in it, all of them; empty: it has every device.
    """

    def __init__(self) -> None:
        self.count = 0
        self.version = 0
        self.is_deleted = np.zeros(0, bool)
        self.labels: dict[str, LabelColumn] = {}
        self.scope: Sequence[tuple[str, str]] = ()

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
        """Replace the labels of a device, and whether it is deleted."""
        if self.is_deleted[device] != is_deleted:
            self.is_deleted[device] = is_deleted
        for name in labels.keys() - self.labels.keys():
            self.labels[name] = LabelColumn(len(self.is_deleted))
        for name, column in self.labels.items():
            column.put(device, labels.get(name))
        self.version += 1

    def frozen(self) -> "Roster":
        """A copy for another thread, with these devices and these labels; the cells of its columns may still change."""
        copy = Roster()
        copy.count, copy.version = self.count, self.version
        copy.is_deleted, copy.labels = self.is_deleted, dict(self.labels)
        copy.scope = self.scope
        return copy

    def within(self, scope: Sequence[tuple[str, str]]) -> "Roster":
        """A frozen copy that has the devices with all labels of a scope alone, the deleted ones among them too."""
        copy = self.frozen()
        copy.scope = (*self.scope, *scope)
        return copy

    def _having(self, labels: Sequence[tuple[str, str]], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those of the devices that have all of these labels; `chosen`, of shape (count,), may be changed."""
        for name, value in labels:
            column = self.labels.get(name)
            code = None if column is None else column.code(value)
            if column is None or code is None:
                return np.zeros(self.count, bool)
            chosen &= column.codes[: self.count] == code
        return chosen

    def labels_of(self, device: int) -> dict[str, str]:
        """The labels of one device."""
        return {
            name: column.values[code] for name, column in self.labels.items() if (code := int(column.codes[device]))
        }

    def has_labels(self, device: int, labels: Sequence[tuple[str, str]]) -> bool:
        """Whether one device has all of these (name, value) labels."""
        return all(
            (column := self.labels.get(name)) is not None
            and column.values[int(column.codes[device])] == value
            and bool(column.codes[device])
            for name, value in labels
        )

    def registered(self) -> NDArray[np.bool_]:
        """Whether each device is registered, so not deleted: bool, shape (count,)."""
        return self._having(self.scope, ~self.is_deleted[: self.count])

    def with_labels(self, labels: Sequence[tuple[str, str]], *, is_deleted_included: bool = False) -> NDArray[np.bool_]:
        """Whether each device has all of these (name, value) labels, and is registered: bool, shape (count,).

        Args: is_deleted_included: whether those count too that are deleted, with the labels that they had.
        """
        everybody = np.ones(self.count, bool) if is_deleted_included else ~self.is_deleted[: self.count]
        return self._having((*self.scope, *labels), everybody)

    def label_names(self) -> list[str]:
        """The names of labels, in order; of a scope those that its devices have, deleted ones included."""
        if not self.scope:
            return sorted(self.labels)
        inside = np.flatnonzero(self._having(self.scope, np.ones(self.count, bool)))
        return sorted(name for name, column in self.labels.items() if column.codes[inside].any())

    def groups(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """(codes, values) of a label: int32, shape (count,), 0 for devices without it; and the value of each code."""
        column = self.labels.get(name)
        if column is None:
            return np.zeros(self.count, np.int32), [""]
        return column.codes[: self.count].copy(), list(column.values)


def _grown(column: NDArray[Any], capacity: int) -> NDArray[Any]:
    grown = np.zeros(capacity, column.dtype)
    grown[: len(column)] = column
    return grown
