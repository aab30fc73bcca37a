"""All keys in memory, as columns: some 60 bytes a key.

    rows[number]       the row of a key; 0: there is no such key, or it was revoked
    hashes, devices,   by row; row 0 belongs to nobody, so that an unknown number takes as long as a wrong secret
    expires_s, …

Nothing here survives a crash: the catalog has the keys, and a key is in the table only when it is durable there.
"""

import math
import secrets
from array import array
from collections.abc import Sequence
from hmac import compare_digest

from fleetpulse.access.key_text import HASH_BYTES, KEY_CHARS_MAX, hash_key
from fleetpulse.access_errors import Unauthenticated
from fleetpulse.model.access import Principal

NOT_A_DEVICE = -1
NEVER_S = math.inf


class KeyTable:
    """The keys that are neither revoked nor gone; expired ones are in it, and are refused."""

    def __init__(self) -> None:
        self._rows = array("i", [0])
        self._hashes = bytearray(secrets.token_bytes(HASH_BYTES))
        self._free: list[int] = []
        self._suspended: dict[int, bytes] = {}
        """By row: the hash of a key that is refused while the catalog revokes it."""
        self.numbers = array("q", [0])
        """By row: the number of the key."""
        self.devices = array("i", [NOT_A_DEVICE])
        """By row: the number of the device whose key it is; NOT_A_DEVICE for keys of all other roles."""
        self.expires_s = array("d", [NEVER_S])
        """By row: from when on the key is refused, in seconds since 1970."""
        self.used_minutes = array("I", [0])
        """By row: when the key was last used, in minutes since 1970; 0: never."""
        self.latest = array("i")
        """By device: the row of its latest key; 0: it has none, or that was revoked."""
        self.principals: dict[int, Principal] = {}
        """By row: who the holder of a key is that is no device's."""
        self.numbers_end = 1
        """Keys before this number were made, also those that are revoked; of later ones `put` tells."""

    def __len__(self) -> int:
        return len(self.numbers) - 1 - len(self._free)

    def put(
        self,
        number: int,
        digest: bytes,
        *,
        device: int = NOT_A_DEVICE,
        principal: Principal | None = None,
        expires_s: float = NEVER_S,
        used_minute: int = 0,
    ) -> None:
        """Take a key in, or replace what is known of it. `principal` is that of a key which is no device's."""
        if number >= len(self._rows):
            self._rows.frombytes(bytes(4 * (number + 1 - len(self._rows))))
        row = self._rows[number] or self._new_row()
        self._suspended.pop(row, None)
        self._hashes[row * HASH_BYTES : (row + 1) * HASH_BYTES] = digest
        self.numbers[row], self.devices[row], self.expires_s[row] = number, device, expires_s
        self.used_minutes[row] = used_minute
        self.principals.pop(row, None)
        if principal is not None:
            self.principals[row] = principal
        if device >= 0:
            if device >= len(self.latest):
                self.latest.frombytes(bytes(self.latest.itemsize * (device + 1 - len(self.latest))))
            self.latest[device] = row
        self._rows[number] = row  # last: only now the key is known

    def load_devices(
        self, numbers: Sequence[int], digests: Sequence[bytes], devices: Sequence[int], expires_s: Sequence[float]
    ) -> None:
        """Take in keys of devices that are not known, by column: for a start with a million of them."""
        first, last, last_device = len(self.numbers), max(numbers), max(devices)
        self._hashes += b"".join(digests)
        self.numbers.extend(numbers)
        self.devices.extend(devices)
        self.expires_s.extend(expires_s)
        self.used_minutes.frombytes(bytes(self.used_minutes.itemsize * len(numbers)))
        for rows, length in ((self._rows, last + 1), (self.latest, last_device + 1)):
            rows.frombytes(bytes(rows.itemsize * max(0, length - len(rows))))
        for row, (number, device) in enumerate(zip(numbers, devices, strict=True), first):
            self._rows[number] = self.latest[device] = row

    def _new_row(self) -> int:
        if self._free:
            return self._free.pop()
        self._hashes.extend(bytes(HASH_BYTES))
        self.numbers.append(0)
        self.devices.append(NOT_A_DEVICE)
        self.expires_s.append(NEVER_S)
        self.used_minutes.append(0)
        return len(self.numbers) - 1

    def remove(self, number: int) -> None:
        """Refuse a key from now on; nothing happens where it is not known."""
        row = self.row(number)
        if row:
            self._rows[number] = 0
            self.principals.pop(row, None)
            self._suspended.pop(row, None)
            device = self.devices[row]
            if device >= 0 and self.latest[device] == row:
                self.latest[device] = 0
            self.devices[row], self.numbers[row] = NOT_A_DEVICE, 0
            self._hashes[row * HASH_BYTES : (row + 1) * HASH_BYTES] = secrets.token_bytes(HASH_BYTES)
            self._free.append(row)

    def suspend(self, number: int) -> None:
        """Refuse a key as a wrong one until it is removed or resumed; nothing happens where it is not known."""
        row = self.row(number)
        if row and row not in self._suspended:
            place = slice(row * HASH_BYTES, (row + 1) * HASH_BYTES)
            self._suspended[row] = bytes(self._hashes[place])
            self._hashes[place] = secrets.token_bytes(HASH_BYTES)

    def resume(self, number: int) -> None:
        """Take a key again that was suspended."""
        row = self.row(number)
        if digest := self._suspended.pop(row, b""):
            self._hashes[row * HASH_BYTES : (row + 1) * HASH_BYTES] = digest

    def has_lasting_admin(self, *, besides: int = 0) -> bool:
        """Whether somebody may do everything, for good, with another key than this number."""
        return any(
            holder.role == "admin"
            and not holder.scope
            and holder.key != besides
            and self.expires_s[row] == NEVER_S
            and row not in self._suspended
            for row, holder in self.principals.items()
        )

    def expire(self, number: int, expires_s: float) -> None:
        """Have a key expire then, unless it does so before; nothing happens where it is not known."""
        if row := self.row(number):
            self.expires_s[row] = min(self.expires_s[row], expires_s)

    def remove_expired(self, *, before_s: float) -> None:
        """Forget keys that expired before this time; so expired ones do not gather with each rotation."""
        for number in [self.numbers[row] for row, end_s in enumerate(self.expires_s) if end_s < before_s]:
            self.remove(number)

    def row(self, number: int) -> int:
        """The row of a key by its number; 0 where there is none."""
        return self._rows[number] if 0 <= number < len(self._rows) else 0

    def was_made(self, number: int) -> bool:
        """Whether a key has, or had, this number."""
        return 0 < number < max(self.numbers_end, len(self._rows))

    def is_later(self, token: bytes) -> bool:
        """Whether a text has the number of a key that nobody has made yet, as far as is known."""
        return _number_of(token) >= max(self.numbers_end, len(self._rows))

    def is_latest(self, digest: bytes, device: int) -> int:
        """The row of a device's latest key, if its hash is `digest`: the quick way; else 0, and `look` decides."""
        if device >= len(self.latest):
            return 0
        row = self.latest[device]
        is_right = compare_digest(digest, self._hashes[row * HASH_BYTES : row * HASH_BYTES + HASH_BYTES])
        return row if is_right else 0

    def look(self, token: bytes, digest: bytes) -> int:
        """The row of the key that a client shows, with its hash; 0 where there is none.

        It takes the same time whatever is wrong. The hash is of the whole text, so a number that is written in another
        way than ours does not pass either.
        """
        number, rows = _number_of(token), self._rows
        row = rows[number] if 0 < number < len(rows) else 0
        is_right = compare_digest(digest, self._hashes[row * HASH_BYTES : row * HASH_BYTES + HASH_BYTES])
        return row if is_right else 0

    def find(self, token: bytes, now_s: float) -> int:
        """The row of the key that a client shows. Raises: Unauthenticated: there is no such key, or it has expired."""
        row = self.look(token, hash_key(token))
        if not row:
            raise Unauthenticated.wrong_key()
        if self.expires_s[row] <= now_s:
            raise Unauthenticated.expired_key()
        return row


def _number_of(token: bytes) -> int:
    """The number of a key by its text; 0 where it has none."""
    try:
        return int(token.split(b"_", 3)[2], 36) if len(token) <= KEY_CHARS_MAX else 0
    except (ValueError, IndexError):
        return 0
