"""The intake: events that are accepted and wait for the disk, and those who wait for the answer.

In come trusted events from the front door, the API handlers and bulk; out goes one batch at a time to the journal's writer.
Nothing here survives a crash, and nothing here has been acknowledged.
"""

from collections.abc import Callable
from typing import Protocol

from fleetpulse.errors import Answerable, Busy, NotAccepting
from fleetpulse.ingest.report import KnownMetrics, Report
from fleetpulse.model.events import EventBatch
from fleetpulse.model.metric import UPLOAD_TIME


class Waiter(Protocol):
    """Somebody who is told, once, what became of the events."""

    def acknowledge(self) -> None:
        """The events are durable."""
        ...

    def fail(self, error: Answerable) -> None:
        """They are not, and will not be."""
        ...


class Batch(EventBatch):
    """An event batch with those who wait for it."""

    __slots__ = ("waiters",)

    def __init__(self) -> None:
        super().__init__()
        self.waiters: list[Waiter] = []


class Intake:
    """Gathers what comes in while the journal is busy with what came before."""

    def __init__(
        self, *, numbers: dict[str, int], metrics: KnownMetrics, events_waiting_max: int, wake: Callable[[], None]
    ) -> None:
        """`numbers` maps device ids to numbers; it and `metrics` are shared. `wake` is called when `wake_at` wait in a batch."""
        self.numbers = numbers
        self.metrics = metrics
        self.batch = Batch()
        self.received = 0
        """Events that came in, whatever became of them."""
        self.senders = 0
        """Those who waited for what was taken, ever."""
        self.latest_ns = 0
        """The latest believable sent_at; moved along by the clock, once a second."""
        self.wake_at = 1
        """How many must wait before the writer is woken; it may come earlier by itself."""
        self.waiting_max = events_waiting_max
        self._wake = wake
        self._closed_by: NotAccepting | None = NotAccepting(
            "starting: the journal is being replayed", reason="starting"
        )
        self._in_flight = 0
        self.room = 0
        """How many more events are taken; a plain number, since every heartbeat asks."""

    @property
    def waiting(self) -> int:
        """Events that wait for the disk, those under way included."""
        return self._in_flight + len(self.batch)

    def open(self) -> None:
        """Begin to take events."""
        self._closed_by = None
        self.room = self.waiting_max - self.waiting

    def close(self, error: NotAccepting) -> None:
        """Refuse all further events with `error`."""
        self._closed_by = error
        self.room = 0

    @property
    def closed_by(self) -> NotAccepting | None:
        """Why nothing is taken, or None."""
        return self._closed_by

    def check(self, count: int = 1) -> None:
        """Raises: NotAccepting; Busy: `count` more events would be too many to hold."""
        if count > self.room:
            raise self.refusal()

    def refusal(self) -> Answerable:
        """Why there is no room: NotAccepting or Busy."""
        return self._closed_by or Busy(
            f"{self.waiting} events wait for the disk and no more than {self.waiting_max} may "
            "(events_waiting_max): come again after the seconds of Retry-After",
            reason="events_waiting",
        )

    def add_heartbeat(self, device: int, sent_at_ns: int, waiter: Waiter) -> None:
        """Take a heartbeat. Call `check` first."""
        batch = self.batch
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(sent_at_ns)
        batch.waiters.append(waiter)
        self.room -= 1
        if len(batch.waiters) == self.wake_at:
            self._wake()

    def add_sample(self, device: int, sent_at_ns: int, upload_time: int, waiter: Waiter) -> None:
        """Take a sample of upload_time. Call `check` first."""
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
        """Take the samples of one report, which become durable together. Call `check` first, with their number."""
        batch = self.batch
        count = len(report.metrics)
        batch.sample_devices.extend([device] * count)
        batch.sample_sent_at_ns.extend([report.sent_at_ns] * count)
        batch.sample_metrics.extend(report.metrics)
        batch.sample_values.frombytes(report.values)
        batch.waiters.append(waiter)
        self.room -= count
        if len(batch.waiters) == self.wake_at:
            self._wake()

    def add_batch(self, events: EventBatch, waiter: Waiter) -> None:
        """Take many events, which become durable together. Call `check` first."""
        self.room -= len(events)
        self.batch.extend(events)
        self.batch.waiters.append(waiter)
        if len(self.batch.waiters) == self.wake_at:
            self._wake()

    def add_mark(self, blind_ns: tuple[int, int] | None, waiter: Waiter) -> None:
        """Have the journal say that the service is alive, and perhaps when it was not: an entry even where no event comes."""
        self.batch.blind_ns.extend(blind_ns or ())
        self.batch.waiters.append(waiter)
        if len(self.batch.waiters) >= self.wake_at:
            self._wake()

    def take(self) -> Batch:
        """What has gathered; the next batch begins. Its events count as waiting until `settle`."""
        batch, self.batch = self.batch, Batch()
        self._in_flight = len(batch)
        self.senders += len(batch.waiters)
        return batch

    def settle(self) -> None:
        """What was taken is durable, or refused."""
        if self._closed_by is None:
            self.room += self._in_flight
        self._in_flight = 0
