"""OpenTelemetry's turns: metrics are sent from time to time, and spans as requests and work end."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fleetpulse.telemetry.counters import Counters
from fleetpulse.telemetry.exposition import Values
from fleetpulse.telemetry.requests import Target


class Sender(Protocol):
    """What `telemetry.otel.Otel` is: nobody names that type, since its packages need not be there."""

    exports: Counter[str]

    def metrics(self, complete: Callable[[], Values]) -> None:
        """Send metrics."""
        ...

    def request(
        self, target: Target, code: int | None, took_s: float, headers: Sequence[tuple[bytes, bytes]], /
    ) -> None:
        """Send the span of a request."""
        ...

    def work(self, name: str, took_s: float, attributes: Mapping[str, int], /) -> None:
        """Send the span of work."""
        ...

    def close(self) -> None:
        """Send what is left. Blocks."""
        ...


@dataclass(eq=False, kw_only=True)
class OtelRounds:
    """Used on the loop, but for `close`."""

    sender: Sender | None
    """None where nothing is sent."""
    every_s: float
    monotonic_s: Callable[[], float] = time.monotonic
    values: Callable[[], Callable[[], Values]] | None = field(default=None, init=False)
    """Copies the metrics of now; what it returns completes them in a thread."""
    _due_s: float = field(default=0.0, init=False)

    def begin(self, counters: Counters, values: Callable[[], Callable[[], Values]]) -> None:
        """Be told of requests and work from now on, and send `values`."""
        self.values = values
        if self.sender is not None:
            counters.requests.observer, counters.on_work = self.sender.request, self.sender.work

    @property
    def exports(self) -> Mapping[str, int]:
        """Messages that were sent, by outcome."""
        return {} if self.sender is None else self.sender.exports

    def tick(self) -> None:
        """Send metrics if they are due."""
        if self.sender is not None and self.values is not None and self.monotonic_s() >= self._due_s:
            self._due_s = self.monotonic_s() + self.every_s
            self.sender.metrics(self.values())

    def close(self) -> None:
        """Send what is left, for a few seconds at most. Blocks."""
        if self.sender is not None:
            self.sender.close()
