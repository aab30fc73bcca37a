"""Bytes as a disk may give them back: with one bit that is not what was written."""

from collections.abc import Iterator


def with_a_flipped_bit(body: bytes) -> Iterator[bytes]:
    """The body once for a few bits of every byte, each time with that bit flipped."""
    for place in range(len(body)):
        for bit in (1, 2, 32):
            flipped = bytearray(body)
            flipped[place] ^= bit
            yield bytes(flipped)
