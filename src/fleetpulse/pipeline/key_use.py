"""When keys were last used: noted in memory with each request, and written to the catalog once in a while.

A crash costs what was noted since the last writing, `key_use_s` at most.
"""

import asyncio
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetpulse.access.gate import Gate
from fleetpulse.access.key_table import KeyTable
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import Answerable
from fleetpulse.pipeline.catalog_thread import CatalogThread

log = structlog.get_logger("keys")


def take_in_use(keys: KeyTable, used: NDArray[np.uint32]) -> None:
    """Take in when keys were last used. Args: used: minutes since 1970 by number, uint32, shape (numbers,)."""
    numbers = np.array(keys.numbers, np.int64)
    minutes = np.zeros(len(numbers), np.uint32)
    is_known = numbers < len(used)
    minutes[is_known] = used[numbers[is_known]]
    keys.used_minutes[:] = array("I", minutes.tobytes())


@dataclass(eq=False, kw_only=True)
class KeyUse:
    """Writes down when keys were last used. On the event loop; `period_s`: how often."""

    catalog: Catalog
    catalog_thread: CatalogThread
    gate: Gate
    period_s: float
    monotonic_s: Callable[[], float]
    _written_s: float = field(default=0.0, init=False)
    _written_minute: int = field(default=1, init=False)
    """Whatever was used in an earlier minute is written, and so is what was never used (minute 0)."""
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def tick(self) -> None:
        """Begin to write if it is time to."""
        now_s = self.monotonic_s()
        if now_s - self._written_s >= self.period_s and (self._task is None or self._task.done()):
            self._written_s = now_s
            self._task = asyncio.create_task(self.write())

    async def write(self) -> None:
        """Write what was used since the last time. What cannot be written is tried again the next time."""
        keys, minute = self.gate.keys, self.gate.now_minute
        used = np.frombuffer(keys.used_minutes, np.uint32)
        rows = np.flatnonzero(used >= self._written_minute)
        numbers, minutes = np.frombuffer(keys.numbers, np.int64)[rows], used[rows]
        del used  # an array that is looked at cannot grow
        is_key = numbers > 0  # the rows of revoked keys have no number
        if not is_key.any():
            return
        try:
            await self.catalog_thread.run(partial(self.catalog.keys.note_use, numbers[is_key], minutes[is_key]))
        except Answerable as error:
            log.warning("when keys were last used could not be written; it is tried again", error=str(error))
            return
        self._written_minute = max(minute, 1)

    async def end(self) -> None:
        """Write for the last time, before the catalog is closed."""
        if self._task is not None:
            await asyncio.wait([self._task])
        await self.write()
