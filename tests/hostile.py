"""Requests of which it is arguable where they end, and requests for things that are not what they look like."""

from wire_requests import BEAT, DEVICE, HEARTBEAT

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""What an attacker hides behind a request: if it is answered, two disagree about where that request ends."""
_HEAD = f"POST {HEARTBEAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
_CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BEAT), BEAT)
_LENGTH = b"Content-Length: %d\r\n" % len(BEAT)


def _request(headers: bytes, body: bytes = BEAT + NEXT) -> bytes:
    return _HEAD + headers + b"\r\n" + body


AMBIGUOUS = {
    "length and chunked": _request(_LENGTH + b"Transfer-Encoding: chunked\r\n", _CHUNKED + NEXT),
    "chunked and length": _request(b"Transfer-Encoding: chunked\r\n" + _LENGTH, _CHUNKED + NEXT),
    "length 0 and chunked": _request(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", _CHUNKED + NEXT),
    "two lengths": _request(_LENGTH + b"Content-Length: 0\r\n"),
    "the same length twice": _request(_LENGTH * 2),
    "a list of lengths": _request(b"Content-Length: %d, %d\r\n" % (len(BEAT), len(BEAT))),
    "a length with a sign": _request(b"Content-Length: +%d\r\n" % len(BEAT)),
    "a negative length": _request(b"Content-Length: -1\r\n"),
    "a length in base 16": _request(b"Content-Length: 0x23\r\n"),
    "a length with a space in it": _request(b"Content-Length: 3 5\r\n"),
    "an empty length": _request(b"Content-Length:\r\n"),
    "a length beyond 64 bits": _request(b"Content-Length: 18446744073709551651\r\n"),
    "a space before the colon": _request(b"Content-Length : %d\r\n" % len(BEAT)),
    "a space before the first header": _HEAD.replace(b"Host", b" Host") + _LENGTH + b"\r\n" + BEAT + NEXT,
    "a folded length": _request(b"Content-Length:\r\n %d\r\n" % len(BEAT)),
    "a folded coding": _request(b"Transfer-Encoding:\r\n chunked\r\n", _CHUNKED + NEXT),
    "a folded header": _request(b"X-Note: a\r\n b\r\n" + _LENGTH),
    "an unknown coding": _request(b"Transfer-Encoding: xchunked\r\n", _CHUNKED + NEXT),
    "chunked is not last": _request(b"Transfer-Encoding: chunked, identity\r\n", _CHUNKED + NEXT),
    "chunked twice": _request(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", _CHUNKED + NEXT),
    "a coding behind a vertical tab": _request(b"Transfer-Encoding: \x0bchunked\r\n", _CHUNKED + NEXT),
    "a coding with a space before the colon": _request(b"Transfer-Encoding : chunked\r\n", _CHUNKED + NEXT),
    "a coding and HTTP/1.0": _request(b"Transfer-Encoding: chunked\r\n", _CHUNKED + NEXT).replace(b"1.1", b"1.0", 1),
    "lines that end in LF": _request(_LENGTH).replace(b"\r\n", b"\n"),
    "one line that ends in LF": _request(b"X: y\n" + _LENGTH),
    "a header that ends in LF LF": _HEAD + _LENGTH[:-2] + b"\n\n" + BEAT + NEXT,
    "one line that ends in CR": _request(b"X: y\r" + _LENGTH),
    "NUL in a value": _request(b"X: a\0b\r\n" + _LENGTH),
    "NUL in a name": _request(b"X\0: a\r\n" + _LENGTH),
    "a name with a space": _request(b"X Y: a\r\n" + _LENGTH),
    "a line without a colon": _request(b"nonsense\r\n" + _LENGTH),
    "a chunk of a sign": _request(b"Transfer-Encoding: chunked\r\n", b"+23\r\n" + BEAT + b"\r\n0\r\n\r\n" + NEXT),
    "a chunk of 0x": _request(b"Transfer-Encoding: chunked\r\n", b"0x23\r\n" + BEAT + b"\r\n0\r\n\r\n" + NEXT),
    "a chunk beyond 64 bits": _request(b"Transfer-Encoding: chunked\r\n", b"1" + b"0" * 15 + b"23\r\n" + BEAT + NEXT),
    "a chunk that ends in LF": _request(b"Transfer-Encoding: chunked\r\n", b"23\n" + BEAT + b"\n0\n\n" + NEXT),
    "a chunk without its end": _request(b"Transfer-Encoding: chunked\r\n", b"23\r\n" + BEAT + b"0\r\n\r\n" + NEXT),
    "HTTP/0.9": b"GET /api/v1/devices\r\n" + NEXT,
    "tabs in the request line": _request(_LENGTH).replace(b" ", b"\t", 2),
    "a lower-case protocol": _request(_LENGTH).replace(b"HTTP/1.1", b"http/1.1", 1),
    "no version": _request(_LENGTH).replace(b" HTTP/1.1", b"", 1),
}
"""No server may take any of them; each gets one refusal, and its connection ends."""

ODD_IDS = [
    "%2e%2e", "..", ".", "%2e", f"{DEVICE}%00", f"%00{DEVICE}", f"{DEVICE}%2f",
    f"{DEVICE}%0d%0a", f"{DEVICE}%20", f"{DEVICE}.", f"{DEVICE};a", f"{DEVICE}%3b", f"x/../{DEVICE}",
    f"x/%2e%2e/{DEVICE}", "%c0%ae", "%ff", "%", "%zz", "%u0036", "a" * 5_000, "%61" * 1_000,
    "%EF%BC%96" + DEVICE[1:], "%D0%B0", "a%CC%81", "%F0%9F%90%88", "%E2%80%AE" + DEVICE, f"{DEVICE}%E2%80%8B",
    f"{DEVICE}#a", f"{DEVICE}\\", "';%20DROP%20TABLE%20devices;%20--", "*",
]  # fmt: skip
"""Ids that no device has, whatever they look like."""
