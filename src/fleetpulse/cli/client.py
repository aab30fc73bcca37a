"""Requests to a running service over HTTP: the standard library's client, and errors that tell what to do."""

import http.client
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from fleetpulse.cli.terminal import clean
from fleetpulse.errors import CommandRefused, NotAnswered, SettingsError
from fleetpulse.notation.cut_file import read_cut

ANSWER_S = 120.0
"""Seconds to wait for the next bytes of an answer: a fleet's year may take the service a while."""
PIECE_BYTES, TAIL_BYTES = 262_144, 2_048
NO_KEY = ". Commands take it from --key-file FILE, FLEETPULSE_KEY or FLEETPULSE_KEY_FILE"
Query = Sequence[tuple[str, object]]
"""Parameters; those of None are left out."""
_Shape = TypeVar("_Shape")


@dataclass(frozen=True)
class Answer:
    """An answer of 2xx: its bytes, and the server's time when it was given, in s since 1970."""

    raw: bytes
    server_s: int

    @classmethod
    def of(cls, value: object, *, server_s: int) -> Self:
        """An answer put together from several."""
        return cls(msgspec.json.encode(value), server_s)

    def into(self, shape: type[_Shape]) -> _Shape:
        """The answer, decoded; fields that `shape` does not know are left out. Raises: NotAnswered: it is another."""
        try:
            return msgspec.json.decode(self.raw, type=shape)
        except ValueError as error:
            raise NotAnswered(
                f"the answer cannot be read ({error}): is --url that of a fleetpulse service of this version or later?"
            ) from error


class _Noted(msgspec.Struct):
    """The notes of an answer."""

    notes: list[str] = []


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


class Client:
    """One keep-alive connection to the service at `url`."""

    def __init__(self, url: str, *, key: str = "") -> None:
        """`key`: sent with each request; empty: none.

        Raises: SettingsError: `url` is not http://host[:port] or https://host[:port].
        """
        self._key_header = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"`{url}` is no address of a server: {error}.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"`{url}` is no address of a server; expected something like http://127.0.0.1:6733.")
        self.url = url
        self.notes: list[str] = []
        """What the answers said of the questions, each note once; printed when the client is closed."""
        self._prefix = parts.path.rstrip("/")
        self._connection = (
            http.client.HTTPSConnection(parts.hostname, port, timeout=ANSWER_S, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, port, timeout=ANSWER_S)
        )

    def get(self, path: str, query: Query = ()) -> Answer:
        """Send a GET request. Raises: NotAnswered; CommandRefused."""
        return self.send("GET", path, query)

    def send(
        self, method: str, path: str, query: Query = (), body: object = None, *, content_type: str = "application/json"
    ) -> Answer:
        """Send a request; a body of bytes goes as it is, any other as JSON. Raises: NotAnswered; CommandRefused."""
        raw = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        try:
            response = self._response(method, path, query, raw, {} if raw is None else {"Content-Type": content_type})
            text = response.read()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._not_answered(error) from error
        answer = Answer(self._accepted(response, text), _server_s(response))
        self.take_notes(answer.raw)
        return answer

    def stream(
        self, path: str, query: Query = (), *, headers: dict[str, str] | None = None, silent_s: float = ANSWER_S
    ) -> Iterator[bytes]:
        """The bytes of a long answer, as they arrive. Raises: NotAnswered: also where it broke off; CommandRefused.

        Args: silent_s: how long to wait for the next bytes.
        """
        received, tail = 0, b""
        self._connection.timeout = silent_s
        try:
            response = self._response("GET", path, query, None, headers or {})
            if response.status >= 300:
                self._accepted(response, response.read())
            self.take_notes(response.headers.get("fleetpulse-notes", "[]").encode())
            while piece := response.read1(PIECE_BYTES):
                received += len(piece)
                tail = (tail + piece)[-TAIL_BYTES:]
                yield piece
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            if not received and not isinstance(error, http.client.IncompleteRead):
                raise self._not_answered(error) from error
            text = f"the answer of {self.url} broke off after {received} bytes, so it is not whole"
            reason = read_cut(tail) or "see the service's log, and ask again."
            raise NotAnswered(f"{text}: {reason}") from error

    def _response(
        self, method: str, path: str, query: Query, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        given = urlencode([(name, _text(value)) for name, value in query if value is not None], quote_via=quote)
        target = f"{self._prefix}{path}{'?' if given else ''}{given}"
        is_reused = self._connection.sock is not None
        try:
            return self._exchange(method, target, body, headers)
        except (http.client.RemoteDisconnected, ConnectionError):
            # The service closes a connection that rests too long. A question may be asked again on a new one.
            if not is_reused or method != "GET":
                raise
            return self._exchange(method, target, body, headers)

    def _exchange(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        try:
            self._connection.request(method, target, body, {**headers, **self._key_header})
            return self._connection.getresponse()
        except BaseException:
            self._connection.close()
            raise

    def _accepted(self, response: http.client.HTTPResponse, text: bytes) -> bytes:
        if response.status < 300:
            return text
        try:
            problem = msgspec.json.decode(text)
            msg, detail = str(problem["msg"]), str(problem.get("detail", ""))
            msg += f": {detail}" if detail not in ("", msg) else ""
            msg += NO_KEY if response.status == http.HTTPStatus.UNAUTHORIZED and not self._key_header else ""
        except (ValueError, KeyError, TypeError, AttributeError):
            answered = f"{self.url} answered {response.status} {response.reason}"
            msg = f"{answered}: is it a fleetpulse service? Give the address of one with --url."
        raise CommandRefused(msg, status=response.status)

    def take_notes(self, raw: bytes) -> None:
        """Take the notes of an answer, or of the header that a file has instead."""
        try:
            noted = msgspec.json.decode(raw, type=_Noted | list[str])
        except ValueError:
            return  # an answer of another shape has none
        notes = noted if isinstance(noted, list) else noted.notes
        self.notes += [note for note in notes if note not in self.notes]

    def _not_answered(self, error: Exception) -> NotAnswered:
        what_to_do = "Start the service (`fleetpulse serve`), or say where it is with --url or FLEETPULSE_URL"
        if isinstance(error, ssl.SSLCertVerificationError):
            what_to_do = "Trust its certificate with SSL_CERT_FILE, or use the name that the certificate is for"
        why = f"no answer for {ANSWER_S:g} s" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return NotAnswered(f"{self.url} cannot be asked: {why}. {what_to_do}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        for note in self.notes if error is None else ():
            print(f"note: {clean(note)}", file=sys.stderr)


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _server_s(response: http.client.HTTPResponse) -> int:
    try:
        return int(parsedate_to_datetime(response.headers["date"]).timestamp())
    except (TypeError, ValueError):
        return int(time.time())
