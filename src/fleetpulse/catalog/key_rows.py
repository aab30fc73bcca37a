"""Rows of keys. The table holds no secret: `digest` is the SHA-256 of the text of a key, which has 160 random bits.

A row that is not what was written is refused as a key, whatever it says: it must not let in more than was granted. A
start compares the checksums of all keys but those of devices, of which there may be a million; `fleetpulse verify`
compares these, too.

When keys were last used stands apart, in `key_use`: 4 bytes a key, in pieces of `PIECE` numbers, so that a million keys
that are used every minute cost one megabyte-sized write a minute and not a million rows.
"""

import json
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from fleetpulse.catalog.acting import audit_change, current_act
from fleetpulse.catalog.database import Database
from fleetpulse.catalog.row_checksum import Row, checked, is_changed, row_checksum
from fleetpulse.catalog.sql_text import NUMBERS_IN, put_sql
from fleetpulse.model.access import Role
from fleetpulse.model.key import DeviceKeys, KeyRecord
from fleetpulse.notation.timestamp import format_rfc3339

COLUMNS = (
    "number, role, digest, scope, device, description, created_at_ns, created_by, expires_at_ns, revoked_at_ns,"
    " revoked_by"
)
KEYS_SQL = f"SELECT {COLUMNS}, checksum FROM access_key"
PUT_KEY_SQL = (
    f"INSERT INTO access_key ({COLUMNS}, checksum) SELECT"
    " ?1, ?2, ?3, ?4, CAST(?5 AS BIGINT), ?6, ?7, ?8, CAST(?9 AS BIGINT), CAST(?10 AS BIGINT), ?11, ?12"
    " WHERE CAST(?5 AS BIGINT) IS NULL"
    " OR EXISTS (SELECT 1 FROM device WHERE number = CAST(?5 AS BIGINT) AND deleted_at_ns IS NULL)"
)
"""It inserts nothing where the key would be that of a device which is deleted, or was never there."""
DEVICE_KEYS_SQL = (
    "SELECT number, digest, device, expires_at_ns FROM access_key WHERE role = 'device' AND revoked_at_ns IS NULL"
    " ORDER BY number"
)
_REVOKE_SQL = "UPDATE access_key SET revoked_at_ns = ?, revoked_by = ?, checksum = ? WHERE number = ?"
_EXPIRE_SQL = "UPDATE access_key SET expires_at_ns = ?, checksum = ? WHERE number = ?"
_PUT_USE_SQL = put_sql("key_use", "piece, minutes", key="piece")
HASH_BYTES = 32
PIECE = 1_024
"""Keys of which one row of `key_use` says when they were last used."""
_ROLES = frozenset(get_args(Role))


def key_row(key: KeyRecord) -> Row:
    """The columns of a key, and their checksum."""
    scope = json.dumps(key.scope) if key.scope else ""
    head = (key.number, key.role, key.digest, scope, key.device, key.description, key.created_at_ns, key.created_by)
    return checked(*head, key.expires_at_ns, key.revoked_at_ns, key.revoked_by)


def revoke(database: Database, where: str, value: object, *, at_ns: int, by: str) -> list[int]:
    """Revoke the keys that a condition chooses and that are not revoked, in a transaction. Returns their numbers."""
    text = f"SELECT {COLUMNS} FROM access_key WHERE revoked_at_ns IS NULL AND {where} ORDER BY number"
    rows = database.statements.execute(text, (value,)).fetchall()
    database.many(_REVOKE_SQL, [(at_ns, by, row_checksum(*row[:-2], at_ns, by), row[0]) for row in rows])
    return [row[0] for row in rows]


def expire(database: Database, numbers: Sequence[int], *, at_ns: int) -> list[int]:
    """Have keys expire then, unless they do so before, in a transaction. Returns the numbers of those that will."""
    text = f"SELECT {COLUMNS} FROM access_key WHERE number {NUMBERS_IN} AND revoked_at_ns IS NULL ORDER BY number"
    found = database.statements.execute(text, (json.dumps(list(numbers)),)).fetchall()
    rows = [row for row in found if row[8] is None or row[8] > at_ns]
    changes = [(at_ns, row_checksum(*row[:8], at_ns, *row[9:]), row[0]) for row in rows]
    database.many(_EXPIRE_SQL, changes)
    return [row[0] for row in rows]


def note_key(key: KeyRecord) -> None:
    """Note for the audit log which key is made."""
    if current_act() is not None:
        fields = {
            "role": key.role,
            "scope": [f"{name}:{value}" for name, value in key.scope],
            "device_number": key.device,
            "description": key.description,
            "expires_at": None if key.expires_at_ns is None else format_rfc3339(key.expires_at_ns),
        }
        audit_change(f"key {key.number}", None, {name: value for name, value in fields.items() if value or value == 0})


def read_key(row: Row) -> KeyRecord | None:
    """The key of a row of KEYS_SQL; None: it is not what was written, and so lets nobody in."""
    *values, written = row
    if written is None or is_changed(values, written):
        return None
    number, role, digest, scope, device, description, created_at_ns, created_by, *ends = values
    if role not in _ROLES:  # of a later version
        return None
    return KeyRecord(
        number=number,
        role=role,
        digest=digest,
        scope=tuple((name, value) for name, value in json.loads(scope)) if scope else (),
        device=device,
        description=description,
        created_at_ns=created_at_ns,
        created_by=created_by,
        expires_at_ns=ends[0],
        revoked_at_ns=ends[1],
        revoked_by=ends[2],
    )


def read_device_keys(rows: Sequence[Row], *, devices: int) -> DeviceKeys | None:
    """The keys of rows of DEVICE_KEYS_SQL; None: one of them cannot be read. Args: devices: how many there are."""
    keys = DeviceKeys(*map(list, zip(*rows, strict=True)))
    is_good = (
        set(map(type, keys.numbers)) | set(map(type, keys.devices)) == {int}
        and set(map(type, keys.digests)) == {bytes}
        and set(map(len, keys.digests)) == {HASH_BYTES}
        and set(map(type, keys.expires_at_ns)) <= {int, NoneType}
        and min(keys.devices) >= 0
        and max(keys.devices) < devices
    )
    return keys if is_good else None


def wrong_text(row: Row) -> str:
    """What is said of a row that `read_key` refuses."""
    return f"key {row[0]} is not what was written, and is refused: make another"


def pieces_of(numbers: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """The pieces of `key_use` that hold these numbers, and where in `numbers` those of each are.

    Args: numbers: int64, shape (keys,). Yields: piece, and places of shape (keys of the piece,).
    """
    order = np.argsort(numbers, kind="stable")
    pieces, starts = np.unique(numbers[order] // PIECE, return_index=True)
    for piece, places in zip(pieces.tolist(), np.split(order, starts[1:]), strict=True):
        yield int(piece), places


def put_use(database: Database, numbers: NDArray[np.int64], minutes: NDArray[np.uint32]) -> None:
    """Record, in a transaction, in which minute since 1970 keys were last used.

    Args: int64 and uint32, both of shape (keys,).
    """
    pieces = dict(pieces_of(numbers))
    text = f"SELECT piece, minutes FROM key_use WHERE piece {NUMBERS_IN}"
    stored = dict(database.statements.execute(text, (json.dumps(list(pieces)),)).fetchall())
    rows = []
    for piece, places in pieces.items():
        known = use_of_piece((stored.get(piece),))
        used = numbers[places] % PIECE
        known[used] = np.maximum(known[used], minutes[places])  # another node may have noted a later use
        rows.append((piece, known.astype("<u4").tobytes()))
    database.many(_PUT_USE_SQL, rows)


def use_of_piece(row: Sequence[Any]) -> NDArray[np.uint32]:
    """Minutes since 1970 by number within a piece, uint32, shape (PIECE,); 0: never. Damaged ones count as never."""
    if type(row[0]) is not bytes or len(row[0]) != 4 * PIECE:
        return np.zeros(PIECE, np.uint32)
    return np.frombuffer(row[0], "<u4").astype(np.uint32)
