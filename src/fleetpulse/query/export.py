"""Raw data for an export, a piece of some rows at a time: samples, minutes of presence, reception gaps.

Here `ids` are ids of devices, and `selection`, bool, tells whose data to export; both by device number.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.uptime import unpack_minutes
from fleetpulse.blocks.history import SampleRange
from fleetpulse.model.manifest import RAW
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.query.live_samples import LiveRange, live_samples
from fleetpulse.query.reads import Samples
from fleetpulse.query.view import FleetView

COLUMNS = {
    "samples": ["device_id", "metric", "sent_at", "value"],
    "presence": ["device_id", "minute"],
    "reception_gaps": ["device_id", "start_at", "end_at", "interval_s", "grace_s"],
}
"""The columns of each kind of export, in their order."""
ALIASES = {"silences": "reception_gaps"}
"""Names of kinds that clients may still use."""
NAMES = ("samples", "presence", *ALIASES, "reception_gaps")
Piece = dict[str, Any]
"""Columns by name, all of one length; times are int64, ns since 1970."""
PIECE_ROWS = 65_536
PRESENCE_DEVICES = 256
"""Devices whose minutes are laid out at a time: at most 368,640 rows."""


def export_samples(
    where: Samples,
    ids: NDArray[Any],
    selection: NDArray[np.bool_],
    metrics: Sequence[tuple[int, MetricDefinition]],
    *,
    start_ns: int,
    end_ns: int,
) -> Iterator[Piece]:
    """The samples of [start_ns, end_ns), metric by metric and block by block; of a block sorted by device and time.

    Args:
        ids: texts of any dtype, of all devices, by number, shape (devices,).
        selection: whose, bool, shape (devices,).
        metrics: numbers and definitions.
    Raises: DamagedData.
    """
    for number, metric in metrics:
        sample_range = SampleRange(number, None, start_ns, end_ns)
        for block in where.manifest.samples:
            if block.kind == metric.kind and RAW in block.files and block.start_ns < end_ns and block.end_ns > start_ns:
                for samples in where.history.samples(block, sample_range):
                    yield from _sample_pieces(samples, metric, ids, selection)
        for samples in live_samples(where, LiveRange(number, start_ns, end_ns, is_selected=selection), metric):
            yield from _sample_pieces(samples, metric, ids, selection)


def _sample_pieces(
    samples: SampleColumns, metric: MetricDefinition, ids: NDArray[Any], selection: NDArray[np.bool_]
) -> Iterator[Piece]:
    known = samples.where(np.flatnonzero(samples.devices < len(selection)))
    chosen = known.where(np.flatnonzero(selection[known.devices]))
    values = chosen.values if metric.kind == "integer" else chosen.values.view(np.float64)
    for start in range(0, len(chosen), PIECE_ROWS):
        part = slice(start, start + PIECE_ROWS)
        devices = ids[chosen.devices[part]]
        yield {
            "device_id": devices,
            "metric": np.full(len(devices), metric.name),
            "sent_at": chosen.at_ns[part],
            "value": values[part],
        }


def export_presence(
    view: FleetView, ids: NDArray[Any], selection: NDArray[np.bool_], *, start_ns: int, end_ns: int
) -> Iterator[Piece]:
    """The minutes present that begin in [start_ns, end_ns), day by day. Shapes, dtypes, errors: as `export_samples`."""
    for day in range(start_ns // NS_PER_DAY, -(-end_ns // NS_PER_DAY)):
        for devices, rows in view.presence(day):
            chosen = np.flatnonzero(selection[devices])
            for start in range(0, len(chosen), PRESENCE_DEVICES):
                part = chosen[start : start + PRESENCE_DEVICES]
                places, minutes = np.nonzero(unpack_minutes(rows[part]))
                at_ns = (day * MINUTES_PER_DAY + minutes) * NS_PER_MINUTE
                inside = (at_ns >= start_ns) & (at_ns < end_ns)
                if inside.any():
                    yield {"device_id": ids[devices[part][places[inside]]], "minute": at_ns[inside]}


def export_gaps(
    view: FleetView, ids: NDArray[Any], selection: NDArray[np.bool_], *, start_ns: int, end_ns: int
) -> Iterator[Piece]:
    """The reception gaps that ended in [start_ns, end_ns). Shapes, dtypes and errors: as for `export_samples`."""
    days = view.closed_gaps(start_day=start_ns // NS_PER_DAY, end_day=-(-end_ns // NS_PER_DAY), is_ordered=True)
    for piece in chain(days, view.live.gaps):
        gaps = piece.where((piece.end_ns >= start_ns) & (piece.end_ns < end_ns) & (piece.devices < len(selection)))
        gaps = gaps.where(selection[gaps.devices])
        if len(gaps):
            yield {
                "device_id": ids[gaps.devices],
                "start_at": gaps.start_ns,
                "end_at": gaps.end_ns,
                "interval_s": gaps.interval_s,
                "grace_s": gaps.grace_s,
            }
