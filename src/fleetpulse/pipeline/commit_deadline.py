"""The deadline of commits, watched by one timer in each time limit: one for each commit would cost more than that."""

import asyncio
from collections.abc import Callable


class CommitDeadline:
    """Calls `overdue` for a commit that takes longer than `timeout_s`. Used on the loop."""

    def __init__(self, timeout_s: float, *, is_excused: Callable[[], bool], overdue: Callable[[], None]) -> None:
        """`is_excused`: whether it waits for another program, and not for the disk; then it has its time anew."""
        self._timeout_s = timeout_s
        self._is_excused = is_excused
        self._overdue = overdue
        self._began_s: float | None = None
        """When the commit that runs began, by the loop's time; None while none runs, and when it was found overdue."""
        self._is_watched = False

    def begin(self) -> None:
        """A commit begins."""
        self._began_s = asyncio.get_running_loop().time()
        if not self._is_watched:
            self._look()

    def end(self) -> None:
        """It has ended."""
        self._began_s = None

    def _look(self) -> None:
        self._is_watched = False
        if self._began_s is None:
            return
        loop = asyncio.get_running_loop()
        left_s = self._began_s + self._timeout_s - loop.time()
        if left_s <= 0 and not self._is_excused():
            self._began_s = None
            self._overdue()
            return
        self._is_watched = True
        loop.call_later(left_s if left_s > 0 else self._timeout_s, self._look)
