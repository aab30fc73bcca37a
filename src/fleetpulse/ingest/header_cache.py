"""A cache of header blocks: httptools parses each block once, and its verdict is stored by the exact bytes.

Devices of one make send the same header block with every request; only the request line and the body differ. Equal
bytes have an equal verdict, so a look-up is as strict as the parser, at a tenth of its cost.
"""

import httptools

from fleetpulse.ingest.accept import PROBLEM, problem_media, refuses_identity
from fleetpulse.ingest.report_gate import ReportGate
from fleetpulse.ingest.request_head import is_host, is_length
from fleetpulse.limits import IngestLimits

BLOCKS_MAX = 4_096
BLOCK_BYTES_MAX = 2_048
"""Blocks in the cache, and the largest one that it takes: at most 8 MB in all."""
_LINE_END = b" HTTP/1.1\r\n"
KEY_MARK = b" fp_"
"""How a key begins, with the space before it: `Authorization: Bearer fp_…`, `X-API-Key: fp_…`."""
KEY_CUT = b"\0"
"""What stands for a key that was cut out; no header may have such a byte."""
KEY_PLACE = b"fp_key"
OF_WEB_PAGES = (b"origin", b"sec-fetch-site")
"""Headers that a browser adds on behalf of a web page: the ASGI path knows which page may ask."""
NOT_PLAIN = -1
"""In the place of the number of body bytes: the block is not plain, so the front door hands the connection over."""


_NO_LAYOUT = (_LINE_END, b"\0", NOT_PLAIN, False)
"""What stands before and behind the key of no block, and the verdict of none."""


class HeaderCache:
    """Verdicts on header blocks. A block reaches from ` HTTP/1.1` of the request line to the end of the blank line."""

    def __init__(self, limits: IngestLimits, gate: ReportGate) -> None:
        self._limits = limits
        self._gate = gate
        self.known: dict[bytes, tuple[int, bool]] = {}
        """Verdicts by block. Look here first, then call `read`."""
        self.known_keyed: dict[bytes, tuple[int, bool]] = {}
        """Verdicts by block of which a key was cut out. Look here first, then call `read_keyed`."""
        self._latest = _NO_LAYOUT
        gate.on_change.append(self.forget)

    def forget(self) -> None:
        """Forget all verdicts, since what makes a block plain has changed."""
        self.known.clear()
        self.known_keyed.clear()
        self._latest = _NO_LAYOUT

    def look(self, data: bytes, start: int, end: int) -> tuple[bytes, int, bool]:
        """(key, body bytes, whether the connection stays open) of the block data[start:end]; the key is empty if none.

        Blocks of one make differ in the key alone, so the latest one is tried first: what stands before and behind the
        key. What is between them may be anything, so whoever refuses the key must look at it before going on.
        """
        before, behind, body_bytes, keep_alive = self._latest
        key_start, key_end = start + len(before), end - len(behind)
        if key_start < key_end and data.startswith(before, start) and data.startswith(behind, key_end):
            return data[key_start:key_end], body_bytes, keep_alive
        key_start = data.find(KEY_MARK, start, end) + 1
        if not key_start:
            block = data[start:end]
            return b"", *(self.known.get(block) or self.read(block))
        key_end = data.find(b"\r", key_start, end)
        before, behind = data[start:key_start], data[key_end:end]
        block = KEY_CUT.join((before, behind))
        verdict = self.known_keyed.get(block) or self.read_keyed(block)
        if verdict[0] != NOT_PLAIN:
            self._latest = before, behind, *verdict
        return data[key_start:key_end], *verdict

    def read(self, block: bytes) -> tuple[int, bool]:
        """(body bytes, whether the connection stays open) of a plain block, (NOT_PLAIN, False) of any other.

        A block is plain when it is well-formed, its headers and its Content-Length are within the limits, its type is
        JSON or absent, and no header changes the framing or the coding. An offer to speak another protocol (`Upgrade`)
        is ignored: the body has its Content-Length all the same.
        """
        return self._keep(self.known, block, self._judge(block, b""))

    def read_keyed(self, block: bytes) -> tuple[int, bool]:
        """As `read`, of a block out of which a key was cut, from KEY_MARK to the end of its line: KEY_CUT is there.

        Each device has a key of its own, but their blocks are the same without it.
        """
        whole = block.replace(KEY_CUT, KEY_PLACE) if block.count(KEY_CUT) == 1 else b""
        return self._keep(self.known_keyed, block, self._judge(whole, KEY_PLACE))

    @staticmethod
    def _keep(known: dict[bytes, tuple[int, bool]], block: bytes, verdict: tuple[int, bool]) -> tuple[int, bool]:
        if len(block) <= BLOCK_BYTES_MAX:
            if len(known) >= BLOCKS_MAX:
                known.clear()
            known[block] = verdict
        return verdict

    def _judge(self, block: bytes, key: bytes) -> tuple[int, bool]:
        headers = _headers_of(block)
        if headers is None or not self._gate.is_plain(headers.headers, key=key):
            return NOT_PLAIN, False
        return _verdict(headers, self._limits)


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


def _headers_of(block: bytes) -> _Collector | None:
    """The headers of a block; None where it is not well-formed, or not complete."""
    collector = _Collector()
    try:
        collector.parser.feed_data(b"POST /" + block)
    except httptools.HttpParserUpgrade:
        pass  # the header is complete; the parser would take the body for one of the protocol that it offers
    except httptools.HttpParserError:
        return None
    return collector if block.startswith(_LINE_END) and collector.is_complete else None


def _verdict(collector: _Collector, limits: IngestLimits) -> tuple[int, bool]:
    names = [name for name, _ in collector.headers]
    headers = dict(collector.headers)
    unusual = {b"transfer-encoding", b"expect", b"content-encoding", *OF_WEB_PAGES}
    length = headers.get(b"content-length", b"")
    if unusual & headers.keys() or names.count(b"content-length") != 1 or not is_length(length):
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
