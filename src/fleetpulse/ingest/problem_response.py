"""Answers as bytes: the only place where an error becomes an HTTP status and a JSON body.

The body is the contract's `{"msg": …}` with the fields of RFC 9457 beside it.
"""

from http import HTTPStatus

import msgspec

from fleetpulse.errors import Answerable, Busy

JSON = b"application/json"


def problem_body(error: Answerable) -> bytes:
    """The JSON body of an error's answer."""
    return msgspec.json.encode(
        {
            "msg": error.msg,
            "type": f"urn:fleetpulse:problem:{error.reason}",
            "title": error.title,
            "status": error.status,
            "detail": error.msg,
        }
    )


def problem_headers(error: Answerable) -> list[tuple[bytes, bytes]]:
    """Headers beyond type and length that an error's answer carries."""
    return [(b"retry-after", b"%d" % error.retry_after_s)] if isinstance(error, Busy) else []


def problem_response(error: Answerable, *, headers: list[tuple[bytes, bytes]], is_last: bool) -> bytes:
    """A whole HTTP/1.1 response for an error. `headers` are the server's own; `is_last` announces the close."""
    body = problem_body(error)
    lines = [b"HTTP/1.1 %d %s" % (error.status, HTTPStatus(error.status).phrase.encode())]
    own = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *problem_headers(error)]
    lines += [name + b": " + value for name, value in [*headers, *own]]
    if is_last:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", body])
