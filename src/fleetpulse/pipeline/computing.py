"""Which threads of questions compute at the moment: few at once, small questions before big ones, exports last.

    thread ── begin ──> waits ──> computes ── pass_on, between two pieces of work ──> goes on, or waits again ── end

The lanes decide which questions are worked on; several are at a time, so that a small one never waits behind a big one.
If they all computed at once, the event loop would share the interpreter and the processors with all of them. So between
pieces of work a thread lets those go first that come before it.

Whoever waits too long goes on all the same: a thread that computes may wait itself, for a block that comes from far
away, or for a lock that the waiting one has. Then that thread counts as waiting until its next piece.
"""

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from fleetpulse.model.units import NS_PER_S

SMALL, BIG, EXPORT = 0, 1, 2
"""Ranks: who goes first."""
AHEAD_NS = NS_PER_S // 10
"""So much sooner than one of the next rank a thread has its turn. Nobody waits for ever: time counts as well."""
PATIENCE_S = 0.25
"""How long a thread waits before it goes on all the same."""


def threads_at_once() -> int:
    """How many threads may compute: half of the processors that this process may use, the rest is for the loop."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors // 2)


class Turn:
    """One thread's piece of work after piece."""

    __slots__ = ("_computing", "_rank", "due_ns", "wake")

    def __init__(self, computing: "Computing", rank: int) -> None:
        self._computing, self._rank = computing, rank
        self.due_ns = 0
        """When it would have had its turn by arrival and rank; the smallest goes first."""
        self.wake = threading.Lock()
        self.wake.acquire()

    def pass_on(self) -> None:
        """Let those go first that come before this thread. Blocks."""
        self._computing.pass_on(self)

    def is_due_at(self, now_ns: int) -> int:
        """When it would have its turn if it began to wait now."""
        return now_ns + self._rank * AHEAD_NS


class Computing:
    """The threads that compute, and those that wait; used from all of them."""

    def __init__(
        self, count: int, *, monotonic_ns: Callable[[], int] = time.monotonic_ns, patience_s: float = PATIENCE_S
    ) -> None:
        """`count`: how many threads may compute at once."""
        self._count = count
        self._monotonic_ns = monotonic_ns
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._running: list[Turn] = []
        self._waiting: list[Turn] = []

    @contextmanager
    def turn(self, rank: int) -> Generator[Turn, None, None]:
        """Compute in the block of code, in turns with other threads. Blocks."""
        turn = Turn(self, rank)
        self._begin(turn)
        try:
            yield turn
        finally:
            with self._lock:
                if turn in self._running:
                    self._running.remove(turn)
                    self._wake()

    def pass_on(self, turn: Turn) -> None:
        """See Turn."""
        if not self._waiting and turn in self._running:
            return  # looked at without the lock, since it is so nearly always
        with self._lock:
            if turn in self._running:
                due_ns = turn.is_due_at(self._monotonic_ns())
                if all(other.due_ns > due_ns for other in self._waiting):
                    return
                self._running.remove(turn)
                self._wake()
        self._begin(turn)

    def _begin(self, turn: Turn) -> None:
        with self._lock:
            if len(self._running) < self._count:
                self._running.append(turn)
                return
            turn.due_ns = turn.is_due_at(self._monotonic_ns())
            self._waiting.append(turn)
        if not turn.wake.acquire(timeout=self._patience_s):
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    del self._running[0]  # it has computed for longest, and waits at its next piece
                    self._running.append(turn)
                else:
                    turn.wake.acquire()  # its turn came just now

    def _wake(self) -> None:
        if self._waiting and len(self._running) < self._count:
            following = min(self._waiting, key=lambda turn: turn.due_ns)
            self._waiting.remove(following)
            self._running.append(following)
            following.wake.release()
