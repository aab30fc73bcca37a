"""A waiter that a coroutine can await, for the handlers of the ASGI path."""

import asyncio

from fleetpulse.errors import Answerable


class FutureWaiter:
    """See Waiter. Await `outcome`, which raises the error where the events are not durable."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        """See Waiter."""
        if not self.outcome.done():
            self.outcome.set_result(None)

    def fail(self, error: Answerable) -> None:
        """See Waiter."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
