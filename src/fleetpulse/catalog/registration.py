"""Many devices that are registered in one transaction, a few statements for each ten thousand of them.

A round trip for each device would take minutes for a million devices where the database is another machine.
"""

import json
from array import array
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any

from fleetpulse.catalog import device_rows as rows_of
from fleetpulse.catalog.catalog import Registered
from fleetpulse.catalog.change_log import note_devices
from fleetpulse.catalog.database import Database
from fleetpulse.catalog.policy_rows import note_policy
from fleetpulse.errors import OutOfRange
from fleetpulse.model.device import Device

READ_ROWS = 10_000
"""Devices taken from the iterable at a time, so that a million of them are never in memory at once."""
_Known = tuple[int, bool, tuple[str, int | None, int | None, str]]
"""What is registered under an id: its number, whether it is deleted, and what is declared of it."""


class Registration:
    """One registration, within the transaction that makes it."""

    def __init__(
        self, run: Callable[..., Any], database: Database, at_ns: int, *, replaces: bool, changes_max: int
    ) -> None:
        self._database, self._run = database, run
        self._at_ns, self._replaces, self._changes_max = at_ns, replaces, changes_max
        # Arrays, since a million numbers as objects would fragment the heap.
        self._new, self._changed = array("I"), array("I")
        self._joined = 0
        self._are_changed = False  # those of `_changed` without `replaces` are as they were
        self._count = self._number("SELECT count(*) FROM device")
        self._known: dict[str, _Known] = {}
        self._inserts: list[tuple[object, ...]] = []
        self._updates: list[tuple[object, ...]] = []

    def _number(self, query: str) -> int:
        return int(self._run(query).fetchone()[0])

    def register(self, devices: Iterable[Device], *, devices_max: int) -> Registered:
        """Register all devices. Raises: OutOfRange: there would be more than `devices_max`."""
        alive = self._number("SELECT count(*) FROM device WHERE deleted_at_ns IS NULL")
        remaining = iter(devices)
        while piece := list(islice(remaining, READ_ROWS)):
            rows = self._run(rows_of.KNOWN_SQL, (json.dumps([device.id for device in piece]),))
            self._known = {row[0]: (row[1], bool(row[2]), tuple(row[3:])) for row in rows}
            for device in piece:
                self._register(device)
            self._write()
            if alive + len(self._new) > devices_max:
                raise OutOfRange(f"there would be more than {devices_max} devices (devices_max)", setting="devices_max")
        if self._new or self._are_changed:
            note_devices(self._run, chain(self._new, self._changed if self._are_changed else ()))
            rows_of.note_change(self._run, self._at_ns)
        return Registered(self._new, self._changed, self._joined)

    def _register(self, device: Device) -> None:
        declared = rows_of.declared_fields(device)
        found = self._known.get(device.id)
        if found is None:
            number = self._count
            fields = rows_of.written_fields(device)
            self._inserts.append((number, device.id, *fields, self._at_ns, int(not self._replaces)))
            rows_of.note_device(device.id, None, declared)
            self._new.append(number)
            self._count += 1
        else:
            number, is_deleted, known = found
            if not (self._replaces or is_deleted):
                self._changed.append(number)
                return
            if not is_deleted and known == declared:
                return
            self._declare(number, device, known, is_deleted=is_deleted)
            rows_of.note_device(device.id, None if is_deleted else known, declared)
        self._known[device.id] = number, False, declared

    def _declare(self, number: int, device: Device, known: tuple[object, ...], *, is_deleted: bool) -> None:
        if self._inserts and number >= self._inserts[0][0]:  # type: ignore[operator]  # the first is the number
            self._write()
        before: tuple[int | None, int | None] = known[1:3]  # type: ignore[assignment]  # interval and grace
        self._joined += note_policy(self._run, number, before, device, at_ns=self._at_ns, changes_max=self._changes_max)
        self._updates.append((*rows_of.written_fields(device), number))
        if is_deleted:
            text = "UPDATE deletion SET end_ns = ? WHERE device = ? AND end_ns IS NULL"
            self._run(text, (self._at_ns, number))
        (self._new if is_deleted else self._changed).append(number)
        self._are_changed = True

    def _write(self) -> None:
        """Write what has gathered: new devices first, since they may be declared anew at once."""
        self._database.many(rows_of.INSERT_SQL, self._inserts)
        self._database.many(rows_of.DECLARE_SQL, self._updates)
        self._inserts, self._updates = [], []
