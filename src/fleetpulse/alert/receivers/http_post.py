"""One HTTP POST to a receiver, guarded: address, redirects, time and size.

    name → addresses → each is checked (addresses.py) → that very address is connected to → TLS for the name → POST

The address is resolved once, so nothing can stand for another one between the check and the connection. Redirects are
not followed: they would lead past the check, and a receiver that has moved is for people to declare. No proxy of the
environment is used, for it would resolve the name itself. At the end of `timeout_s` the connection is shut down by a
timer, whatever is being waited for, so that a receiver that sends a byte a second ends, too.
"""

import base64
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import SplitResult, quote, unquote, urlsplit

from fleetpulse.alert.receivers.addresses import AddressRefused, resolve
from fleetpulse.alert.receivers.outcome import Outcome, failed

RETRY_AFTER_HIGHEST_S = 3_600.0
_WORTH_A_RETRY = (408, 425, 429)


class OpenSockets:
    """The connections of tries that are under way, so that all of them can be ended. From any thread."""

    def __init__(self) -> None:
        self._handles: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def add(self, handle: socket.socket) -> None:
        """Raises: ConnectionAbortedError: they have been ended."""
        with self._lock:
            if self._is_closed:
                raise ConnectionAbortedError("the service stops")
            self._handles.add(handle)

    def discard(self, handle: socket.socket) -> None:
        """The connection has ended."""
        with self._lock:
            self._handles.discard(handle)

    def close(self) -> None:
        """End all, and those that would begin: these tries fail, and are made again after the next start."""
        with self._lock:
            self._is_closed = True
            for handle in self._handles:
                with suppress(OSError):  # it has not connected yet
                    handle.shutdown(socket.SHUT_RDWR)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    allows_private: bool,
    sockets: OpenSockets | None = None,
    context: ssl.SSLContext | None = None,
) -> Outcome:
    """Send `body`; delivered is what was answered with 2xx. Blocks for `timeout_s` at most, the look-up of names aside.

    Args: context: instead of the system's authorities, for tests.
    """
    try:
        parts = urlsplit(url)
        connection = _Connection(parts, timeout_s, sockets, allows_private=allows_private, context=context)
    except ValueError:
        return failed("the URL cannot be read")
    try:
        connection.request("POST", _target(parts), body, {**_credentials(parts), **headers})
        return _outcome(connection.getresponse())  # the status says all; the body is not even read
    except AddressRefused as error:
        return failed(f"not connected: {error}", is_refused=True)
    except ssl.SSLCertVerificationError as error:
        return failed(f"the certificate of the receiver is not valid: {error.verify_message}")
    except socket.gaierror as error:
        return failed(f"the name of the receiver has no address: {error.strerror}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.is_over:
            return failed(f"the receiver did not answer within {timeout_s:g} s (delivery_timeout_s)")
        return failed(_what(error))
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    """Connects to an address that was checked, and is shut down when its time is over."""

    def __init__(
        self,
        parts: SplitResult,
        timeout_s: float,
        sockets: OpenSockets | None,
        *,
        allows_private: bool,
        context: ssl.SSLContext | None,
    ) -> None:
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        super().__init__(parts.hostname or "", port)
        self.default_port = 443 if is_tls else 80  # the one that the header Host leaves out
        self.is_over = False
        self._sockets = sockets
        self._deadline_s = time.monotonic() + timeout_s
        self._allows_private = allows_private
        self._context = (context or ssl.create_default_context()) if is_tls else None
        self._handle: socket.socket | None = None
        self._timer: threading.Timer | None = None

    def connect(self) -> None:
        """See http.client. Raises: OSError; AddressRefused: no address may be connected to."""
        trouble: OSError = OSError("no address")
        for family, where in resolve(self.host, self.port, allows_private=self._allows_private):
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                self._watch(made)
                made.settimeout(max(0.01, self._deadline_s - time.monotonic()))
                made.connect(where)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sock = (
                    made if self._context is None else self._context.wrap_socket(made, server_hostname=self.host)
                )
                return
            except ssl.SSLError:
                made.close()
                raise
            except OSError as error:
                made.close()
                trouble = error
                if self.is_over or isinstance(error, TimeoutError):
                    self.is_over = True
                    break
        raise trouble

    def _watch(self, made: socket.socket) -> None:
        """Shut `made` down when the time is over. By a handle of its own: TLS takes the first one over."""
        self._end_watch()
        handle = self._handle = socket.socket(fileno=os.dup(made.fileno()))
        if self._sockets is not None:
            self._sockets.add(handle)

        def end() -> None:
            self.is_over = True
            with suppress(OSError):  # it is not connected yet; then the timeout of connect ends it
                handle.shutdown(socket.SHUT_RDWR)

        self._timer = threading.Timer(max(0.0, self._deadline_s - time.monotonic()), end)
        self._timer.daemon = True
        self._timer.start()

    def _end_watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._handle is not None:
            if self._sockets is not None:
                self._sockets.discard(self._handle)
            self._handle.close()

    def close(self) -> None:
        """See http.client."""
        self._end_watch()
        super().close()


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return f"{path}?{quote(parts.query, safe='/%:@!$&*+,;=?~-._')}" if parts.query else path


def _credentials(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _outcome(answer: http.client.HTTPResponse) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Outcome(is_delivered=True, text=f"the receiver answered {status}")
    if 300 <= status < 400:
        text = f"the receiver answered {status}: redirects are not followed; declare the address that it has now"
        return failed(text, is_refused=True)
    retry_after = answer.headers.get("Retry-After", "")
    wait_s = min(float(retry_after), RETRY_AFTER_HIGHEST_S) if retry_after.isascii() and retry_after.isdigit() else 0.0
    is_refused = 400 <= status < 500 and status not in _WORTH_A_RETRY
    return failed(f"the receiver answered {status}", is_refused=is_refused, retry_after_s=wait_s)


def _what(error: Exception) -> str:
    """What happened, without anything that the receiver sent or that the URL has."""
    if isinstance(error, ConnectionRefusedError):
        return "the receiver refuses connections"
    if isinstance(error, ConnectionAbortedError):
        return str(error)
    if isinstance(error, ConnectionError | http.client.RemoteDisconnected):
        return "the receiver closed the connection"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    if isinstance(error, TimeoutError):
        return "the receiver did not answer in time"
    if isinstance(error, OSError):
        return f"the connection failed: {error.strerror or type(error).__name__}"
    return f"the receiver's answer is no HTTP ({type(error).__name__})"
