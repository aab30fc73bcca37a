"""Answers to errors: the only place where an error becomes an HTTP status and a JSON body.

The body is the `{"msg": …}` of the published contract with the fields of RFC 9457 beside it.
"""

from http import HTTPStatus

import msgspec

from fleetpulse.errors import Answerable, Busy, NotAccepting, OutcomeUnknown
from fleetpulse.ingest.accept import problem_media


def problem_body(error: Answerable) -> bytes:
    """The JSON body of the answer to `error`."""
    return msgspec.json.encode(
        {
            "msg": error.msg,
            "type": f"urn:fleetpulse:problem:{error.reason}",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
        }
    )


def problem_headers(error: Answerable) -> list[tuple[bytes, bytes]]:
    """Headers of the answer to `error`, besides type and length."""
    retry_s = error.retry_after_s if isinstance(error, Busy | NotAccepting | OutcomeUnknown) else None
    return [(b"vary", b"Accept")] if retry_s is None else [(b"vary", b"Accept"), (b"retry-after", b"%d" % retry_s)]


def problem_response(
    error: Answerable, *, headers: list[tuple[bytes, bytes]], is_last: bool, accept: str = ""
) -> bytes:
    """A complete HTTP/1.1 answer to `error`, for the two protocols, which answer without a handler.

    Args:
        headers: the server's default headers.
        is_last: tell the peer that the connection is closed.
        accept: the header Accept of the request.
    """
    body = problem_body(error)
    lines = [b"HTTP/1.1 %d %s" % (error.status, HTTPStatus(error.status).phrase.encode())]
    own = [
        (b"content-type", problem_media(accept).encode()),
        (b"content-length", b"%d" % len(body)),
        *problem_headers(error),
    ]
    lines += [name + b": " + value for name, value in [*headers, *own]]
    if is_last:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", body])
