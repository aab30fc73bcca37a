"""Work on the catalog's thread, and what becomes of its errors."""

import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpulse.errors import NotAccepting, OutcomeUnknown, OutOfRange
from fleetpulse.pipeline.catalog_thread import CatalogThread


def run(work: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1, "catalog") as executor:
        return asyncio.run(CatalogThread(executor).run(work))


def failing(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_the_result_comes_from_the_catalogs_thread() -> None:
    assert run(lambda: threading.current_thread().name) == "catalog_0"


def test_a_failing_disk_becomes_an_answer() -> None:
    with pytest.raises(OutcomeUnknown, match="the disk is full"):
        run(failing(OSError(errno.ENOSPC, "no space left")))


def test_of_a_report_it_is_known_that_it_is_not_stored() -> None:
    async def report() -> None:
        with ThreadPoolExecutor(1, "catalog") as executor:
            thread = CatalogThread(executor)
            await thread.in_time(thread.run(failing(OSError(errno.ENOSPC, "no space left"))), is_report=True)

    with pytest.raises(NotAccepting, match="nothing was accepted") as caught:
        asyncio.run(report())
    assert caught.value.reason == "catalog_failed"


class Hanging:
    """A catalog's thread whose disk does not answer until `answers` is set."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.answers = threading.Event()
        self.activity: int | None = 0
        self.changed: list[str] = []
        self.thread = CatalogThread(executor, timeout_s=0.02, activity=lambda: self.activity)

    async def change(self, name: str = "one") -> str:
        """What a request does: a change of the catalog, and then of memory."""
        await self.thread.run(lambda: self.answers.wait(10))
        self.changed.append(name)
        return name


def hang(test: Callable[[Hanging], Awaitable[None]]) -> None:
    async def life() -> None:
        with ThreadPoolExecutor(1, "catalog") as executor:
            hanging = Hanging(executor)
            try:
                await test(hanging)
            finally:
                hanging.answers.set()

    asyncio.run(life())


async def until(is_true: Callable[[], object]) -> None:
    while not is_true():
        await asyncio.sleep(0.001)


def test_a_disk_that_hangs_is_answered_in_time_and_the_change_goes_on() -> None:
    async def test(hanging: Hanging) -> None:
        calls: list[NotAccepting] = []
        hanging.thread.on_hang.append(calls.append)
        with pytest.raises(OutcomeUnknown, match="commit_timeout_s"):
            await hanging.thread.in_time(hanging.change())
        assert calls
        with pytest.raises(NotAccepting, match="nothing was accepted") as refused:
            await hanging.thread.in_time(hanging.change("two"))
        assert (refused.value.reason, refused.value.retry_after_s) == ("disk", 5)
        hanging.answers.set()
        await until(lambda: hanging.changed == ["one"])
        assert await hanging.thread.in_time(hanging.change("three")) == "three"

    hang(test)


def test_a_report_that_waits_for_a_change_is_not_stored() -> None:
    async def test(hanging: Hanging) -> None:
        with pytest.raises(NotAccepting):
            await hanging.thread.in_time(hanging.change(), is_report=True)

    hang(test)


def test_what_waits_behind_a_hanging_change_has_changed_nothing() -> None:
    async def test(hanging: Hanging) -> None:
        first, second = (asyncio.create_task(hanging.change(name)) for name in ("one", "two"))
        with pytest.raises(NotAccepting):
            await second
        hanging.answers.set()
        assert await first == "one"
        assert hanging.changed == ["one"]

    hang(test)


@pytest.mark.parametrize("is_locked", [True, False])
def test_work_that_goes_on_and_waiting_for_a_lock_are_no_hang(is_locked: bool) -> None:
    async def test(hanging: Hanging) -> None:
        task = asyncio.create_task(hanging.thread.in_time(hanging.change()))
        for number in range(1, 30):
            hanging.activity = None if is_locked else number
            await asyncio.sleep(0.003)
        assert not task.done()
        hanging.answers.set()
        assert await task == "one"

    hang(test)


def test_a_refusal_stays_what_it_is() -> None:
    with pytest.raises(OutOfRange):
        run(failing(OutOfRange("too many", reason="devices_max")))
