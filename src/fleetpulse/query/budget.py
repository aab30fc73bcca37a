"""What a question may cost: memory for itself and for all questions together, and time until it is stopped.

The functions that answer call `check` between pieces of work of at most some 50 ms, and `take` before they hold arrays
whose size depends on the data. Numpy cannot be interrupted, so the pieces decide how soon a question can be stopped.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from fleetpulse.errors import Busy, QuestionStopped, TooDear

RETRY_AFTER_S = 5
"""What Retry-After says where other questions hold the memory, or the time was not enough."""
FITTING = "a longer step, a shorter window, fewer types or groups, or an aggregation that needs no ranks"
"""What a question that would need too much memory could ask for instead."""
FIGURE_BYTES = 400
"""About what a figure of an answer takes: its point in a series, with its time as text, and its bytes as JSON."""
NO_LIMIT = 2**63 - 1


class QuestionMemory:
    """How many bytes all questions hold that run at the moment; used from several threads."""

    def __init__(self, bytes_max: int = NO_LIMIT) -> None:
        self.bytes_max = bytes_max
        self.taken_bytes = 0
        self._lock = threading.Lock()

    def take(self, count_bytes: int, *, is_made: bool = False) -> None:
        """Count bytes as held. `is_made`: they are held already, so to refuse them would free nothing.

        Raises: Busy: all questions together would hold more than `bytes_max`.
        """
        with self._lock:
            if self.taken_bytes + count_bytes > self.bytes_max and not is_made:
                raise Busy(
                    f"all questions together hold {self.taken_bytes} bytes of memory, and {count_bytes} more would be "
                    f"more than {self.bytes_max} (questions_memory_max): ask again later",
                    reason="questions_memory",
                    retry_after_s=RETRY_AFTER_S,
                )
            self.taken_bytes += count_bytes

    def give(self, count_bytes: int) -> None:
        """Count bytes as held no longer."""
        with self._lock:
            self.taken_bytes -= count_bytes


def abandoned() -> QuestionStopped:
    """Why a question is stopped whose client has gone."""
    return QuestionStopped("nobody waits for the answer any more", reason="question_abandoned")


def timed_out(timeout_s: float) -> QuestionStopped:
    """Why a question is stopped whose time is over."""
    return QuestionStopped(
        f"the question was stopped after {timeout_s:.12g} s (question_timeout_s): "
        f"ask for {FITTING}; or ask again when fewer others do",
        reason="question_timeout",
        retry_after_s=RETRY_AFTER_S,
    )


def list_timed_out(after_s: float) -> QuestionStopped:
    """Why a list of all devices is stopped whose time is over."""
    return QuestionStopped(
        f"the list was stopped after {after_s:.12g} s (question_timeout_s, and csv_devices_per_s_lowest): "
        "filter by `label`, or ask again when fewer others do",
        reason="question_timeout",
        retry_after_s=RETRY_AFTER_S,
    )


class Budget:
    """What one question may still cost. Without arguments there is no limit.

    Args:
        memory: of all questions together.
        question_memory_max: bytes that this question may hold at once.
        deadline_ns: when it is stopped, by `monotonic_ns`.
        is_gone: whether nobody waits for the answer any more; called often and from the thread of the question.
        pass_on: lets other threads compute that come first; called as often. Blocks.
    """

    def __init__(
        self,
        *,
        memory: QuestionMemory | None = None,
        question_memory_max: int = NO_LIMIT,
        deadline_ns: int = NO_LIMIT,
        timeout_s: float = 0,
        monotonic_ns: Callable[[], int] = int,
        is_gone: Callable[[], bool] = bool,
        pass_on: Callable[[], object] = bool,
    ) -> None:
        self.question_memory_max = question_memory_max
        self.taken_bytes = self.peak_bytes = 0
        self._memory = memory or QuestionMemory()
        self._deadline_ns, self._timeout_s = deadline_ns, timeout_s
        self._monotonic_ns, self._is_gone = monotonic_ns, is_gone
        self.pass_on = pass_on

    def check(self) -> None:
        """Go on after a piece of work, when no other thread comes first.

        Raises: QuestionStopped: the deadline has passed, or nobody waits for the answer.
        """
        self.pass_on()
        if self._is_gone():
            raise abandoned()
        if self._monotonic_ns() >= self._deadline_ns:
            raise timed_out(self._timeout_s)

    def require(self, count_bytes: int, purpose: str) -> None:
        """Raises: TooDear: `purpose`, of that many bytes, cannot fit beside what the question holds already."""
        if self.taken_bytes + count_bytes > self.question_memory_max:
            needed_mb = -(-(self.taken_bytes + count_bytes) // 2**20)
            raise TooDear(
                f"the question would need about {needed_mb} MB of memory for {purpose}, and may take "
                f"{self.question_memory_max // 2**20} MB (question_memory_max): ask for {FITTING}"
            )

    def take(self, count_bytes: int, purpose: str = "what it gathers") -> None:
        """Count bytes as held. Raises: TooDear; Busy: other questions hold what is left of the memory."""
        self.require(count_bytes, purpose)
        self._memory.take(count_bytes)
        self.taken_bytes += count_bytes
        self.peak_bytes = max(self.peak_bytes, self.taken_bytes)

    def give(self, count_bytes: int) -> None:
        """Count bytes as held no longer."""
        self.taken_bytes -= count_bytes
        self._memory.give(count_bytes)

    @contextmanager
    def holding(self, count_bytes: int, purpose: str = "what it gathers") -> Generator[None, None, None]:
        """Hold bytes for a block of code. Raises: as `take`."""
        self.take(count_bytes, purpose)
        try:
            yield
        finally:
            self.give(count_bytes)

    def close(self) -> None:
        """Count nothing as held any more: the question has ended, in whatever way."""
        self.give(self.taken_bytes)


def hold_answer(budget: Budget, figures: int) -> None:
    """Hold the memory of an answer of so many figures until the question ends. Raises: TooDear; Busy."""
    budget.take(FIGURE_BYTES * figures, f"an answer of {figures} figures")
