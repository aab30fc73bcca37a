"""The catalog's one thread, as those use it who change the catalog while events come in.

A disk may hang in the midst of a change. Whoever waits is answered after `commit_timeout_s`, that the outcome is not
known; the change itself goes on, and if the disk answers in the end, memory follows it as always.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any, TypeVar

import structlog

from fleetpulse.errors import DISK_RETRY_S, NotAccepting, OutcomeUnknown
from fleetpulse.storage_causes import cause_of

log = structlog.get_logger("catalog")
_Result = TypeVar("_Result")


class CatalogThread:
    """Runs work on the catalog's thread, and turns a disk that fails or hangs into an error that can be answered."""

    def __init__(
        self, executor: Executor, *, timeout_s: float = math.inf, activity: Callable[[], int | None] = lambda: 0
    ) -> None:
        """`activity` changes while the catalog is at work, and is None while it waits for another program's lock."""
        self._executor = executor
        self._timeout_s = None if timeout_s == math.inf else timeout_s
        self._activity = activity
        self._hangs = False
        self._clients: set[asyncio.Future[Any]] = set()
        self.on_hang: list[Callable[[NotAccepting], None]] = []
        """Called when the disk does not answer; for those who wait otherwise than by `in_time`."""

    def refusal(self) -> NotAccepting:
        """Why nothing can be changed now."""
        text = f"the disk of the catalog has not answered for {self._timeout_s:g} s (commit_timeout_s)"
        return NotAccepting(f"{text}: nothing was accepted, send it again", reason="disk", retry_after_s=DISK_RETRY_S)

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """The result of `work`, which is one transaction. It knows who acts, as the caller does (`catalog/acting.py`).

        Raises: OutcomeUnknown: writing or syncing the catalog failed. NotAccepting: the disk hangs; DatabaseBusy:
            another program has locked it; either way nothing was changed.
        """
        if self._hangs:
            raise self.refusal()
        future = self._executor.submit(copy_context().run, work)
        try:
            return await self._result_of(future)
        except OSError as error:
            log.error("the catalog could not be written", error=str(error))
            raise OutcomeUnknown(f"the catalog could not be written ({cause_of(error).happened})") from error
        except asyncio.CancelledError:
            future.cancel()
            raise

    async def _result_of(self, future: Future[_Result]) -> _Result:
        result, is_hanging = asyncio.wrap_future(future), False
        try:
            activity = self._activity()
            while not (await asyncio.wait({result}, timeout=self._timeout_s))[0]:
                if future.cancel():
                    raise self.refusal()  # its turn has not come, so it has changed nothing
                before, activity = activity, self._activity()
                if activity is not None and activity == before:
                    is_hanging = True
                    self._note_hang()
            return result.result()
        finally:
            if is_hanging:
                self._hangs = False
                log.info("the disk of the catalog answers again")

    def _note_hang(self) -> None:
        if not self._hangs:
            log.error("the disk of the catalog does not answer", todo="mend the disk; it goes on by itself")
        self._hangs = True
        for client in self._clients:
            if not client.done():
                client.set_result(None)
        for call in self.on_hang:
            call(self.refusal())

    async def in_time(self, change: Coroutine[Any, Any, _Result], *, is_report: bool = False) -> _Result:
        """The result of a change, which goes on by itself where whoever asked for it must be answered before its end.

        Raises: OutcomeUnknown: the disk hangs; where `is_report`, NotAccepting, since the report itself is not stored.
        """
        if self._hangs:
            change.close()
            raise self.refusal()
        task = asyncio.get_running_loop().create_task(change)
        hang: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._clients.add(hang)
        try:
            await asyncio.wait([task, hang], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._clients.discard(hang)
            if not task.done():
                task.add_done_callback(_note_end)
        if task.done():
            try:
                return task.result()
            except OutcomeUnknown as error:
                if not is_report:
                    raise
                raise NotAccepting(f"nothing was accepted: {error.msg}", reason="catalog_failed") from error
        if is_report:
            raise self.refusal()
        raise OutcomeUnknown(f"the disk did not answer within {self._timeout_s:g} s (commit_timeout_s)")


def _note_end(task: "asyncio.Future[Any]") -> None:
    """Log how a change ended that nobody waits for any more."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("a change failed after its client was answered", error=str(error))
