"""Work of connections that have sent more than fits into one go: a slice at a time, with a pause after each.

A connection works on what comes in at once, for some milliseconds. What is left then waits here, behind what other
connections have left. So they all together get at most a fifth of the event loop's time, however many they are, and
between any two slices everybody else is served.
"""

import asyncio
from collections import deque
from collections.abc import Callable

PAUSE = 4
"""How long nobody works after a slice, in lengths of the slice."""


class Slices:
    """The connections that have more work, in the order in which they get their turns. Used on the loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_going_on = False

    def add(self, work: Callable[[], None]) -> None:
        """Have `work` called once when its turn has come: it works for one slice, and may add itself again."""
        self._waiting.append(work)
        if not self._is_going_on:
            self._is_going_on = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            self._waiting.popleft()()
        finally:
            self._is_going_on = bool(self._waiting)
            if self._is_going_on:
                loop.call_later(PAUSE * (loop.time() - began_s), self._go_on)
