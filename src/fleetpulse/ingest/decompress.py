"""Compressed bulk bodies to their content, with limits on its size, so that a small body cannot fill the memory."""

import zlib

import zstandard

from fleetpulse.errors import Malformed, TooLarge, UnsupportedMedia
from fleetpulse.limits import IngestLimits

GZIP_PIECE_BYTES = 65_536
ZSTD_PIECE_BYTES = 256


def decompress(body: bytes, coding: str, limits: IngestLimits) -> bytes:
    """The body without its Content-Encoding `coding`: identity, gzip or zstd.

    Decompression stops as soon as the result is too large, or too large for the size of the body.
    Raises: UnsupportedMedia: another coding. TooLarge. Malformed: the body is not of this coding, or is incomplete.
    """
    if coding in ("", "identity"):
        return body
    # A body that is small enough to be sent as it is may be compressed at any ratio.
    bytes_max_by_ratio = max(limits.bulk_body_bytes_max, limits.decompress_ratio_max * len(body))
    bytes_max = min(limits.decompressed_bytes_max, bytes_max_by_ratio)
    try:
        if coding == "gzip":
            decompressed = _gunzip(body, bytes_max, members_max=limits.gzip_members_max)
        elif coding == "zstd":
            decompressed = _unzstd(body, bytes_max, window_bytes_max=limits.zstd_window_bytes_max)
        else:
            raise UnsupportedMedia(f"Content-Encoding `{coding}` is not supported; use one of identity, gzip and zstd")
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise Malformed(f"the body is not {coding}: {error}; expected NDJSON, compressed with {coding}") from error
    if len(decompressed) > bytes_max:
        if bytes_max < limits.decompressed_bytes_max:
            ratio = f"{limits.decompress_ratio_max} times its own size (decompress_ratio_max)"
            text = f"the body decompresses to more than {bytes_max} bytes, and to more than {ratio}; send it in parts"
            raise TooLarge(text, reason="decompress_ratio")
        text = f"the body decompresses to more than {bytes_max} bytes (decompressed_bytes_max); send it in parts"
        raise TooLarge(text, reason="decompressed_bytes")
    return decompressed


def _gunzip(body: bytes, bytes_max: int, *, members_max: int) -> bytes:
    parts: list[bytes] = []
    size_bytes = place = members = 0
    member = zlib.decompressobj(31)
    while place < len(body) and size_bytes <= bytes_max:
        piece = body[place : place + GZIP_PIECE_BYTES]
        parts.append(member.decompress(piece, bytes_max + 1 - size_bytes))
        size_bytes += len(parts[-1])
        place += len(piece) - len(member.unconsumed_tail) - len(member.unused_data)
        if member.eof:
            members += 1
            if body[place : place + 1] == b"\0" and not body[place:].strip(b"\0"):
                break  # padding, as tape blocks and fixed buffers have it; `gzip -d` ignores it, too
            # An empty member costs time but adds no size, so the limits on size do not bound their number.
            if members > members_max:
                raise TooLarge(
                    f"the body has more than {members_max} gzip members (gzip_members_max); compress it as one",
                    reason="gzip_members",
                )
            member = zlib.decompressobj(31) if place < len(body) else member
    if size_bytes <= bytes_max and not member.eof:
        raise EOFError("it ends too early")
    return b"".join(parts)


def _unzstd(body: bytes, bytes_max: int, *, window_bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size_bytes = place = 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=window_bytes_max)
    frame = decompressor.decompressobj()
    # In small pieces, since a few bytes may decompress to 128 KB, and the size is checked between pieces.
    while place < len(body) and size_bytes <= bytes_max:
        if frame.eof:
            frame = decompressor.decompressobj()
        piece = body[place : place + ZSTD_PIECE_BYTES]
        try:
            parts.append(frame.decompress(piece))
        except zstandard.ZstdError as error:
            if "too much memory" not in str(error):
                raise
            raise TooLarge(
                f"the body asks for more than {window_bytes_max} bytes of memory (zstd_window_bytes_max); compress it "
                "with a smaller window",
                reason="zstd_window_bytes",
            ) from error
        size_bytes += len(parts[-1])
        place += len(piece) - len(frame.unused_data)
    if size_bytes <= bytes_max and not frame.eof:
        raise EOFError("it ends too early")
    return b"".join(parts)
