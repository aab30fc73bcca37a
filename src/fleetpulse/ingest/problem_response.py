"""Answers to errors: the only place where an error becomes an HTTP status and a JSON body.

The body is the `{"msg": …}` of the published contract with the fields of RFC 9457 beside it.
"""

from functools import lru_cache
from http import HTTPStatus

import msgspec

from fleetpulse.access_errors import TooManyRequests, Unauthenticated
from fleetpulse.errors import Answerable, Busy, NotAccepting, OutcomeUnknown
from fleetpulse.ingest.accept import JSON, problem_media
from fleetpulse.ingest.security_headers import POLICY
from fleetpulse.key_shape import without_secrets

ANSWERS_KEPT = 256
"""Answers that are not made anew when they are needed again, so that a flood of one refusal costs little."""


def problem_body(error: Answerable) -> bytes:
    """The JSON body of the answer to `error`."""
    return _body(without_secrets(error.msg), error.reason, error.title, error.status, without_secrets(error.detail))


@lru_cache(ANSWERS_KEPT)
def _body(msg: str, reason: str, title: str, status: int, detail: str) -> bytes:
    problem = {"msg": msg, "type": f"urn:fleetpulse:problem:{reason}", "title": title, "status": status}
    return msgspec.json.encode({**problem, "detail": detail})


def problem_headers(error: Answerable) -> list[tuple[bytes, bytes]]:
    """Headers of the answer to `error`, besides type and length."""
    headers = [(b"vary", b"Accept"), POLICY]
    if isinstance(error, Busy | NotAccepting | OutcomeUnknown | TooManyRequests) and error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if isinstance(error, TooManyRequests):
        headers += [(b"ratelimit-policy", error.policy.encode()), (b"ratelimit", error.limit.encode())]
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="fleetpulse"'))
    return headers


def problem_response(
    error: Answerable, *, headers: list[tuple[bytes, bytes]], is_last: bool, accept: str = ""
) -> bytes:
    """A complete HTTP/1.1 answer to `error`, for the two protocols, which answer without a handler.

    Args:
        headers: the server's default headers.
        is_last: tell the peer that the connection is closed.
        accept: the header Accept of the request.
    """
    body, own = problem_body(error), tuple(problem_headers(error))
    start, end = _around(error.status, own, len(body), problem_media(accept) if accept else JSON, is_last=is_last)
    return b"".join([start, *(b"%b: %b\r\n" % header for header in headers), end, body])


@lru_cache(ANSWERS_KEPT)
def _around(
    status: int, own: tuple[tuple[bytes, bytes], ...], body_bytes: int, media: str, *, is_last: bool
) -> tuple[bytes, bytes]:
    """What stands before and behind the server's default headers."""
    lines = [(b"content-type", media.encode()), (b"content-length", b"%d" % body_bytes), *own]
    if is_last:
        lines.append((b"connection", b"close"))
    start = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    return start, b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n"
