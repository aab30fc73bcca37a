"""Reports of metrics: their names become metric numbers, and their values the 64 bits that are stored.

A device sends the same names in the same order with every report, so the rules for a tuple of names are looked up once.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fleetpulse.errors import Malformed, OutOfRange, UnknownMetric
from fleetpulse.model.metric import INTEGER_HIGHEST, INTEGER_LOWEST, MetricDefinition
from fleetpulse.notation.whole import whole

SHAPES_MAX = 4_096
NAMES_LISTED = 50
_FLOAT_HIGHEST = sys.float_info.max
_NEGATIVE_ZERO = struct.pack("<d", -0.0)


@dataclass(frozen=True, slots=True)
class Report:
    """Samples of one device at one time: metric numbers, and a value of 8 little-endian bytes for each."""

    sent_at_ns: int
    metrics: array[int]
    values: bytes
    not_measured: int = 0
    """Metrics of the report that were null."""

    @property
    def events(self) -> int:
        """How many events it counts as: its samples; or 1, a heartbeat, where nothing was measured."""
        return len(self.metrics) or 1


@dataclass(frozen=True, slots=True)
class _Shape:
    """How to read reports with one tuple of names."""

    numbers: array[int]
    pack: struct.Struct
    rules: tuple[tuple[bool, float, float], ...]
    """For each name: whether its values are integers, and its inclusive bounds, which exclude NaN and infinity."""


class KnownMetrics:
    """The metrics that devices may report, by name."""

    def __init__(self, *, report_metrics_max: int) -> None:
        self._max = report_metrics_max
        self._known: dict[str, tuple[int, MetricDefinition]] = {}
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def replace(self, definitions: Iterable[tuple[int, MetricDefinition]]) -> None:
        """Replace all metrics that may be reported: (number, definition) of each."""
        self._known = {metric.name: (number, metric) for number, metric in definitions}
        self._shapes = {}

    def get(self, name: str) -> tuple[int, MetricDefinition] | None:
        """(number, definition) of a metric, or None where it has no definition."""
        return self._known.get(name)

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._known)

    def unknown(self, names: Iterable[str]) -> UnknownMetric:
        """The refusal of those of `names` that have no definition; its text lists the names that have one."""
        missing = sorted(set(names) - self._known.keys())
        known = self.names
        more = f" and {len(known) - NAMES_LISTED} more" if len(known) > NAMES_LISTED else ""
        listed = ", ".join(known[:NAMES_LISTED]) + more
        shown = ", ".join(missing[:NAMES_LISTED])[:1000]
        return UnknownMetric(
            f"no such metric: {shown}; defined are: {listed}. Define it at /api/v1/metrics/definitions", names=missing
        )

    def read(self, reported: Mapping[str, int | float | None]) -> tuple[array[int], bytes]:
        """(metric numbers, values) of a report, see Report; metrics that are null are left out, whatever their name.

        Raises: Malformed: it is empty. UnknownMetric. OutOfRange: it has too many metrics, or a value out of bounds.
        """
        shape = self._shapes.get(tuple(reported))
        if shape is None:
            return self._read_slowly(reported)
        values = reported.values()
        for value, (is_integer, lowest, highest) in zip(values, shape.rules, strict=True):
            if value is None or not lowest <= value <= highest or (is_integer and type(value) is not int):
                return self._read_slowly(reported)
        return shape.numbers, _packed(shape, values)

    def _read_slowly(self, reported: Mapping[str, int | float | None]) -> tuple[array[int], bytes]:
        """See `read`: for new names, for values that are null or an integer written as 5.0, and for refusals."""
        if len(reported) > self._max:
            raise OutOfRange(
                f"{len(reported)} metrics in one report are more than {self._max} (report_metrics_max)",
                reason="report_metrics",
            )
        measured = {name: value for name, value in reported.items() if value is not None}
        if reported and not measured:
            return array("H"), b""
        names = tuple(measured)
        shape = self._shapes.get(names) or self._shape(names)
        values: list[int | float] = []
        for value, rule in zip(measured.values(), shape.rules, strict=True):
            integer = whole(value) if rule[0] else None
            values.append(value if integer is None else integer)
        for name, value, (is_integer, lowest, highest) in zip(names, values, shape.rules, strict=True):
            if not lowest <= value <= highest or (is_integer and type(value) is not int):
                raise self._refusal(name, value)
        return shape.numbers, _packed(shape, values)

    def _shape(self, names: tuple[str, ...]) -> _Shape:
        if not names:
            raise Malformed('`metrics` names no metric; expected {"<name>": <number>, …}')
        known = [self._known[name] for name in names if name in self._known]
        if len(known) < len(names):
            raise self.unknown(names)
        shape = _Shape(
            numbers=array("H", [number for number, _ in known]),
            pack=struct.Struct("<" + "".join("q" if metric.kind == "integer" else "d" for _, metric in known)),
            rules=tuple((metric.kind == "integer", *_bounds(metric)) for _, metric in known),
        )
        if len(self._shapes) >= SHAPES_MAX:
            self._shapes.clear()
        self._shapes[names] = shape
        return shape

    def _refusal(self, name: str, value: float) -> OutOfRange:
        _, metric = self._known[name]
        lowest, highest = _bounds(metric)
        if lowest <= value <= highest:  # its kind is wrong
            hint = ": beyond 2^53 write it without fraction and exponent" if value.is_integer() else ""
            return OutOfRange(
                f"{name} must be a whole number, as its kind is integer, not {value}{hint}", reason="metric_range"
            )
        unit = f" {metric.unit}" if metric.unit else ""
        return OutOfRange(f"{name} must be {lowest} to {highest}{unit}, as it is defined", reason="metric_range")


def _packed(shape: _Shape, values: Collection[int | float | None]) -> bytes:
    packed = shape.pack.pack(*values)
    if _NEGATIVE_ZERO in packed:
        # Samples are equal if their bits are, and -0.0 is the same number as 0.0. A sum with 0.0 is never -0.0.
        packed = shape.pack.pack(*(value + 0.0 if type(value) is float else value for value in values))
    return packed


def _bounds(metric: MetricDefinition) -> tuple[float, float]:
    lowest, highest = (
        (INTEGER_LOWEST, INTEGER_HIGHEST) if metric.kind == "integer" else (-_FLOAT_HIGHEST, _FLOAT_HIGHEST)
    )
    return lowest if metric.lowest is None else metric.lowest, highest if metric.highest is None else metric.highest
