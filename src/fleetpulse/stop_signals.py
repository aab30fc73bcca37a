"""Signals that end the service, and the time by which it must have ended, whatever hangs.

    SIGTERM, SIGINT ──> orderly stop ──────────────> exit status 0
                          │ `shutdown_s` is over ──> what still runs is logged, status 4; the state is as after a crash
                          └ a second signal ───────> at once, status 128 + its number
    SIGHUP ───────────> the declared files are read again

A handler of Python, or of the event loop, runs only when the main thread gets to it, which it does not while it waits
for a disk or a store. So the numbers of signals are read by a thread that does nothing else, and that ends the process
without any tidying up: what was acknowledged is on disk, and everything else is committed as a whole or not at all.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType

import structlog

log = structlog.get_logger("serve")
OUT_OF_TIME_STATUS = 4
"""The exit status where the service had to end before it had stopped."""
LOG_S = 1.0
"""How long the last line of the log may take, which nobody may be reading."""
_STOPS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Hears signals from `listening` on, and ends the process when its time is over."""

    def __init__(self, shutdown_s: float, *, end_process: Callable[[int], object] = os._exit) -> None:
        self.shutdown_s = shutdown_s
        self.stage = "start"
        """What the service is at, for the log."""
        self.is_closed = False
        """The data folder is closed: what is left to do is of no account."""
        self._end_process = end_process
        self._on_stop: Callable[[], object] | None = None
        self._on_reload: Callable[[], object] = lambda: log.warning("SIGHUP while starting: the files are read anyway")
        self._is_told = False
        self._deadline_s: float | None = None
        self._reader = self._writer = -1
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)

    @property
    def left_s(self) -> float:
        """The time that is left, all of it before the stop."""
        return self.shutdown_s if self._deadline_s is None else max(0.0, self._deadline_s - time.monotonic())

    @contextlib.contextmanager
    def listening(self) -> Generator[None, None, None]:
        """Hear signals from now on. On the main thread. The end of the context begins the stop, if no signal did.

        The thread goes on until the process has ended, since threads of the service may keep that from ending.
        """
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (*_STOPS, signal.SIGHUP):
            signal.signal(number, _nothing)  # what counts is that the number is written to the pipe
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        # A thread that waits for the disk may not be woken by a signal, so that it must come to another one.
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPS, signal.SIGHUP))
        self._thread.start()
        try:
            yield
        finally:
            self.begin()

    def handle(self, *, on_stop: Callable[[], object], on_reload: Callable[[], object]) -> None:
        """Call these, in the thread of the signals, when they are due; `on_stop` now where it was due before."""
        self._on_reload = on_reload
        self._on_stop = on_stop
        if self._is_told:
            on_stop()

    def begin(self) -> None:
        """The stop begins, so its time counts from now on, if it does not yet."""
        if self._deadline_s is None:
            self._deadline_s = time.monotonic() + self.shutdown_s
            if self._thread.is_alive():
                with contextlib.suppress(BlockingIOError):
                    os.write(self._writer, b"\0")  # the thread must look at the time

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_STOPS, signal.SIGHUP))
        while True:
            left_s = None if self._deadline_s is None else self.left_s
            readable, _, _ = select.select([self._reader], [], [], left_s)
            if not readable:
                self._give_up()
                return
            for number in os.read(self._reader, 64):
                self.hear(number)

    def hear(self, number: int) -> None:
        """Do what a signal asks for."""
        if number == signal.SIGHUP:
            self._on_reload()
        elif number in _STOPS and self._is_told:
            _log_in_time("ended at once by a second signal; the state is as after a crash", running=self.running())
            self._end_process(128 + number)
        elif number in _STOPS:
            self._is_told = True
            self.begin()
            if self._on_stop is not None:
                self._on_stop()

    def _give_up(self) -> None:
        if not self.is_closed:
            text = "the time to stop is over (shutdown_s); what did not finish is left as after a crash"
            _log_in_time(text, seconds=self.shutdown_s, running=self.running())
        self._end_process(0 if self.is_closed else OUT_OF_TIME_STATUS)

    def running(self) -> list[str]:
        """What is still running: the stage of the stop, and each thread that is at work, with its function."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        found = [f"stage: {self.stage}"]
        for ident, frame in sys._current_frames().items():  # noqa: SLF001  # there is no other way to see them
            inner: FrameType | None = frame
            is_idle = frame.f_code.co_filename.endswith(("concurrent/futures/thread.py", "threading.py", "queue.py"))
            while inner is not None and "fleetpulse" not in inner.f_code.co_filename:
                inner = inner.f_back
            if inner is None or is_idle or ident in (self._thread.ident, threading.main_thread().ident):
                continue
            if inner.f_code.co_name not in ("_run", "_log_in_time"):
                found.append(f"{names.get(ident, ident)}: {inner.f_code.co_name}")
        return found


def _log_in_time(text: str, **facts: object) -> None:
    """Log a line, in a thread of its own: whoever should read the log may have stopped reading."""
    thread = threading.Thread(target=lambda: log.error(text, **facts), daemon=True)
    thread.start()
    thread.join(LOG_S)


def _nothing(_number: int, _frame: object) -> None:
    pass
