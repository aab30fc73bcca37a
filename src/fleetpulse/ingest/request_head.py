"""What the head of a request must satisfy on every route, before anything else of the request counts.

The parser checks the grammar of HTTP; what it lets pass, and this service does not take, is refused here: HTTP versions
other than 1.0 and 1.1, a missing, repeated or invalid Host, transfer codings other than a single `chunked`, and request
targets that name no path. Plain values only: `asgi_protocol.py` calls these functions from the parser's callbacks.
"""

import re

import httptools
import structlog

from fleetpulse.errors import Answerable, Malformed, UnsupportedCoding, UnsupportedVersion

log = structlog.get_logger("edge")

Headers = list[tuple[bytes, bytes]]
"""(name in lower case, value) of each header line, in their order."""

_HOST = re.compile(
    rb"(?:\[[0-9A-Za-z:.%_~-]+\]"  # an IP address in brackets, perhaps with a zone
    rb"|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)"  # a name, or an IPv4 address
    rb"(?::(\d*))?"
)
_SLASH = re.compile(rb"%(?:2[fF]|5[cC])|\\")
"""A separator that is hidden: some proxies take it for one, and others do not."""
_PORT_HIGHEST = 65_535
_LENGTH_DIGITS_MAX = 15
_OF_PARSER = {
    "Invalid HTTP version": UnsupportedVersion,
    "Pause on PRI/Upgrade": UnsupportedVersion,  # the first bytes of a client of HTTP/2 with prior knowledge
    "Invalid `Transfer-Encoding` header value": UnsupportedCoding,  # chunked is not last, or there twice
}
"""What the parser itself refuses, by its text, where that is more than bad grammar."""


def is_host(value: bytes) -> bool:
    """Whether `value` is a host, perhaps with a port. An empty one is valid: some clients have no name to send."""
    if not value:
        return True
    found = _HOST.fullmatch(value)
    if found is None:
        return False
    port = found[1] or b""
    return len(port) <= 5 and int(port or 0) <= _PORT_HIGHEST


def is_length(value: bytes) -> bool:
    """Whether a Content-Length has digits only, at most 15: Python takes long to convert one of thousands."""
    return value.isdigit() and len(value) <= _LENGTH_DIGITS_MAX


def check_head(version: str, headers: Headers) -> None:
    """Refuse a request of another version of HTTP, with a wrong Host, or with a coding that we cannot undo.

    Raises: UnsupportedVersion; Malformed; UnsupportedCoding.
    """
    if version not in ("1.1", "1.0"):
        raise UnsupportedVersion
    hosts: list[bytes] = []
    codings: list[bytes] = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"content-length" and not is_length(value):
            raise Malformed("Content-Length must be a number of at most 15 digits", reason="not_http")
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        number = "more than one" if hosts else "none"
        raise Malformed(f"a request must have exactly one Host header; this one has {number}", reason="host")
    if hosts and not is_host(hosts[0]):
        raise Malformed("the Host header must be a host name or an IP address, perhaps with a port", reason="host")
    if codings and version == "1.0":
        raise Malformed("a request of HTTP/1.0 has no Transfer-Encoding: send its Content-Length", reason="not_http")
    if codings and [value.strip().lower() for value in codings] != [b"chunked"]:
        raise UnsupportedCoding


def local_target(method: bytes, target: bytes) -> bytes:
    """The path and query that a request target names, which may be written as a whole URL.

    `OPTIONS *` asks about the server as a whole, and `http://host` has no path: both name `/` here.
    Raises: Malformed: the target names no path of this server.
    """
    if method == b"CONNECT":
        raise Malformed("this server is no proxy: it takes no CONNECT", reason="request_target")
    if target.startswith(b"/"):
        path = target
    elif method == b"OPTIONS" and target == b"*":
        path = b"/"
    else:
        path = _path_of_url(target)
    try:
        parts = httptools.parse_url(path)
    except httptools.HttpParserInvalidURLError as error:
        raise _no_path() from error
    if b"#" in path or _SLASH.search(parts.path or b""):
        raise Malformed(
            "the path has a `#`, a backslash or an escaped slash, which no path of this server has",
            reason="request_target",
        )
    return path


def _path_of_url(target: bytes) -> bytes:
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError as error:
        raise _no_path() from error
    if url.host is None:
        raise _no_path()
    query = b"" if url.query is None else b"?" + url.query
    return (url.path or b"/") + query


def _no_path() -> Malformed:
    return Malformed(
        "the request target must be a path, such as /healthz, or a whole URL of this server", reason="request_target"
    )


def refusal_of_parser(error: httptools.HttpParserError) -> Answerable:
    """The answer to what the parser refused, or a callback that it called."""
    cause = error.__context__
    if isinstance(cause, Answerable):
        return cause
    if cause is not None:
        log.error("a callback of the HTTP parser failed by a defect of ours", error=repr(cause))
    known = _OF_PARSER.get(str(error))
    return known() if known else Malformed(f"not HTTP/1.1: {error}", reason="not_http")
