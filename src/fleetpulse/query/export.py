"""Raw data for an export, a piece of some rows at a time: samples, minutes of presence, reception gaps.

Texts come as codes and the few different texts, and pieces are small, since others may wait for the interpreter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows, count_minutes
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
"""Columns by name, all of one length: arrays, of which times are int64, ns since 1970, and `Texts`. {}: no rows."""
PRESENCE_DEVICES = 512
"""Devices whose minutes are laid out at a time: 740 KB."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts, of which few are different: row i is `texts[codes[i]]`. `codes`: int32, shape (rows,)."""

    codes: NDArray[np.int32]
    texts: Sequence[str]

    def tolist(self) -> list[str]:
        """The text of each row."""
        return [self.texts[code] for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose data to export, and how much of it at a time.

    Attributes:
        name_of: what to write for a device, by its number.
        is_selected: bool, shape (devices,); devices with higher numbers are not selected.
        rows_max: rows of a piece; small ones keep the memory of an export, and what it makes at one go, small.
    """

    name_of: Callable[[int], str]
    is_selected: NDArray[np.bool_]
    rows_max: int

    def parts(self, count: int) -> Iterator[slice]:
        """Places of `count` rows, a piece at a time."""
        return (slice(start, start + self.rows_max) for start in range(0, count, self.rows_max))

    def has(self, devices: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Which of these numbers of devices, shape (rows,), are selected: bool, shape (rows,)."""
        found = devices < len(self.is_selected)
        found[found] = self.is_selected[devices[found]]
        return found

    def names(self, devices: NDArray[Any]) -> Texts:
        """What to write for each of these numbers of devices, uint32 or int64, shape (rows,)."""
        numbers, codes = np.unique(devices, return_inverse=True)
        return Texts(codes.astype(np.int32), [self.name_of(number) for number in numbers.tolist()])


def export_samples(
    where: Samples, selection: Selection, metrics: Sequence[tuple[int, MetricDefinition]], *, start_ns: int, end_ns: int
) -> Iterator[Piece]:
    """The samples of [start_ns, end_ns), metric by metric and block by block; of a block sorted by device and time.

    A piece without rows comes wherever much was read for nothing, so that whoever draws the pieces may stop.

    Args:
        metrics: numbers and definitions.
    Raises: DamagedData.
    """
    for number, metric in metrics:
        sample_range = SampleRange(number, None, start_ns, end_ns)
        for block in where.manifest.samples:
            if block.kind == metric.kind and RAW in block.files and block.start_ns < end_ns and block.end_ns > start_ns:
                for samples in where.history.samples(block, sample_range):
                    yield from _sample_pieces(samples, metric, selection)
        wanted = LiveRange(number, start_ns, end_ns, is_selected=selection.is_selected)
        for samples in live_samples(where, wanted, metric):
            yield from _sample_pieces(samples, metric, selection)


def _sample_pieces(samples: SampleColumns, metric: MetricDefinition, selection: Selection) -> Iterator[Piece]:
    chosen = samples.where(np.flatnonzero(selection.has(samples.devices)))
    values = chosen.values if metric.kind == "integer" else chosen.values.view(np.float64)
    for part in selection.parts(len(chosen)):
        devices = chosen.devices[part]
        yield {
            "device_id": selection.names(devices),
            "metric": Texts(np.zeros(len(devices), np.int32), [metric.name]),
            "sent_at": chosen.at_ns[part],
            "value": values[part],
        }
    if not len(chosen):
        yield {}


def export_presence(view: FleetView, selection: Selection, *, start_ns: int, end_ns: int) -> Iterator[Piece]:
    """The minutes present that begin in [start_ns, end_ns), day by day. Errors, and empty pieces: as `export_samples`.

    Args: start_ns, end_ns: in the days that `view` was taken for.
    """
    live = view.live
    known = {*view.manifest.presence, *live.dense, *live.sparse}.union(*(block.days for block in view.manifest.late))
    for day in sorted(day for day in known if start_ns // NS_PER_DAY <= day < -(-end_ns // NS_PER_DAY)):
        for devices, rows in view.presence(day):
            chosen = np.flatnonzero(selection.has(devices))
            yield {}
            for part in _presence_parts(rows, chosen, selection.rows_max):
                places, minutes = np.nonzero(unpack_minutes(rows[part]))
                at_ns = (day * MINUTES_PER_DAY + minutes) * NS_PER_MINUTE
                inside = (at_ns >= start_ns) & (at_ns < end_ns)
                if inside.any():
                    yield {"device_id": selection.names(devices[part][places[inside]]), "minute": at_ns[inside]}


def _presence_parts(rows: Rows, chosen: NDArray[np.int64], rows_max: int) -> Iterator[NDArray[np.int64]]:
    """The chosen places of rows in parts that have at most `rows_max` minutes, or a single row of up to 1,440."""
    totals = np.cumsum(count_minutes(rows[chosen]))
    start = 0
    while start < len(chosen):
        before = int(totals[start - 1]) if start else 0
        end = int(np.searchsorted(totals, before + rows_max, side="right"))
        end = min(max(end, start + 1), start + PRESENCE_DEVICES)
        yield chosen[start:end]
        start = end


def export_gaps(view: FleetView, selection: Selection, *, start_ns: int, end_ns: int) -> Iterator[Piece]:
    """The reception gaps that ended in [start_ns, end_ns). Errors, and empty pieces: as for `export_samples`."""
    days = view.closed_gaps(start_day=start_ns // NS_PER_DAY, end_day=-(-end_ns // NS_PER_DAY), is_ordered=True)
    for pieces in (days, view.live.gaps):
        for piece in pieces:
            ended = (piece.end_ns >= start_ns) & (piece.end_ns < end_ns)
            gaps = piece.where(ended & selection.has(piece.devices))
            for part in selection.parts(len(gaps)):
                yield {
                    "device_id": selection.names(gaps.devices[part]),
                    "start_at": gaps.start_ns[part],
                    "end_at": gaps.end_ns[part],
                    "interval_s": gaps.interval_s[part],
                    "grace_s": gaps.grace_s[part],
                }
            yield {}
