"""Who waits until the journal is applied up to a position."""

import asyncio
from bisect import insort

from fleetpulse.errors import NotAccepting
from fleetpulse.model.events import Position


class PositionWaits:
    """On the event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Position, int, asyncio.Future[None]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def wake(self, position: Position) -> None:
        """Let those go on whose position is reached."""
        while self._waiting and self._waiting[0][0] <= position:
            waiter = self._waiting.pop(0)[2]
            if not waiter.done():
                waiter.set_result(None)

    async def reached(self, position: Position, *, within_s: float) -> bool:
        """Wait until a position is reached. Returns: whether it came in time. Raises: NotAccepting: nothing comes."""
        self._count += 1
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (position, self._count, waiter)
        insort(self._waiting, waiting)
        try:
            async with asyncio.timeout(within_s):
                await waiter
        except TimeoutError:
            return waiting not in self._waiting  # it may have come at the last moment
        finally:
            if waiting in self._waiting:  # a position that never comes must not be kept for ever
                self._waiting.remove(waiting)
        return True

    def end(self) -> None:
        """Let nobody wait any longer: the node stops."""
        for _, _, waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(NotAccepting("stopping", reason="stopping"))
