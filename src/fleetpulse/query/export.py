"""Raw data on its way out, a piece at a time: samples, minutes of presence, silences."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.uptime import unpack_minutes
from fleetpulse.blocks.history import SampleRange
from fleetpulse.model.manifest import RAW
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.query.fleet import FleetView, presence_rows
from fleetpulse.query.metrics import Samples

COLUMNS = {
    "samples": ["device_id", "metric", "sent_at", "value"],
    "presence": ["device_id", "minute"],
    "silences": ["device_id", "start_at", "end_at", "interval_s", "grace_s"],
}
Piece = dict[str, Any]
PIECE_ROWS = 65_536
PRESENCE_DEVICES = 256


def export_samples(
    where: Samples,
    ids: NDArray[Any],
    asked: NDArray[np.bool_],
    metrics: Sequence[tuple[int, MetricDefinition]],
    *,
    start_ns: int,
    end_ns: int,
) -> Iterator[Piece]:
    """All samples of some metrics and devices in [start_ns, end_ns): metric by metric, block by block, each sorted by device and time.

    `ids` and `asked` are by device number. Raises: DamagedData.
    """
    for number, metric in metrics:
        wanted = SampleRange(number, None, start_ns, end_ns)
        for block in where.manifest.samples:
            if block.kind == metric.kind and RAW in block.files and block.start_ns < end_ns and block.end_ns > start_ns:
                for samples in where.history.samples(block, wanted):
                    yield from _sample_pieces(samples, metric, ids, asked)
        for samples in where.live:
            is_wanted = (samples.metrics == number) & (samples.at_ns >= start_ns) & (samples.at_ns < end_ns)
            yield from _sample_pieces(samples.where(is_wanted), metric, ids, asked)


def _sample_pieces(
    samples: SampleColumns, metric: MetricDefinition, ids: NDArray[Any], asked: NDArray[np.bool_]
) -> Iterator[Piece]:
    known = samples.where(np.flatnonzero(samples.devices < len(asked)))
    chosen = known.where(np.flatnonzero(asked[known.devices]))
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
    view: FleetView, ids: NDArray[Any], asked: NDArray[np.bool_], *, start_ns: int, end_ns: int
) -> Iterator[Piece]:
    """All minutes present that begin in [start_ns, end_ns), day by day. Raises: DamagedData."""
    for day in range(start_ns // NS_PER_DAY, -(-end_ns // NS_PER_DAY)):
        for devices, rows in presence_rows(view, day):
            chosen = np.flatnonzero(asked[devices])
            for start in range(0, len(chosen), PRESENCE_DEVICES):
                some = chosen[start : start + PRESENCE_DEVICES]
                places, minutes = np.nonzero(unpack_minutes(rows[some]))
                at_ns = (day * MINUTES_PER_DAY + minutes) * NS_PER_MINUTE
                inside = (at_ns >= start_ns) & (at_ns < end_ns)
                if inside.any():
                    yield {"device_id": ids[devices[some][places[inside]]], "minute": at_ns[inside]}


def export_gaps(
    view: FleetView, ids: NDArray[Any], asked: NDArray[np.bool_], *, start_ns: int, end_ns: int
) -> Iterator[Piece]:
    """All silences that ended in [start_ns, end_ns). Raises: DamagedData."""
    days = view.history.gaps(view.manifest, start_day=start_ns // NS_PER_DAY, end_day=-(-end_ns // NS_PER_DAY))
    for piece in (*days, *view.gaps):
        gaps = piece.where((piece.end_ns >= start_ns) & (piece.end_ns < end_ns) & (piece.devices < len(asked)))
        gaps = gaps.where(asked[gaps.devices])
        if len(gaps):
            yield {
                "device_id": ids[gaps.devices],
                "start_at": gaps.start_ns,
                "end_at": gaps.end_ns,
                "interval_s": gaps.interval_s,
                "grace_s": gaps.grace_s,
            }
