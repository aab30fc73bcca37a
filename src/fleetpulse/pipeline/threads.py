"""All threads of the service beside its event loop: created, named and ended here. ARCHITECTURE.md lists them.

Each executor has one thread, so what it runs needs no locks among itself. Those of questions may have several: a
question touches nothing but its own view, and what locks itself.

Where processors are short, the event loop comes first, with the threads that it waits for; then what writes blocks, and
last what answers questions. Otherwise five busy threads on one core would leave the loop a sixth of it.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fleetpulse.alert_settings import DeliverySettings
from fleetpulse.limits import QuestionLimits
from fleetpulse.pipeline.computing import Computing, threads_at_once
from fleetpulse.pipeline.ending import Ending

FILES_NICENESS, QUESTIONS_NICENESS = 5, 10
"""What the system calls niceness, of the threads that write blocks and of those that answer; the loop has 0, usually.

With five threads of 10 that compute all the time, the loop still gets two thirds of a core.
"""
SMALL_ASIDE_MAX = 2
"""How many small questions may take longer than was estimated while others get further threads."""


class Threads:
    """The executors of one service. The journal's thread is made by `journal_thread` and ended by the writer."""

    def __init__(self, limits: QuestionLimits | None = None, deliveries: DeliverySettings | None = None) -> None:
        """`limits`, `deliveries`: how many questions, and tries to deliver, are worked on at the same time."""
        limits, deliveries = limits or QuestionLimits(), deliveries or DeliverySettings()
        self.ending = Ending()
        """Whether the long work of `catalog` and `files` should be left."""
        self.computing = Computing(limits.questions_computing_max or threads_at_once())
        """Whose turn it is to compute among the threads of questions and exports."""
        self.catalog = ThreadPoolExecutor(1, "catalog")
        """Every call of the catalog, and recovery at start, before anything else may run."""
        self.lease = ThreadPoolExecutor(1, "lease")
        """Renews the lease, where that has a connection to the catalog of its own."""
        self.files = _executor(1, "files", FILES_NICENESS)
        """Writes blocks and snapshots, and removes files that were replaced."""
        self.small_questions = _executor(limits.questions_small_running_max + SMALL_ASIDE_MAX, "small-questions")
        """Answers questions that take little work, so that they never wait behind those that take much."""
        self.big_questions = _executor(limits.questions_big_running_max, "big-questions")
        """Answers all other questions."""
        self.rendering = _executor(1, "rendering")
        """Turns long answers into bytes."""
        self.export = _executor(1, "export")
        """Produces the pieces of exports."""
        self.feed = _executor(1, "feed")
        """Finds what changed in the fleet for the live feed."""
        self.decompress = _executor(1, "decompress")
        """Decompresses bulk bodies."""
        self.imports = _executor(1, "imports")
        """Reads the bodies of imports of devices."""
        self.passwords = _executor(1, "passwords")
        """Hashes passwords, one at a time: each takes 19 MB, and a flood of them must leave processors to others."""
        self.alerts = _executor(1, "alerts")
        """Looks at rules, and decides which alerts fire and who is told."""
        self.alert_windows = _executor(1, "alert-windows")
        """Looks at rules over windows of metrics and uptime, which may read blocks."""
        self.issuers = _executor(1, "issuers")
        """Asks identity providers for their keys."""
        self.deliveries = _executor(deliveries.deliveries_at_once_max, "deliveries")
        """Tries to deliver messages, each thread at one receiver."""
        self.apprise = _executor(deliveries.apprise_at_once_max, "apprise")
        """The same with Apprise, of which each try is a process."""

    def close(self) -> None:
        """End all threads. Blocks."""
        self.close_storage()
        self.close_others()

    def close_storage(self) -> None:
        """End the threads that write, each after the work that it has begun. Blocks."""
        self.files.shutdown()
        self.catalog.shutdown()
        self.lease.shutdown()

    def close_others(self) -> None:
        """End all other threads, after journal and catalog are closed, which these do not need. Blocks.

        What waits for its turn is cancelled, since nobody is left to read the answer.
        """
        questions = (self.small_questions, self.big_questions, self.rendering)
        bodies, alerts = (self.export, self.decompress, self.imports), (self.alerts, self.alert_windows)
        executors = (
            *questions,
            self.feed,
            *bodies,
            *alerts,
            self.passwords,
            self.issuers,
            self.deliveries,
            self.apprise,
        )
        for executor in executors:
            executor.shutdown(wait=False, cancel_futures=True)
        for executor in executors:
            executor.shutdown()


def _executor(threads: int, name: str, niceness: int = QUESTIONS_NICENESS) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, name, partial(_give_way, niceness))


def _give_way(niceness: int) -> None:
    """Let the calling thread have the processor only as far as less nice threads leave it.

    Only Linux has a niceness for each thread.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + niceness, 19))


def journal_thread(run: Callable[[], None]) -> threading.Thread:
    """The journal's one thread, not started.

    It is a daemon: a process that fails before the writer was told to stop must end and not wait for it.
    """
    return threading.Thread(target=run, name="journal", daemon=True)


def disk_thread(run: Callable[[], None]) -> threading.Thread:
    """The thread that measures the disk, not started; a daemon, since a disk that hangs must keep no process alive."""
    return threading.Thread(target=run, name="disk", daemon=True)


async def end_threads(close: Callable[[], None]) -> None:
    """Call `close`, which waits for other threads to end, in a thread of its own, while the loop goes on."""
    executor = ThreadPoolExecutor(1, "end")
    try:
        await asyncio.get_running_loop().run_in_executor(executor, close)
    finally:
        executor.shutdown(wait=False)
