"""A ping that says that this service lives and accepts events, to somebody who calls people when none comes.

It is sent from the event loop's tick, by a thread of its own for each, so an address that hangs delays nothing; the
next one waits until the last has ended. While no events are accepted, none is sent. The address is a secret of its
receiver, so nothing of it but the host is told to anybody.
"""

import asyncio
import http.client
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from fleetpulse.errors import SettingsError
from fleetpulse.pipeline.readiness import Readiness

log = structlog.get_logger("telemetry")
PING_TIMEOUT_S = 10.0


def check_url(url: str, *, name: str) -> None:
    """Raises: SettingsError: `url`, the value of the setting `name`, is no address that can be asked."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or any(character <= " " for character in url):
        raise SettingsError(f"{name} must be https://HOST[:PORT]/PATH or http://…, without spaces and user names")


def send_ping(url: str) -> None:
    """Ask an address once; it must answer with 2xx. Redirects are not followed. Blocks. Raises: OSError."""
    parts = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(
            str(parts.hostname), parts.port, timeout=PING_TIMEOUT_S, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PING_TIMEOUT_S)
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": "fleetpulse"})
        status = connection.getresponse().status
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise OSError(f"it answered {status}")


@dataclass(eq=False, kw_only=True)
class DeadMan:
    """Sends the pings. Used on the loop."""

    url: str
    """Empty: none is sent."""
    every_s: float
    readiness: Readiness
    send: Callable[[str], None] = send_ping
    monotonic_s: Callable[[], float] = time.monotonic
    pings: Counter[str] = field(default_factory=Counter, init=False)
    """Those that ended, by outcome: `sent` or `failed`."""
    _due_s: float = field(default=0.0, init=False)
    _is_under_way: bool = field(default=False, init=False)
    _is_failing: bool = field(default=False, init=False)

    def tick(self) -> None:
        """Send a ping if one is due, and events are accepted."""
        is_due = self.url and not self._is_under_way and self.monotonic_s() >= self._due_s
        if is_due and self.readiness.refusal is None:
            self._is_under_way, self._due_s = True, self.monotonic_s() + self.every_s
            # A daemon: it keeps no process alive that has ended otherwise.
            threading.Thread(
                target=self._work, args=(asyncio.get_running_loop(),), name="heartbeat-url", daemon=True
            ).start()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        because = ""
        try:
            self.send(self.url)
        except OSError as error:
            because = str(error) or type(error).__name__
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._ended, because)

    def _ended(self, because: str) -> None:
        self._is_under_way = False
        self.pings["failed" if because else "sent"] += 1
        if bool(because) is not self._is_failing:
            self._is_failing = bool(because)
            host = urlsplit(self.url).hostname
            if because:
                log.warning("a ping to heartbeat_url failed; it is tried on", host=host, error=because)
            else:
                log.info("pings to heartbeat_url arrive again", host=host)
