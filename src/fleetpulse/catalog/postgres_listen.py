"""What the server of the catalog announces: that some node has changed it, within milliseconds.

An announcement may be lost, with its connection or in a queue that is full. So nothing depends on it: whoever listens
looks by himself once a second, too.
"""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

from fleetpulse.errors import Answerable, OperatorError

log = structlog.get_logger("changes")
CHANNEL = "fleetpulse_catalog"
ANNOUNCE_SQL = f"SELECT pg_notify('{CHANNEL}', ?)"
"""In a transaction: it is announced when that takes effect, and never otherwise."""
WAIT_S = 1.0
"""So long a listener waits for an announcement before it looks whether it is to end."""
TRIED_AFTER_S = 5.0
"""A connection that has been silent for so long is tried, so that one that is half open is noticed."""


class PostgresListener:
    """Listens on a connection of its own, in a thread of its own, and connects anew where that is lost."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], heard: Callable[[int], None]) -> None:
        """`heard` is called in the thread, with the version that is announced; 0: some may have been missed."""
        self._connect = connect
        self._heard = heard
        self._end = threading.Event()
        self._is_silent = False
        threading.Thread(target=self._run, name="catalog-changes", daemon=True).start()

    def end(self) -> None:
        """Hear nothing any more; the thread ends by itself."""
        self._end.set()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                with self._connect() as connection:
                    self._listen(connection)
            except (psycopg.Error, OSError, Answerable, OperatorError) as error:
                if not self._is_silent:
                    log.warning(
                        "the catalog announces no changes", error=str(error), todo="nothing: they are looked for"
                    )
                self._is_silent = True
                self._end.wait(WAIT_S)

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        if self._is_silent:
            log.info("the catalog announces changes again")
        self._is_silent, silent_s = False, 0.0
        self._call(0)
        while not self._end.is_set():
            is_silent = True
            for notice in connection.notifies(timeout=WAIT_S, stop_after=1):
                is_silent = False
                self._call(int(notice.payload) if notice.payload.isdecimal() else 0)
            silent_s = silent_s + WAIT_S if is_silent else 0.0
            if silent_s >= TRIED_AFTER_S:
                connection.execute("SELECT 1")
                silent_s = 0.0

    def _call(self, version: int) -> None:
        try:
            self._heard(version)
        except RuntimeError:  # the loop that it is told to has ended
            self._end.set()
