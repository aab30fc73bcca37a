"""What systemd is told of the service, and the socket that it hands over. Its library is not needed.

NOTIFY_SOCKET   where datagrams go: READY=1 once events are accepted, STATUS=… whenever it changes, STOPPING=1, and
                WATCHDOG=1 as long as the event loop turns and no restart is needed
WATCHDOG_USEC   after how long without WATCHDOG=1 systemd ends the service, and starts it again
LISTEN_FDS      that descriptor 3 is a socket on which systemd listens: connections wait in it during a restart

Without these variables, nothing is told and nothing is handed over.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

from fleetpulse.errors import READ_ONLY, SettingsError
from fleetpulse.pipeline.readiness import Readiness

log = structlog.get_logger("serve")
FIRST_DESCRIPTOR = 3
"""Of the sockets that are handed over; systemd fixes it."""
STARTING_LOOK_S, LOOK_S = 0.1, 1.0
"""How often it is looked at what there is to tell, until the service is ready, and afterwards."""


class Systemd:
    """Tells systemd what the service is at. What cannot be told is logged once, and changes nothing."""

    def __init__(self, environment: Mapping[str, str], *, process: int | None = None) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._process = str(os.getpid() if process is None else process)
        is_ours = environment.get("WATCHDOG_PID", self._process) == self._process
        microseconds = environment.get("WATCHDOG_USEC", "") if is_ours else ""
        self.watchdog_s = int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else 0.0
        """After how long without a sign of life systemd acts; 0: it does not."""
        self._status = ""
        self._is_ready = self._has_failed = False

    def tell(self, *lines: str) -> None:
        """Send the lines in one datagram."""
        if not self._address:
            return
        # A name that begins with @ is one of Linux' abstract names, whose first byte is zero.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            if not self._has_failed:
                log.warning("systemd cannot be told what the service is at", socket=self._address, error=str(error))
            self._has_failed = True

    def look(self, readiness: Readiness) -> None:
        """Tell what has changed, and that the event loop turns."""
        lines = []
        if readiness.is_ready and not self._is_ready:
            self._is_ready = True
            lines.append("READY=1")
        status = _status(readiness)
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={status}")
        refusal = readiness.refusal
        # As /healthz: where only a restart helps, systemd is to restart the service.
        if self.watchdog_s and (refusal is None or refusal.reason != READ_ONLY):
            lines.append("WATCHDOG=1")
        if lines:
            self.tell(*lines)

    async def watch(self, readiness: Readiness) -> None:
        """Look again and again, until the task is cancelled."""
        while self._address:
            self.look(readiness)
            look_s = LOOK_S if self._is_ready else STARTING_LOOK_S
            await asyncio.sleep(min(look_s, self.watchdog_s / 3) if self.watchdog_s else look_s)

    def stop(self) -> None:
        """Tell that the service stops."""
        self.tell("STOPPING=1", "STATUS=stopping")


def _status(readiness: Readiness) -> str:
    """What `systemctl status` shows, in one line."""
    refusal = readiness.refusal
    if refusal is None:
        return "; ".join(["ready", *readiness.troubles]).replace("\n", " ")
    if refusal.reason == "starting":
        replay = readiness.replay
        entries = f", journal entry {replay.position} of {replay.until}" if replay.until else ""
        return f"starting: {readiness.stage}{entries}"
    return refusal.msg.replace("\n", " ")


def inherited_listener(
    environment: Mapping[str, str], *, process: int | None = None, descriptor: int = FIRST_DESCRIPTOR
) -> socket.socket | None:
    """The listening socket that was handed over; None where none was.

    Raises: SettingsError: there are several, or it is no TCP socket that listens.
    """
    if environment.get("LISTEN_PID") != str(os.getpid() if process is None else process):
        return None
    count = environment.get("LISTEN_FDS", "")
    if count in ("", "0"):
        return None
    if count != "1":
        raise SettingsError(f"{count} sockets were handed over (LISTEN_FDS), and one can be used: one ListenStream=.")
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise SettingsError(f"what was handed over (LISTEN_FDS) is no socket: {error.strerror}") from error
    is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
    if not is_tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        raise SettingsError("the socket that was handed over (LISTEN_FDS) must be TCP, and listen: see ListenStream=.")
    listener.set_inheritable(False)
    listener.settimeout(0)
    return listener
