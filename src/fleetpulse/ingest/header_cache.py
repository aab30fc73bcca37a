"""A cache of header blocks: httptools parses each block once, and its verdict is stored by the exact bytes.

Devices of one make send the same header block with every request; only the request line and the body differ. Equal
bytes have an equal verdict, so a look-up is as strict as the parser, at a tenth of its cost.
"""

import httptools

from fleetpulse.ingest.accept import PROBLEM, problem_media, refuses_identity
from fleetpulse.ingest.request_head import is_host, is_length
from fleetpulse.limits import IngestLimits

BLOCKS_MAX = 4_096
BLOCK_BYTES_MAX = 2_048
"""Blocks in the cache, and the largest one that it takes: at most 8 MB in all."""
_LINE_END = b" HTTP/1.1\r\n"
NOT_PLAIN = -1
"""In the place of the number of body bytes: the block is not plain, so the front door hands the connection over."""


class HeaderCache:
    """Verdicts on header blocks. A block reaches from ` HTTP/1.1` of the request line to the end of the blank line."""

    def __init__(self, limits: IngestLimits) -> None:
        self._limits = limits
        self.known: dict[bytes, tuple[int, bool]] = {}
        """Verdicts by block. Look here first, then call `read`."""

    def read(self, block: bytes) -> tuple[int, bool]:
        """(body bytes, whether the connection stays open) of a plain block, (NOT_PLAIN, False) of any other.

        A block is plain when it is well-formed, its headers and its Content-Length are within the limits, its type is
        JSON or absent, and no header changes the framing or the coding. An offer to speak another protocol (`Upgrade`)
        is ignored: the body has its Content-Length all the same.
        """
        verdict = _judge(block, self._limits)
        if len(block) <= BLOCK_BYTES_MAX:
            if len(self.known) >= BLOCKS_MAX:
                self.known.clear()
            self.known[block] = verdict
        return verdict


class _Collector:
    """Receives the parser's callbacks."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self.is_kept_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.is_complete = True
        # Asked here, because the parser forgets it at the end of the message, which an empty body is at once.
        self.is_kept_alive = self.parser.should_keep_alive()


def _judge(block: bytes, limits: IngestLimits) -> tuple[int, bool]:
    collector = _Collector()
    try:
        collector.parser.feed_data(b"POST /" + block)
    except httptools.HttpParserUpgrade:
        pass  # the header is complete; the parser would take the body for one of the protocol that it offers
    except httptools.HttpParserError:
        return NOT_PLAIN, False
    names = [name for name, _ in collector.headers]
    headers = dict(collector.headers)
    unusual = {b"transfer-encoding", b"expect", b"content-encoding"}
    length = headers.get(b"content-length", b"")
    if (
        not block.startswith(_LINE_END)
        or not collector.is_complete
        or unusual & headers.keys()
        or names.count(b"content-length") != 1
        or not is_length(length)
    ):
        return NOT_PLAIN, False
    if int(length) > limits.body_bytes_max or len(names) > limits.header_count_max or names.count(b"content-type") > 1:
        return NOT_PLAIN, False
    if names.count(b"host") != 1 or not is_host(headers[b"host"]):
        return NOT_PLAIN, False
    if not is_json(headers.get(b"content-type", b"application/json")) or _wants_other_answers(collector.headers):
        return NOT_PLAIN, False
    return int(length), collector.is_kept_alive


def _wants_other_answers(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a refusal must have another type or coding than those of the front door."""
    accept, codings = (
        ", ".join(value.decode("latin-1") for key, value in headers if key == name)
        for name in (b"accept", b"accept-encoding")
    )
    return problem_media(accept) == PROBLEM or refuses_identity(codings)


def is_json(content_type: bytes) -> bool:
    """Whether a Content-Type is JSON. Parameters such as charset do not matter."""
    return content_type.split(b";", 1)[0].strip().lower() == b"application/json"
