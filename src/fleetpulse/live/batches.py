"""Several event batches as one, so that a thousand small batches are applied for little more than one large one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.model.columns import DeviceColumns
from fleetpulse.model.events import QUIET_NS, EventColumns
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.model.samples import NO_SAMPLES, SampleColumns

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Receptions(DeviceColumns):
    """When the service heard from devices, one reception a row; `at_ns` is received_at."""

    at_ns: NDArray[np.int64]


def join_heartbeats(batches: Sequence[EventColumns], *, floor_ns: int) -> tuple[NDArray[np.int64], Receptions]:
    """(sent_at in int64 ns, receptions) of the heartbeats of all batches, shape (n,); each batch has at least one.

    Args: floor_ns: when the entry before these was received; no reception is earlier.
    """
    return (
        _joined([batch.heartbeat_sent_at_ns for batch in batches]),
        Receptions(
            _joined([batch.heartbeat_devices for batch in batches]),
            _received(batches, [len(batch.heartbeat_devices) for batch in batches], floor_ns),
        ),
    )


def join_reported_samples(batches: Sequence[EventColumns], *, floor_ns: int) -> tuple[SampleColumns, Receptions]:
    """(samples, receptions) of all batches, of one length; each batch has at least one sample.

    Args: floor_ns: see `join_heartbeats`.
    """
    samples = SampleColumns(
        _joined([batch.sample_devices for batch in batches]),
        _joined([batch.sample_metrics for batch in batches]),
        _joined([batch.sample_sent_at_ns for batch in batches]),
        _joined([batch.sample_values for batch in batches]),
    )
    counts = [len(batch.sample_devices) for batch in batches]
    return samples, Receptions(samples.devices, _received(batches, counts, floor_ns))


def samples_of(batch: EventColumns) -> SampleColumns:
    """The samples of one batch."""
    return SampleColumns(batch.sample_devices, batch.sample_metrics, batch.sample_sent_at_ns, batch.sample_values)


def metrics_reports(
    samples: SampleColumns, batches: Sequence[EventColumns]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """(device, sent_at) of the reports of metrics, each of which shows that its device was running.

    Upload statistics show no such thing, by the published contract, so samples of the built-in metric are left out. A
    report has many samples at one time, which stand side by side: it is marked once.

    Args: samples: those of `batches`, joined; in batches of earlier versions no report marks presence.
    Returns: uint32, and int64 ns, both shape (reports,).
    """
    marking = [batch for batch in batches if batch.do_reports_mark]
    if len(marking) < len(batches):
        samples = join_reported_samples(marking, floor_ns=0)[0] if marking else NO_SAMPLES
    is_reported = samples.metrics != UPLOAD_TIME
    if not is_reported.any():
        return samples.devices[:0], samples.at_ns[:0]
    devices, at_ns = samples.devices[is_reported], samples.at_ns[is_reported]
    is_first = first_of_runs(devices, at_ns)
    return devices[is_first], at_ns[is_first]


def quiet_before(batch: EventColumns, alive_at_ns: int) -> list[tuple[int, int]]:
    """The span before a batch in which no node wrote, so that none can have heard devices; none where it is short.

    Args: alive_at_ns: the latest received_at of all entries before it, 0 where there are none.
    """
    is_quiet = alive_at_ns and batch.received_at_ns - alive_at_ns > QUIET_NS
    return [(alive_at_ns, batch.received_at_ns)] if is_quiet else []


def in_time(batch: EventColumns, alive_at_ns: int) -> EventColumns:
    """The batch, received no earlier than what is before it, by whatever node."""
    return batch if batch.received_at_ns >= alive_at_ns else replace(batch, received_at_ns=alive_at_ns)


def are_divided_alike(batches: Sequence[EventColumns], samples: SampleColumns) -> bool:
    """Whether samples are certain or doubtful alike (see `live.reported_samples`) together and batch by batch.

    Nodes that follow a shared journal join other batches than each other, and must come to the same.

    Args: samples: those of `batches`, joined. Cost: it sorts them by device, where there are several batches.
    """
    if len(batches) == 1 or not any(batch.is_shared for batch in batches):
        return True
    order = np.argsort(samples.devices, kind="stable")
    devices, at_ns = samples.devices[order], samples.at_ns[order]
    of_batch = np.repeat(np.arange(len(batches)), [len(batch.sample_devices) for batch in batches])[order]
    step_ns = np.diff(at_ns)
    is_out_of_order = (step_ns < 0) | ((step_ns == 0) & (np.diff(of_batch) != 0))
    return not bool((is_out_of_order & (devices[1:] == devices[:-1])).any())


def _joined(arrays: Sequence[NDArray[_Number]]) -> NDArray[_Number]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _received(batches: Sequence[EventColumns], counts: Sequence[int], floor_ns: int) -> NDArray[np.int64]:
    """When each event was received, in ns; never before the event before it, even where the clock stepped back.

    Older versions let entries step back.

    Args: `counts`: how many events of each batch there are, of one length with `batches`.
    """
    at_ns = np.maximum.accumulate(np.array([max(floor_ns, batch.received_at_ns) for batch in batches], np.int64))
    return np.broadcast_to(at_ns, counts[0]) if len(batches) == 1 else np.repeat(at_ns, counts)
