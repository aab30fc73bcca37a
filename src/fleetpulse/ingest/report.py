"""Reports of metrics: the names a device says to numbers, its values to the 64 bits that are kept.

A device says the same names in the same order again and again, so what they mean is looked up once a set of names.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from fleetpulse.errors import Malformed, OutOfRange, UnknownMetric
from fleetpulse.model.metric import INTEGER_HIGHEST, INTEGER_LOWEST, MetricDefinition

SHAPES_KEPT = 4_096
NAMES_LISTED = 50
_FLOAT_HIGHEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Report:
    """Samples of one device at one time: metric numbers, and as many values of 8 bytes."""

    sent_at_ns: int
    metrics: array[int]
    values: bytes


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a tuple of names means."""

    numbers: array[int]
    pack: struct.Struct
    rules: tuple[tuple[bool, float, float], ...]
    """A name: whether it is an integer, and what is believed, inclusive. Bounds refuse NaN and infinity, too."""


class KnownMetrics:
    """The defined metrics, by name."""

    def __init__(self, *, report_metrics_max: int) -> None:
        self._max = report_metrics_max
        self._known: dict[str, tuple[int, MetricDefinition]] = {}
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def replace(self, definitions: Iterable[tuple[int, MetricDefinition]]) -> None:
        """Take (number, definition) of all metrics that may be reported."""
        self._known = {metric.name: (number, metric) for number, metric in definitions}
        self._shapes = {}

    def get(self, name: str) -> tuple[int, MetricDefinition] | None:
        """Number and definition of a metric, None where it is not defined."""
        return self._known.get(name)

    @property
    def names(self) -> list[str]:
        """All names, in order."""
        return sorted(self._known)

    def unknown(self, names: Iterable[str]) -> UnknownMetric:
        """The refusal of names that are not defined, with those that are."""
        missing = sorted(set(names) - self._known.keys())
        known = self.names
        more = f" and {len(known) - NAMES_LISTED} more" if len(known) > NAMES_LISTED else ""
        listed = ", ".join(known[:NAMES_LISTED]) + more
        shown = ", ".join(missing[:NAMES_LISTED])[:1000]
        return UnknownMetric(
            f"no such metric: {shown}; defined are: {listed}. Define it at /api/v1/metrics/definitions", names=missing
        )

    def read(self, said: dict[str, int | float]) -> tuple[array[int], bytes]:
        """Numbers and values of what was said.

        Raises: Malformed: nothing was said. UnknownMetric. OutOfRange: too many, or a value outside what is believed.
        """
        names = tuple(said)
        shape = self._shapes.get(names) or self._shape(names)
        values = said.values()
        for value, (is_integer, lowest, highest) in zip(values, shape.rules, strict=True):
            if not lowest <= value <= highest or (is_integer and type(value) is not int):
                raise self._refusal(said)
        return shape.numbers, shape.pack.pack(*values)

    def _shape(self, names: tuple[str, ...]) -> _Shape:
        if not names:
            raise Malformed('`metrics` names no metric; expected {"<name>": <number>, …}')
        if len(names) > self._max:
            raise OutOfRange(
                f"{len(names)} metrics in one report are more than {self._max} (report_metrics_max)",
                reason="report_metrics",
            )
        found = [self._known.get(name) for name in names]
        if None in found:
            raise self.unknown(names)
        known = [entry for entry in found if entry is not None]
        shape = _Shape(
            numbers=array("H", [number for number, _ in known]),
            pack=struct.Struct("<" + "".join("q" if metric.kind == "integer" else "d" for _, metric in known)),
            rules=tuple((metric.kind == "integer", *_bounds(metric)) for _, metric in known),
        )
        if len(self._shapes) >= SHAPES_KEPT:
            self._shapes.clear()
        self._shapes[names] = shape
        return shape

    def _refusal(self, said: dict[str, int | float]) -> OutOfRange:
        for name, value in said.items():
            _, metric = self._known[name]
            lowest, highest = _bounds(metric)
            if metric.kind == "integer" and type(value) is not int:
                return OutOfRange(f"{name} must be a whole number, as its kind is integer", reason="metric_range")
            if not lowest <= value <= highest:
                unit = f" {metric.unit}" if metric.unit else ""
                return OutOfRange(
                    f"{name} must be {lowest} to {highest}{unit}, as it is defined", reason="metric_range"
                )
        raise AssertionError("called without a value to refuse")


def _bounds(metric: MetricDefinition) -> tuple[float, float]:
    least, most = (INTEGER_LOWEST, INTEGER_HIGHEST) if metric.kind == "integer" else (-_FLOAT_HIGHEST, _FLOAT_HIGHEST)
    return least if metric.lowest is None else metric.lowest, most if metric.highest is None else metric.highest
