"""The hash of a live fleet: equal where two fleets say the same, however each of them has stored it.

Presence may be dense or sparse, samples and gaps in few pieces or many, and what a checkpoint is writing may have left
its place already; one fleet may have rows of devices of which nothing came yet: none of this is in the hash. Two fleets
at one position of one journal have the same.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.live.beat_gaps import LiveBeats, settle
from fleetpulse.live.fleet import Fleet
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.model.columns import DeviceColumns

PIECE_DEVICES = 8_192
BOUND = "gap_until_ns"
"""A column that says where gaps may be, and not where they are: it depends on what was applied together."""
Update = Callable[[bytes], None]


def fleet_hash(fleet: Fleet) -> str:
    """SHA-256 in hexadecimal digits. Nothing may be applied meanwhile; a million devices take about a second."""
    digest, count = hashlib.sha256(), _count(fleet)
    digest.update(repr((count, *_facts(fleet))).encode())
    for name, column in fleet.columns().items():
        if name != BOUND:
            _add(digest.update, name, column[:count])
    gaps, backfill = settle(_all_beats(fleet), fleet.device_policies.is_kept, forgotten=fleet.first_kept_ns)
    _add_rows(digest.update, "samples", [*fleet.samples.certain.pieces(), *fleet.closing.samples, *fleet.doubtful()])
    _add_rows(digest.update, "gaps", [*fleet.closing_gaps(), *fleet.gaps])
    _add_rows(digest.update, "beat gaps", [gaps])
    _add_rows(digest.update, "backfill", [backfill])
    for start in range(0, count, PIECE_DEVICES):
        _add_presence(digest.update, fleet, range(start, min(start + PIECE_DEVICES, count)))
    return digest.hexdigest()


def _count(fleet: Fleet) -> int:
    """The number behind the last device of which anything came: further ones may not be known to other nodes yet."""
    return int(np.flatnonzero(fleet.last_received_ns[: fleet.count]).max(initial=-1)) + 1


def _facts(fleet: Fleet) -> tuple[object, ...]:
    corrections = [*fleet.closing.corrections, *fleet.corrections]
    forgotten = [*fleet.forgotten], sorted(fleet.first_kept_ns.items())
    spans = [(int(start_ns), int(end_ns)) for start_ns, end_ns in fleet.blind_ns]
    return int(fleet.alive_at_ns), spans, fleet.leaps, corrections, forgotten


def _all_beats(fleet: Fleet) -> LiveBeats:
    """The gaps and the backfill of all devices; what is left of both is the same whatever was applied together."""
    joined, everybody = LiveBeats(reserve=0), range(fleet.count)
    for beats in (fleet.closing.beats, fleet.beats):
        joined.gaps += beats.gaps
        joined.early_gaps += beats.early_gaps
        joined.backfill += beats.all_backfill(everybody)
    return joined


def _add(update: Update, name: str, column: NDArray[np.generic]) -> None:
    update(f"\n{name} {column.dtype.str} {column.shape}\n".encode())
    update(np.ascontiguousarray(column).tobytes())


def _add_rows(update: Update, name: str, pieces: Sequence[DeviceColumns]) -> None:
    """Add rows about devices, in an order that only they themselves decide."""
    pieces = [piece for piece in pieces if len(piece)]
    if not pieces:
        return
    names = [column.name for column in fields(pieces[0])]
    columns = [np.concatenate([getattr(piece, name) for piece in pieces]) for name in names]
    order = np.lexsort(tuple(reversed(columns)))
    for column_name, column in zip(names, columns, strict=True):
        _add(update, f"{name} {column_name}", column[order])


def _add_presence(update: Update, fleet: Fleet, devices: range) -> None:
    dense, sparse = (fleet.dense, fleet.closing.dense), (fleet.sparse, fleet.closing.sparse)
    days = sorted({*dense[0], *dense[1], *sparse[0].days, *sparse[1].days})
    for day in days:
        rows = np.zeros((len(devices), WORDS_PER_DAY), np.uint64)
        for hours in (part[day] for part in dense if day in part):
            _join_dense(rows, hours, devices)
        for numbers, found in _sparse_rows(sparse, day, devices):
            rows[numbers] |= found
        present = np.flatnonzero(rows.any(axis=1))
        if len(present):
            _add(update, f"presence {day} {devices.start}", present)
            _add(update, "rows", rows[present])


def _join_dense(rows: Rows, hours: HourColumns, devices: range) -> None:
    known = hours[devices.start : devices.stop]
    rows[: len(known)] |= known


def _sparse_rows(
    sparse: Iterable[SparsePresence], day: int, devices: range
) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    for part in sparse:
        for numbers, rows in part.of(day).chunks():
            is_here = (numbers >= devices.start) & (numbers < devices.stop)
            if is_here.any():
                yield numbers[is_here].astype(np.int64) - devices.start, rows[is_here]
