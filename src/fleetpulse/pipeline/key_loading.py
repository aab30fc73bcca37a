"""How keys come from the catalog into memory: all at the start, and those that other nodes made or ended."""

import time
from collections.abc import Iterable, Iterator, Sequence

from fleetpulse.access.key_table import NEVER_S, NOT_A_DEVICE, KeyTable
from fleetpulse.catalog.key_records import KeyRecords
from fleetpulse.model.key import KeyRecord
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.key_use import take_in_use

PIECE_KEYS = 500
"""Keys that are read, or made, at once, while whoever changes the catalog waits: some 50 ms, 2 on the event loop."""


def load_keys(keys: KeyTable, records: KeyRecords, unreadable: list[str]) -> None:
    """Read all keys that are not revoked. Blocks; for the start. Raises: DamagedData; DatabaseBusy.

    Args: unreadable: gets a sentence for each damaged row.
    """
    for found in records.live_of_devices(unreadable):
        expires_s = [NEVER_S if end_ns is None else end_ns / NS_PER_S for end_ns in found.expires_at_ns]
        keys.load_devices(found.numbers, found.digests, found.devices, expires_s)
        time.sleep(0)  # the loop answers meanwhile that the service starts
    for key in records.live(unreadable):
        put_key(keys, key)
    take_in_use(keys, records.used_minutes())


def put_key(keys: KeyTable, key: KeyRecord) -> None:
    """Take a key in that is not revoked."""
    keys.put(
        key.number,
        key.digest,
        device=NOT_A_DEVICE if key.device is None else key.device,
        principal=key.principal,
        expires_s=_end_s(key),
    )


def _end_s(key: KeyRecord) -> float:
    return NEVER_S if key.expires_at_ns is None else key.expires_at_ns / NS_PER_S


def pieces_to_read(numbers: Sequence[int] | None, *, end: int) -> Iterator[Sequence[int]]:
    """The numbers of keys that are to be read, in pieces. Args: numbers: ascending; None: all before `end`."""
    wanted: Sequence[int] = range(1, end) if numbers is None else numbers
    return (wanted[start : start + PIECE_KEYS] for start in range(0, len(wanted), PIECE_KEYS))


def read_keys(records: KeyRecords, numbers: Sequence[int]) -> list[KeyRecord]:
    """The keys of these numbers, ascending, revoked ones too; damaged ones are left out. Blocks."""
    first, count = numbers[0], numbers[-1] + 1 - numbers[0]
    if count > 2 * len(numbers):
        return [key for key in map(records.find, numbers) if key is not None]
    wanted = frozenset(numbers)
    page = records.page(after=first - 1, count=count, role=None, devices=(), is_revoked_included=True)
    return [key for key in page if key.number in wanted]


def adopt_keys(keys: KeyTable, numbers: Iterable[int], found: Iterable[KeyRecord]) -> None:
    """Bring memory to what the catalog says of the keys of these numbers.

    What is known of when a key was used stays, and a key that is being revoked here stays refused.
    """
    gone = set(numbers)
    for key in found:
        if key.revoked_at_ns is None:
            gone.discard(key.number)
            if keys.row(key.number):
                keys.expire(key.number, _end_s(key))
            else:
                put_key(keys, key)
        keys.numbers_end = max(keys.numbers_end, key.number + 1)
    for number in gone:
        keys.remove(number)
