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
from fleetpulse.catalog.row_checksum import Row, is_changed
from fleetpulse.model.access import Role
from fleetpulse.model.key import DeviceKeys, KeyRecord
from fleetpulse.notation.timestamp import format_rfc3339

COLUMNS = (
    "number, role, digest, scope, device, description, created_at_ns, created_by, expires_at_ns, revoked_at_ns,"
    " revoked_by"
)
KEYS_SQL = f"SELECT {COLUMNS}, checksum FROM access_key"
PUT_KEY_SQL = (
    "INSERT INTO access_key SELECT"
    " ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, row_checksum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    " WHERE ?5 IS NULL OR EXISTS (SELECT 1 FROM device WHERE number = ?5 AND deleted_at_ns IS NULL)"
)
"""It inserts nothing where the key would be that of a device which is deleted, or was never there."""
DEVICE_KEYS_SQL = (
    "SELECT number, digest, device, expires_at_ns FROM access_key WHERE role = 'device' AND revoked_at_ns IS NULL"
    " ORDER BY number"
)
_REVOKE_SQL = (
    "UPDATE access_key SET revoked_at_ns = ?1, revoked_by = ?2, checksum = row_checksum(number, role, digest, scope,"
    " device, description, created_at_ns, created_by, expires_at_ns, ?1, ?2) WHERE revoked_at_ns IS NULL AND "
)
REVOKE_SQL = f"{_REVOKE_SQL} number IN (SELECT value FROM json_each(?3)) RETURNING number"
REVOKE_OF_DEVICE_SQL = f"{_REVOKE_SQL} device = ?3 RETURNING number"
EXPIRE_SQL = (
    "UPDATE access_key SET expires_at_ns = ?1, checksum = row_checksum(number, role, digest, scope, device,"
    " description, created_at_ns, created_by, ?1, revoked_at_ns, revoked_by)"
    " WHERE number IN (SELECT value FROM json_each(?2)) AND revoked_at_ns IS NULL"
    " AND coalesce(expires_at_ns, ?1 + 1) > ?1"
    " RETURNING number"
)
HASH_BYTES = 32
PIECE = 1_024
"""Keys of which one row of `key_use` says when they were last used."""
_ROLES = frozenset(get_args(Role))


def key_row(key: KeyRecord) -> Row:
    """The columns of a key, without the checksum."""
    scope = json.dumps(key.scope) if key.scope else ""
    head = (key.number, key.role, key.digest, scope, key.device, key.description, key.created_at_ns, key.created_by)
    return (*head, key.expires_at_ns, key.revoked_at_ns, key.revoked_by)


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


def put_use(run: Any, numbers: NDArray[np.int64], minutes: NDArray[np.uint32]) -> None:
    """Record, in a transaction, in which minute since 1970 keys were last used.

    Args: int64 and uint32, both of shape (keys,).
    """
    for piece, places in pieces_of(numbers):
        row = run("SELECT minutes FROM key_use WHERE piece = ?", (piece,)).fetchone()
        known = use_of_piece(row)
        rows = numbers[places] % PIECE
        known[rows] = np.maximum(known[rows], minutes[places])  # another node may have noted a later use
        run("INSERT OR REPLACE INTO key_use VALUES (?, ?)", (piece, known.astype("<u4").tobytes()))


def use_of_piece(row: Sequence[Any] | None) -> NDArray[np.uint32]:
    """Minutes since 1970 by number within a piece, uint32, shape (PIECE,); 0: never. Damaged ones count as never."""
    if row is None or type(row[0]) is not bytes or len(row[0]) != 4 * PIECE:
        return np.zeros(PIECE, np.uint32)
    return np.frombuffer(row[0], "<u4").astype(np.uint32)
