"""Stretches of time of devices, one a row: the gaps between beats, and what late beats cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.columns import DeviceColumns, join_columns

NO_FIRST_NS = np.iinfo(np.int64).max
"""In place of the first beat of a device: there is none."""
NO_LAST_NS = np.iinfo(np.int64).min
"""In place of the last one."""


@dataclass(frozen=True, slots=True)
class DeviceSpans(DeviceColumns):
    """Spans between two beats of a device, or of a single one, in ns by the device's clock.

    A beat gap is open: nothing was sent in (start_ns, end_ns). A backfill is closed: late beats cover [start_ns,
    end_ns], at both ends of which there is one.
    """

    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]


Spans = TypeVar("Spans", bound=DeviceSpans)
NO_SPANS_OF_DEVICES = DeviceSpans(np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64))


def join_device_spans(pieces: Sequence[DeviceSpans]) -> DeviceSpans:
    """All pieces as one, in order."""
    return join_columns(pieces, NO_SPANS_OF_DEVICES)


def sort_device_spans(spans: Spans) -> Spans:
    """The same spans by device and start."""
    return spans.where(np.lexsort((spans.start_ns, spans.devices)))
