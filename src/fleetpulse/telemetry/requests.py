"""Requests by route and outcome: how many there were, and how long they took.

A report at the front door is noted when its events are given to the intake, and counted when the batch of the journal
that holds them is answered: all reports of a batch in one go, so that the path of a heartbeat has one append and one
reading of the clock more, and no arithmetic. Other requests are counted one by one.
"""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from fleetpulse.telemetry.distribution import REQUEST_BOUNDS_S, Distribution

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
"""Whatever a stranger sends as a method must not become a series of its own."""
NO_ROUTE = "none"
"""The route of requests that name none, or that ended before it was known."""
UNANSWERED = "none"
"""The code of requests that were not answered, since the client hung up or the service stopped."""
Arrived = dict[bytes, list[float]]
"""When reports of a batch came, by the last part of their path, on the clock of `time.monotonic`, in seconds."""
_REPORT = "/api/v1/devices/{device_id}/%s"


class Target(NamedTuple):
    """What a request is for."""

    method: str
    route: str
    """The path as it is declared, with names of parameters in braces."""


_UNREAD = Target(NO_ROUTE, NO_ROUTE)
REPORT_ROUTES = (b"heartbeat", b"stats", b"metrics")
_REPORTS = {name: Target("POST", _REPORT % name.decode()) for name in REPORT_ROUTES}


def outcome_of(code: int) -> str:
    """What became of a request, by the status of its answer: `ok`, `refused` or `failed`."""
    return "ok" if code < 400 else "refused" if code < 500 else "failed"


class RequestObserver(Protocol):
    """Who is told of each request that is counted one by one."""

    def __call__(
        self, target: Target, code: int | None, took_s: float, headers: Sequence[tuple[bytes, bytes]], /
    ) -> None:
        """A request has ended; `headers` are its own."""
        ...


class RequestTelemetry:
    """Counts since the process started. Used on the loop only."""

    def __init__(self) -> None:
        self.observer: RequestObserver | None = None
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._durations: dict[tuple[str, ...], Distribution] = {}
        self._batches: deque[tuple[Arrived, float, int]] = deque()
        """Reports of batches that are answered: when they came, when they were answered, and with which code."""
        self._answered = self._failed = 0

    def arrived(self) -> Arrived:
        """A place for the reports of a new batch."""
        return {b"heartbeat": [], b"stats": [], b"metrics": []}

    def answered(self, arrived: Arrived | None, code: int) -> None:
        """The reports of a batch are being answered."""
        if arrived is not None:
            self._batches.append((arrived, time.monotonic(), code))

    def refused(self, route: bytes, code: int) -> None:
        """The front door refused a report at once, which takes less than the lowest bucket tells apart."""
        self.count(_REPORTS[route], code, 0.0)

    def unread(self, code: int) -> None:
        """A request was refused before it was known what it is for."""
        self.count(_UNREAD, code, 0.0)

    def count(self, target: Target, code: int | None, duration_s: float) -> None:
        """Count one request. `code`: the status of its answer; None where there was none."""
        method = target.method if target.method in METHODS or target is _UNREAD else OTHER_METHOD
        if code is None:
            self._counts[method, target.route, UNANSWERED] += 1
            return
        self._counts[method, target.route, str(code)] += 1
        self._durations_of(method, target.route, code).add(duration_s)
        self._tally(1, code)

    def _tally(self, count: int, code: int) -> None:
        self._answered += count
        self._failed += count if code >= 500 else 0

    def _durations_of(self, method: str, route: str, code: int) -> Distribution:
        key = (method, route, outcome_of(code))
        found = self._durations.get(key)
        if found is None:
            found = self._durations[key] = Distribution(REQUEST_BOUNDS_S)
        return found

    def settle(self) -> None:
        """Count the reports of answered batches: often enough that few wait, as each is a number in memory.

        All of a route and code are counted together, since each call of numpy costs as much as some ten reports.
        """
        together: dict[tuple[bytes, int], tuple[list[float], list[float], list[int]]] = {}
        while self._batches:
            arrived, ended_s, code = self._batches.popleft()
            for route, began_s in arrived.items():
                if began_s:
                    all_began_s, ends_s, sizes = together.setdefault((route, code), ([], [], []))
                    all_began_s += began_s
                    ends_s.append(ended_s)
                    sizes.append(len(began_s))
        for (route, code), (all_began_s, ends_s, sizes) in together.items():
            took_s = np.repeat(ends_s, sizes) - np.array(all_began_s)
            self._durations_of(*_REPORTS[route], code).add_many(np.maximum(took_s, 0.0))
            self._counts[(*_REPORTS[route], str(code))] += len(all_began_s)
            self._tally(len(all_began_s), code)

    def totals(self) -> tuple[int, int]:
        """How many requests were answered since the start, and how many of these failed, with a status from 500 on."""
        self.settle()
        return self._answered, self._failed

    def counts(self) -> Mapping[tuple[str, ...], float]:
        """How many requests there were, by method, route and code."""
        self.settle()
        return dict(self._counts)

    def durations(self) -> Mapping[tuple[str, ...], Distribution]:
        """How long requests took until the last byte of the answer was given away, by method, route and outcome."""
        self.settle()
        return {key: durations.copy() for key, durations in self._durations.items()}
