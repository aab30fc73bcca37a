"""The intake: checked events that wait for the disk, and the waiters that are told when their events are durable.

In come events from the front door and the handlers of the ASGI path; out goes one batch at a time to the writer of the
journal. Nothing here survives a crash, and nothing here was acknowledged.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Protocol

from fleetpulse.errors import JOURNAL_FULL, Answerable, Busy, NotAccepting
from fleetpulse.ingest.report import KnownMetrics, Report
from fleetpulse.ingest.unknown_fields import UnknownFields
from fleetpulse.model.events import EventBatch
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.telemetry.requests import Arrived


class Waiter(Protocol):
    """Whoever sent events and waits for their answer. Exactly one of the two methods is called, once."""

    def acknowledge(self) -> None:
        """The events are durable."""
        ...

    def fail(self, error: Answerable) -> None:
        """The events are not durable, and will not be; `error` is the answer."""
        ...


class Batch(EventBatch):
    """An event batch with the waiters of its events."""

    __slots__ = ("arrived", "waiters")

    def __init__(self, arrived: Arrived | None = None) -> None:
        """`arrived`: where the front door notes when reports came; None where nobody measures that."""
        super().__init__()
        self.arrived = arrived
        self.waiters: list[Waiter] = []


class Intake:
    """Gathers events while the journal writes the batch before them."""

    def __init__(
        self,
        *,
        numbers: dict[str, int],
        metrics: KnownMetrics,
        events_waiting_max: int,
        wake: Callable[[], None],
        earliest_ns: int = 0,
        unknown_fields_max: int = 0,
        new_arrived: Callable[[], Arrived] | None = None,
    ) -> None:
        """`numbers`: the number of each device id. `wake` is called when `wake_at` waiters are in the batch.

        `new_arrived` makes the place where a batch notes when its reports came; None where nobody measures that.

        `numbers` and `metrics` are not copied: whoever registers devices and defines metrics changes them.
        """
        self.numbers = numbers
        self.metrics = metrics
        self._new_arrived = new_arrived
        self.batch = self._new_batch()
        self.received = 0
        """Events that arrived, accepted or refused."""
        self.not_measured = 0
        """Metrics of accepted reports that were null."""
        self.unknown_fields = UnknownFields(unknown_fields_max)
        self.senders = 0
        """How many waiters there were in all batches taken so far."""
        self.earliest_ns = earliest_ns
        """The earliest sent_at that is accepted, in nanoseconds."""
        self.latest_ns = 0
        """The latest sent_at that is accepted, in nanoseconds. The node moves it on with the clock, once a second."""
        self.backlog_before_ns = 0
        """A single report with an earlier sent_at is a backlog, which is refused with `backlog_refusal`; 0: none is."""
        self.backlog_refusal: Busy | None = None
        """Why no backlogs are taken now, bulk bodies included; None where they are."""
        self.wake_at = 1
        """How many waiters wake the writer. It may also take a batch earlier, by itself."""
        self.waiting_max = events_waiting_max
        self._wake = wake
        self._closed_by: NotAccepting | None = NotAccepting(
            "starting: the journal is being replayed", reason="starting"
        )
        self._in_flight = 0
        self.room = 0
        """How many more events are accepted: a plain attribute, since every heartbeat reads it."""

    @property
    def waiting(self) -> int:
        """Events that wait for the disk, those of the batch being written included."""
        return self._in_flight + len(self.batch)

    def open(self) -> None:
        """Begin to accept events."""
        self._closed_by = None
        self.room = self.waiting_max - self.waiting

    def close(self, error: NotAccepting) -> None:
        """Refuse all further events with `error`."""
        self._closed_by = error
        self.room = 0

    @property
    def closed_by(self) -> NotAccepting | None:
        """Why no event is accepted, or None."""
        return self._closed_by

    def check(self, count: int = 1) -> None:
        """Raises: NotAccepting; Busy: with `count` more, too many events would wait for the disk."""
        if count > self.room:
            raise self.refusal()

    def check_own(self) -> None:
        """The same for an entry of the service, which goes on while the journal has room for nothing else."""
        if self._closed_by is None or self.own_refusal is not None:
            self.check()

    @property
    def own_refusal(self) -> NotAccepting | None:
        """Why not even entries of the service get into the journal; None where they do."""
        return None if self._closed_by is None or self._closed_by.reason == JOURNAL_FULL else self._closed_by

    def check_backlog(self) -> None:
        """Raises: Busy: no backlogs are taken now."""
        if self.backlog_refusal is not None:
            raise self.backlog_refusal

    def refusal(self) -> Answerable:
        """The error to answer where there is no room: NotAccepting or Busy."""
        return self._closed_by or Busy(
            f"{self.waiting} events wait for the disk, of at most {self.waiting_max} (events_waiting_max); "
            "send again after the seconds of Retry-After",
            reason="events_waiting",
        )

    def add_heartbeat(self, device: int, sent_at_ns: int, waiter: Waiter) -> None:
        """Accept a heartbeat. Call `check` first. Raises: Busy: it is a backlog, and none is taken now."""
        if sent_at_ns < self.backlog_before_ns:
            self.check_backlog()
        batch = self.batch
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(sent_at_ns)
        batch.waiters.append(waiter)
        self.room -= 1
        if len(batch.waiters) == self.wake_at:
            self._wake()

    def add_sample(self, device: int, sent_at_ns: int, upload_time: int, waiter: Waiter) -> None:
        """Accept a sample of upload_time. Call `check` first. Raises: Busy, as `add_heartbeat`."""
        if sent_at_ns < self.backlog_before_ns:
            self.check_backlog()
        batch = self.batch
        batch.sample_devices.append(device)
        batch.sample_sent_at_ns.append(sent_at_ns)
        batch.sample_values.append(upload_time)
        batch.sample_metrics.append(UPLOAD_TIME)
        batch.waiters.append(waiter)
        self.room -= 1
        if len(batch.waiters) == self.wake_at:
            self._wake()

    def add_report(self, device: int, report: Report, waiter: Waiter) -> None:
        """Accept the samples of one report, which become durable together. Call `check` first, with `report.events`.

        Raises: Busy, as `add_heartbeat`.
        """
        if report.sent_at_ns < self.backlog_before_ns:
            self.check_backlog()
        self.not_measured += report.not_measured
        count = len(report.metrics)
        if not count:
            self.add_heartbeat(device, report.sent_at_ns, waiter)
            return
        batch = self.batch
        batch.sample_devices.extend([device] * count)
        batch.sample_sent_at_ns.extend([report.sent_at_ns] * count)
        batch.sample_metrics.extend(report.metrics)
        batch.sample_values.frombytes(report.values)
        batch.waiters.append(waiter)
        self.room -= count
        if len(batch.waiters) == self.wake_at:
            self._wake()

    def add_batch(self, events: EventBatch, waiter: Waiter) -> None:
        """Accept many events, which become durable together. Call `check` first, with their number."""
        self.room -= len(events)
        self.batch.extend(events)
        self.batch.waiters.append(waiter)
        if len(self.batch.waiters) == self.wake_at:
            self._wake()

    def add_mark(self, waiter: Waiter) -> None:
        """Have an entry written even where no event arrives: it records that the service runs."""
        self.batch.waiters.append(waiter)
        if len(self.batch.waiters) >= self.wake_at:
            self._wake()

    def add_correction(self, waiter: Waiter) -> None:
        """Have an entry written that corrects what came in by a wrong clock; its times are given when it is stamped."""
        self.batch.correction_ns = array("q", (0, 0))
        self.add_mark(waiter)

    def add_checkpoint(self, at_ns: int, waiter: Waiter) -> None:
        """Have an entry written that says that a checkpoint begins behind it, at this time."""
        self.batch.checkpoint_ns = array("q", (at_ns,))
        self.add_mark(waiter)

    def add_order(self, values: array[int], waiter: Waiter) -> None:
        """Have an order to forget written, behind the events that have gathered; see `model/forgotten.py`."""
        self.batch.forgotten.extend(values)
        self.batch.waiters.append(waiter)
        if len(self.batch.waiters) >= self.wake_at:
            self._wake()

    def _new_batch(self) -> Batch:
        return Batch(None if self._new_arrived is None else self._new_arrived())

    def take(self) -> Batch:
        """The gathered batch; a new one begins. The events taken count as waiting until `settle`."""
        batch, self.batch = self.batch, self._new_batch()
        self._in_flight = len(batch)
        self.senders += len(batch.waiters)
        return batch

    def settle(self) -> None:
        """The batch taken is durable, or was refused: its events no longer wait."""
        if self._closed_by is None:
            self.room += self._in_flight
        self._in_flight = 0
