"""Work on the catalog's thread, and what becomes of its errors."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpulse.errors import NotAccepting, OutOfRange
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
    with pytest.raises(NotAccepting, match=r"no space left.*nothing was changed") as caught:
        run(failing(OSError("no space left")))
    assert caught.value.reason == "catalog_failed"


def test_a_refusal_stays_what_it_is() -> None:
    with pytest.raises(OutOfRange):
        run(failing(OutOfRange("too many", reason="devices_max")))
