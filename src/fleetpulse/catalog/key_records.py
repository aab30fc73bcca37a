"""The keys that were ever made; `key_rows.py` has the rows."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.change_log import note_keys
from fleetpulse.catalog.database import Database
from fleetpulse.catalog.key_rows import (
    DEVICE_KEYS_SQL,
    KEYS_SQL,
    PUT_KEY_SQL,
    expire,
    key_row,
    note_key,
    put_use,
    read_device_keys,
    read_key,
    revoke,
    use_of_piece,
    wrong_text,
)
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import NUMBERS_IN
from fleetpulse.errors import UnknownDevice
from fleetpulse.model.access import Role
from fleetpulse.model.key import DeviceKeys, KeyRecord
from fleetpulse.notation.timestamp import format_rfc3339

_READ_ROWS = 10_000
BY_DELETION = "the deletion of its device"


class KeyRecords(Protocol):
    """The part of a catalog that knows keys. Revoked ones stay, so that a number is never given again."""

    def next_number(self) -> int:
        """The number of the next key, at least 1. Raises: DamagedData; DatabaseBusy."""
        ...

    def number_for(self, number: int) -> int:
        """The number of the next key, in the transaction that makes it: nodes that share a catalog number together.

        Args: number: the one that is reserved in memory. Raises: DamagedData; DatabaseBusy.
        """
        ...

    def add(self, keys: Iterable[KeyRecord]) -> None:
        """Record new keys, all or none.

        Raises: UnknownDevice: the device of one is deleted; OSError; DatabaseBusy.
        """
        ...

    def find(self, number: int) -> KeyRecord | None:
        """One key; None: there is none, or its row is damaged. Raises: DamagedData; DatabaseBusy."""
        ...

    def live(self, wrong: list[str]) -> Iterator[KeyRecord]:
        """The keys that are not revoked, but those of devices, by number; of a damaged row `wrong` gets a sentence.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def live_of_devices(self, wrong: list[str]) -> Iterator[DeviceKeys]:
        """Of the keys of devices those that are not revoked, by number, in pieces; of damaged rows see `live`.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def page(
        self, *, after: int, count: int, role: Role | None, devices: Sequence[int], is_revoked_included: bool
    ) -> list[KeyRecord]:
        """At most `count` keys with higher numbers than `after`, in their order; without `devices` all others, too.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def of_devices(self, devices: Sequence[int], *, is_revoked_included: bool = False) -> list[int]:
        """The numbers of the keys of devices, by device. Raises: DamagedData; DatabaseBusy."""
        ...

    def revoke(self, numbers: Sequence[int], *, at_ns: int, by: str) -> int:
        """Revoke keys; what is revoked already stays as it is. Returns: how many. Raises: OSError; DatabaseBusy."""
        ...

    def expire(self, numbers: Sequence[int], *, at_ns: int) -> None:
        """Have keys expire then, unless they do so before. Raises: OSError; DatabaseBusy."""
        ...

    def used_minutes(self) -> NDArray[np.uint32]:
        """In which minute since 1970 keys were last used: uint32, shape (numbers,), by number; 0: never.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def note_use(self, numbers: NDArray[np.int64], minutes: NDArray[np.uint32]) -> None:
        """Record in which minute keys were last used. Args: int64 and uint32, both of shape (keys,).

        Raises: OSError; DatabaseBusy.
        """
        ...

    def wrong_rows(self) -> list[str]:
        """What is wrong with rows, as sentences. Raises: DamagedData; DatabaseBusy."""
        ...


class SqlKeyRecords(SqlRecords):
    """See KeyRecords; tables `access_key` and `key_use`."""

    def next_number(self) -> int:
        """See KeyRecords."""
        with self._reading():
            return int(self._select("SELECT coalesce(max(number), 0) + 1 FROM access_key").fetchone()[0])

    def number_for(self, number: int) -> int:
        """See KeyRecords."""
        return self.next_number() if self._database.is_shared else number

    def add(self, keys: Iterable[KeyRecord]) -> None:
        """See KeyRecords."""
        with self._transaction() as run:
            remaining = iter(keys)
            while piece := list(islice(remaining, _READ_ROWS)):
                if self._database.many(PUT_KEY_SQL, map(key_row, piece)) != len(piece):
                    raise UnknownDevice("the device was deleted meanwhile")
                note_keys(run, [key.number for key in piece])
                for key in piece:
                    note_key(key)

    def find(self, number: int) -> KeyRecord | None:
        """See KeyRecords."""
        with self._reading():
            row = self._select(f"{KEYS_SQL} WHERE number = ?", (number,)).fetchone()
            return None if row is None else read_key(row)

    def live(self, wrong: list[str]) -> Iterator[KeyRecord]:
        """See KeyRecords."""
        with self._reading():
            for row in self._select(f"{KEYS_SQL} WHERE revoked_at_ns IS NULL AND role <> 'device' ORDER BY number"):
                key = read_key(row)
                if key is None:
                    wrong.append(wrong_text(row))
                else:
                    yield key

    def live_of_devices(self, wrong: list[str]) -> Iterator[DeviceKeys]:
        """See KeyRecords."""
        with self._reading():
            devices = self._select("SELECT count(*) FROM device").fetchone()[0]
            rows = self._select(DEVICE_KEYS_SQL)
            while piece := rows.fetchmany(_READ_ROWS):
                keys = read_device_keys(piece, devices=devices)
                if keys is not None:
                    yield keys
                    continue
                for row in piece:
                    found = read_device_keys([row], devices=devices)
                    if found is None:
                        wrong.append(wrong_text(row))
                    else:
                        yield found

    def page(
        self, *, after: int, count: int, role: Role | None, devices: Sequence[int], is_revoked_included: bool
    ) -> list[KeyRecord]:
        """See KeyRecords."""
        text = f"{KEYS_SQL} WHERE number > ?"
        values: list[object] = [after]
        if role is not None:
            text, values = f"{text} AND role = ?", [*values, role]
        if devices:
            text, values = (f"{text} AND device {NUMBERS_IN}", [*values, json.dumps(list(devices))])
        if not is_revoked_included:
            text += " AND revoked_at_ns IS NULL"
        with self._reading():
            rows = self._select(f"{text} ORDER BY number LIMIT ?", (*values, count)).fetchall()
            return [key for key in map(read_key, rows) if key is not None]

    def of_devices(self, devices: Sequence[int], *, is_revoked_included: bool = False) -> list[int]:
        """See KeyRecords."""
        text = f"SELECT number FROM access_key WHERE device {NUMBERS_IN}"
        text += "" if is_revoked_included else " AND revoked_at_ns IS NULL"
        with self._reading():
            rows = self._select(f"{text} ORDER BY device, number", (json.dumps(list(devices)),))
            return [number for (number,) in rows]

    def revoke(self, numbers: Sequence[int], *, at_ns: int, by: str) -> int:
        """See KeyRecords."""
        with self._transaction() as run:
            listed = json.dumps(list(numbers))
            revoked = revoke(self._database, f"number {NUMBERS_IN}", listed, at_ns=at_ns, by=by)
            _note_revoked(run, revoked)
            return len(revoked)

    def expire(self, numbers: Sequence[int], *, at_ns: int) -> None:
        """See KeyRecords."""
        with self._transaction() as run:
            after = {"expires_at": format_rfc3339(at_ns)} if numbers else {}
            for number in expire(self._database, numbers, at_ns=at_ns):
                note_keys(run, [number])
                audit_change(f"key {number}", {}, after)

    def used_minutes(self) -> NDArray[np.uint32]:
        """See KeyRecords: uint32, shape (numbers,)."""
        with self._reading():
            rows = dict(self._select("SELECT piece, minutes FROM key_use"))
        empty = np.zeros(0, np.uint32)
        pieces = range(max(rows, default=-1) + 1)
        return np.concatenate([empty, *(use_of_piece((rows.get(piece),)) for piece in pieces)])

    def note_use(self, numbers: NDArray[np.int64], minutes: NDArray[np.uint32]) -> None:
        """See KeyRecords: int64 and uint32, shape (keys,)."""
        with self._transaction():
            put_use(self._database, numbers, minutes)

    def wrong_rows(self) -> list[str]:
        """See KeyRecords."""
        with self._reading():
            rows = self._select(f"{KEYS_SQL} ORDER BY number")
            return [wrong_text(row) for row in rows if read_key(row) is None]


def revoke_of_device(run: Callable[..., Any], database: Database, device: int, *, at_ns: int) -> None:
    """Revoke the keys of a device, in the transaction that deletes it."""
    _note_revoked(run, revoke(database, "device = ?", device, at_ns=at_ns, by=BY_DELETION))


def _note_revoked(run: Callable[..., Any], numbers: Sequence[int]) -> None:
    note_keys(run, numbers)
    for number in numbers:
        audit_change(f"key {number}", {"is_revoked": False}, {"is_revoked": True})
